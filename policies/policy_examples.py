"""The examples that a policy file carries with it: versions, and what the policy should do with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from policies.document import Example, PolicyDocument
from policies.example_version import example_facts
from policies.facts import FACTS_SCHEMA
from policies.routing import Outcome, route_versions


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What became of one example. `differs` names what is not as expected: empty if all is."""

    name: str
    line: int
    expected: Mapping[str, Any]
    found: Mapping[str, Any]
    differs: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "name": self.name,
            "line": self.line,
            "passed": not self.differs,
            "expected": dict(self.expected),
            "found": dict(self.found),
            "differs": list(self.differs),
        }


def try_examples(policy: PolicyDocument) -> tuple[ExampleResult, ...]:
    """Route every example of `policy` by its own rules, in the order of the file.

    What a rule approves counts as `automatic`, also where the example falls into the sample for a second look. Raises
    `FactsInvalid` where the facts of an example contradict each other.
    """
    if not policy.examples:
        return ()
    rows = [{**example_facts(policy, one.facts), "version_id": place} for place, one in enumerate(policy.examples)]
    routes = route_versions(pl.DataFrame(rows, schema=FACTS_SCHEMA), policy)
    return tuple(
        _compared(policy, place, example, route)
        for place, (example, route) in enumerate(zip(policy.examples, routes.to_dicts(), strict=True))
    )


def _compared(policy: PolicyDocument, place: int, example: Example, route: Mapping[str, Any]) -> ExampleResult:
    expected: dict[str, Any] = example.expect.model_dump(exclude_none=True)
    automatic = route["second_look"]
    found = {
        "outcome": str(Outcome.AUTOMATIC) if automatic else route["outcome"],
        "rule": route["rule"],
        "stages": [] if automatic else sorted(gate["stage"] for gate in route["gates"]),
    }
    if "stages" in expected:
        expected["stages"] = sorted(expected["stages"])
    return ExampleResult(
        example.name,
        policy.source.line_of(("examples", place)),
        expected,
        found,
        tuple(name for name, value in expected.items() if found[name] != value),
    )
