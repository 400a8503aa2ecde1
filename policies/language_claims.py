"""Faults that the language of the policy file refuses already, and the claim that each of them would break.

A deadline that approves cannot even be written down. Its author still asks why not, and gets the same answer as for a
fault that only a proof finds: the claim, and what would happen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from policies.claims import Claim, CounterExample
from policies.errors import Problem

_APPROVALS: Final = ("'approve'", "'approved'", "'publish'", "'published'", "'automatic'", "'release'")


def _approves(problem: Problem) -> bool:
    return problem.value in _APPROVALS


def _is_missing(problem: Problem) -> bool:
    return problem.value == "nothing"


def _anything(problem: Problem) -> bool:
    return bool(problem.field)


def _no_approvals(problem: Problem) -> bool:
    return re.fullmatch(r"0|-\d+", problem.value) is not None


_RULES: Final[tuple[tuple[str, Callable[[Problem], bool], Claim, tuple[str, ...]], ...]] = (
    (
        r".*\.finally",
        _approves,
        Claim.DEADLINE,
        ("Something waits, and nobody acts.", "The deadline ends in {value}: it is approved because nobody looked."),
    ),
    (
        r".*(deadline|changes_requested)\.finally",
        lambda problem: problem.allowed.startswith("'reject': what is"),
        Claim.WAY_OUT,
        (
            "Something waits, and nobody acts.",
            "The deadline ends in {value}, which does not end it.",
            "It stays there.",
        ),
    ),
    (
        r".*\.finally",
        _anything,
        Claim.WAITING,
        ("Something waits, and nobody acts.", "The deadline ends in {value}, which is no end.", "It waits for ever."),
    ),
    (
        r".*(deadline|within|owner|reviewers)",
        _is_missing,
        Claim.WAITING,
        ("Something waits there.", "Nothing says who answers for it, or until when.", "It waits for ever."),
    ),
    (
        r"approval\.stages\[\d+\]\.quorum",
        _no_approvals,
        Claim.APPROVAL,
        ("A version needs {value} approvals of this stage.", "Its gate passes before anybody has looked."),
    ),
    (
        r"approval\.stages(\[\d+\]\.when)?",
        lambda problem: "default" in problem.value,
        Claim.ROUTE,
        ("A version arrives that no stage asks for.", "The policy has {value}.", "It is in review without a gate."),
    ),
    (
        r"collections",
        lambda problem: problem.value.startswith("no collection"),
        Claim.ROUTE,
        ("An asset arrives under a key that no prefix takes.", "It has no owner and no intended use."),
    ),
    (
        r"approval\.stages\[\d+\]\.after",
        lambda problem: problem.value.endswith("waiting for itself"),
        Claim.WAY_OUT,
        ("A version needs this stage.", "There is {value}.", "Its gate never opens, and no deadline runs."),
    ),
    (
        r"approval\.automatic\[\d+\]\.(when|second_look)",
        lambda problem: "rule that looks at" in problem.value or problem.field.endswith("second_look"),
        Claim.AUTOMATIC,
        ("A rule approves without a person.", "Found is {value}.", "Nobody finds out when it is wrong."),
    ),
    (
        r"rights\.block",
        lambda problem: problem.value.startswith("a list without"),
        Claim.AUTOMATIC,
        ("A version arrives whose rights nobody can waive.", "It does not block: found is {value}."),
    ),
    (
        r"archive\[\d+\]\.(after\.event|retain|storage_class)",
        lambda problem: "before the action" in problem.value or "with dispose" in problem.value,
        Claim.ARCHIVE,
        ("A version meets the rule.", "It asks for {value}, which cannot be."),
    ),
    (
        r"delegations\[\d+\]\.delegate",
        lambda problem: "comes back to" in problem.value,
        Claim.PEOPLE,
        ("Several are away at once.", "The part goes to {value}.", "It belongs to nobody, and nobody may decide."),
    ),
    (
        r"groups\..*",
        lambda problem: problem.value == "an empty list",
        Claim.PEOPLE,
        ("Something waits for this group.", "Nobody is in it.", "Nobody may decide."),
    ),
)


def claim_of(problem: Problem) -> Claim | None:
    """The claim that a fault of the language breaks; None if it breaks none, but is a mistake in writing."""
    rule = _rule_for(problem)
    return None if rule is None else rule[2]


def in_other_words(problem: Problem) -> CounterExample:
    """What would happen if the language let the fault through."""
    rule: Any = _rule_for(problem)
    steps = tuple(step.format(value=problem.value) for step in rule[3])
    return CounterExample(problem.field, problem.field, problem.line, (*steps, f"Allowed is {problem.allowed}."))


def _rule_for(problem: Problem) -> tuple[str, Callable[[Problem], bool], Claim, tuple[str, ...]] | None:
    return next((rule for rule in _RULES if re.fullmatch(rule[0], problem.field) and rule[1](problem)), None)
