"""The predicates of a policy, and what its rules must keep to so that none of them approves or destroys by mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from policies.errors import PredicateError, Problem
from policies.facts import Use
from policies.lifecycle import TRANSITIONS, Action, allowed
from policies.predicate_tree import Comparison, Operator, conjuncts
from policies.predicates import Predicate, parse_predicate
from policies.validation import problem_at
from policies.yaml_source import Path

if TYPE_CHECKING:
    from policies.document import PolicyDocument

CLASSIFIER_FACTS: Final = frozenset({"label", "second_label", "score", "margin", "unsafe_score"})
"""What a classifier says: an automatic rule that looks at any of it must bound the risk of it being wrong."""
LARGEST_RISK: Final = 0.5
"""A rule that lets more through would approve on labels that are wrong as often as right."""
LEAST_SECOND_LOOK: Final = 0.01


def predicates_of(policy: PolicyDocument) -> Iterator[tuple[Path, str, Use]]:
    """Every predicate of `policy`: the path of its field, its text, and where it is used."""
    if policy.screening.quarantine_when is not None:
        yield ("screening", "quarantine_when"), policy.screening.quarantine_when, Use.EVERYWHERE
    for position, stage in enumerate(policy.approval.stages):
        if stage.when is not None:
            yield ("approval", "stages", position, "when"), stage.when, Use.EVERYWHERE
    for position, rule in enumerate(policy.approval.automatic):
        yield ("approval", "automatic", position, "when"), rule.when, Use.EVERYWHERE
    for position, archive_rule in enumerate(policy.archive):
        yield ("archive", position, "when"), archive_rule.when, Use.ARCHIVE


def read_predicate(policy: PolicyDocument, text: str, use: Use = Use.EVERYWHERE) -> Predicate:
    """A predicate with the labels and collections of `policy`; raises `PredicateError` if it is not one."""
    labels = tuple(policy.classification.labels)
    return parse_predicate(text, labels=labels, collections=tuple(c.name for c in policy.collections), use=use)


def _predicate_faults(policy: PolicyDocument) -> Iterator[Problem]:
    for path, text, use in predicates_of(policy):
        try:
            read_predicate(policy, text, use)
        except PredicateError as error:
            found = f"{error.found} at character {error.position + 1} of {text!r}"
            could_stand = f"{error.allowed}; {error.hint}" if error.hint else error.allowed
            yield problem_at(policy.source, path, found, could_stand, error.nearest)


def risk_bound(predicate: Predicate) -> float | None:
    """The largest risk that `predicate` lets through, as far as a top-level `AND risk <= x` says so.

    >>> risk_bound(parse_predicate("label = 'logo' AND risk <= 0.02"))
    0.02
    >>> risk_bound(parse_predicate("label = 'logo' OR risk <= 0.02")) is None
    True
    """
    bounds = [
        node.value
        for node in conjuncts(predicate.root)
        if isinstance(node, Comparison) and node.fact == "risk" and node.operator in (Operator.LE, Operator.LT)
    ]
    return min((float(bound) for bound in bounds), default=None)


def _automatic_rule_faults(policy: PolicyDocument) -> Iterator[Problem]:
    for position, rule in enumerate(policy.approval.automatic):
        path: Path = ("approval", "automatic", position)
        if rule.second_look < LEAST_SECOND_LOOK:
            yield problem_at(
                policy.source, (*path, "second_look"), f"{rule.second_look:.4%}", f"at least {LEAST_SECOND_LOOK:.0%}"
            )
        try:
            predicate = read_predicate(policy, rule.when)
        except PredicateError:
            continue  # reported with its place by _predicate_faults
        judged = sorted(predicate.names & CLASSIFIER_FACTS)
        bound = risk_bound(predicate)
        if judged and (bound is None or bound > LARGEST_RISK):
            yield problem_at(
                policy.source,
                (*path, "when"),
                f"a rule that looks at {', '.join(judged)} "
                + ("without a bound on risk" if bound is None else f"and lets a risk of {bound:g} through"),
                f"`… AND risk <= x` around the whole rule, with x at most {LARGEST_RISK:g}",
            )


def _archive_faults(policy: PolicyDocument) -> Iterator[Problem]:
    for position, rule in enumerate(policy.archive):
        path: Path = ("archive", position)
        if not allowed(rule.after.event, Action(rule.action)):
            yield problem_at(
                policy.source,
                (*path, "after", "event"),
                f"{rule.after.event!r} before the action {rule.action!r}",
                "states from which the lifecycle allows it: "
                + ", ".join(sorted(t.from_state for t in TRANSITIONS if t.action == rule.action)),
            )
        for field in ("storage_class", "retain"):
            if rule.action == "dispose" and getattr(rule, field) is not None:
                yield problem_at(policy.source, (*path, field), f"{field} with dispose", f"{field} with archive only")


RULE_CHECKS: Final[tuple[Callable[[PolicyDocument], Iterator[Problem]], ...]] = (
    _predicate_faults,
    _automatic_rule_faults,
    _archive_faults,
)
