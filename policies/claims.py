"""What must hold of every policy, and what it looks like when it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Claim(StrEnum):
    """One thing that is proved of a policy before it may route anything."""

    APPROVAL = "approval"
    DEADLINE = "deadline"
    AUTOMATIC = "automatic"
    ROUTE = "route"
    WAITING = "waiting"
    PEOPLE = "people"
    WAY_OUT = "way-out"
    RULES = "rules"
    ARCHIVE = "archive"

    @property
    def says(self) -> str:
        """The claim in a sentence."""
        return _SAYS[self]


_SAYS: Final[Mapping[Claim, str]] = {
    Claim.APPROVAL: "Nothing is published without an approval that is valid for its bytes.",
    Claim.DEADLINE: "No deadline approves anything.",
    Claim.AUTOMATIC: "Automatic rules that look at labels bound their risk, and none overrules blocking rights.",
    Claim.ROUTE: "Every version matches a route.",
    Claim.WAITING: "Whatever waits has an owner, a deadline and an end.",
    Claim.PEOPLE: "Whatever waits has enough people who may decide, even if any one of them is away.",
    Claim.WAY_OUT: "Every state has a way out.",
    Claim.RULES: "No rule is without effect: each can match, and none is always overtaken by another.",
    Claim.ARCHIVE: "Archive rules never meet a hold, a retention or each other in contradiction.",
}


@dataclass(frozen=True, slots=True)
class CounterExample:
    """Why a claim does not hold: a story of one version, as short as it can be told.

    `subject` names the stage, rule or section that is at fault; `field` and `line` say where it stands. `facts` are
    those in which the version differs from an ordinary one (`policies.example_version`); `row` is all of its facts,
    for replaying it, and empty where no version is needed to tell the story.
    """

    subject: str
    field: str
    line: int
    steps: tuple[str, ...]
    facts: Mapping[str, Any] = made_by(default_factory=lambda: _NOTHING)
    row: Mapping[str, Any] = made_by(default_factory=lambda: _NOTHING)

    @property
    def length(self) -> tuple[int, int]:
        """How long the story is: facts, then steps."""
        return len(self.facts), len(self.steps)

    def as_json(self) -> dict[str, Any]:
        """The counter-example for programs."""
        return {
            "subject": self.subject,
            "field": self.field,
            "line": self.line,
            "facts": dict(self.facts),
            "steps": list(self.steps),
        }


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of a claim: proved, refuted, or (`proved` is None) not asked.

    `because` says why it was not asked; or why it counts as refuted without a counter-example: it was not decided.
    """

    claim: Claim
    proved: bool | None
    counterexamples: tuple[CounterExample, ...] = ()
    """Shortest first; one for each stage, rule or section at fault."""
    because: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The result for programs: the shortest counter-example, and what else is at fault."""
        return {
            "claim": str(self.claim),
            "says": self.claim.says,
            "proved": self.proved,
            "counterexample": self.counterexamples[0].as_json() if self.counterexamples else None,
            "further": [f"{one.field}: {one.subject}" for one in self.counterexamples[1:]],
            "because": self.because,
        }


def told(value: Any) -> str:
    """A value of a fact as a story tells it.

    >>> told(None), told("image"), told(True)
    ('not known', "'image'", 'true')
    """
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "empty" if not value else ", ".join(map(repr, value))
    return repr(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else f"{value:,}"


def told_facts(facts: Mapping[str, Any]) -> str:
    """Facts as a story tells them.

    >>> told_facts({"kind": "text", "risk": None})
    "kind is 'text', risk is not known"
    """
    return ", ".join(f"{name} is {told(value)}" for name, value in facts.items()) or "nothing about it is special"
