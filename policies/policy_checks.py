"""What a policy must keep to beyond its shape, as far as it can be seen without a solver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from policies.errors import PredicateError, Problem
from policies.facts import Use
from policies.lifecycle import TRANSITIONS, Action
from policies.lifecycle import allowed as allowed_targets
from policies.predicate_tree import Comparison, Operator, conjuncts
from policies.predicates import Predicate, parse_predicate
from policies.validation import nearest_word, problem_at
from policies.yaml_source import Path

if TYPE_CHECKING:
    from policies.document import PolicyDocument

CLASSIFIER_FACTS: Final = frozenset({"label", "second_label", "score", "margin", "unsafe_score"})
"""What a classifier says: an automatic rule that looks at any of it must bound the risk of it being wrong."""
LARGEST_RISK: Final = 0.5
"""A rule that lets more through would approve on labels that are wrong as often as right."""
LEAST_SECOND_LOOK: Final = 0.01

_STAGES: Path = ("approval", "stages")


def check_policy(policy: PolicyDocument, signatures: Collection[str]) -> list[Problem]:
    """Everything wrong with `policy`, in the order of its lines; `signatures` are those that can be checked."""
    problems = [problem for check in _CHECKS for problem in check(policy)]
    problems += _uncheckable_signatures(policy, signatures)
    return sorted(problems, key=lambda problem: problem.line)


def _repeated_names(policy: PolicyDocument) -> Iterator[Problem]:
    lists: list[tuple[Path, str, Sequence[str]]] = [
        (("collections",), "name", [collection.name for collection in policy.collections]),
        (("collections",), "prefix", [collection.prefix for collection in policy.collections]),
        (_STAGES, "name", [stage.name for stage in policy.approval.stages]),
        (("approval", "automatic"), "name", [rule.name for rule in policy.approval.automatic]),
        (("archive",), "name", [rule.name for rule in policy.archive]),
    ]
    for path, field, values in lists:
        for position, value in enumerate(values):
            if value in values[:position]:
                yield problem_at(
                    policy.source, (*path, position, field), f"{value!r} a second time", f"each {field} once"
                )


def _missing_default_collection(policy: PolicyDocument) -> Iterator[Problem]:
    if all(collection.prefix for collection in policy.collections):
        yield problem_at(
            policy.source,
            ("collections",),
            "no collection with the prefix ''",
            'one collection with `prefix: ""`, so that every key has an owner and an intended use',
        )


def _default_stage_faults(policy: PolicyDocument) -> Iterator[Problem]:
    defaults = [position for position, stage in enumerate(policy.approval.stages) if stage.default]
    if not defaults:
        yield problem_at(
            policy.source, _STAGES, "no stage with `default: true`", "exactly one, which takes what no other stage does"
        )
    for position in defaults[1:]:
        yield problem_at(
            policy.source, (*_STAGES, position, "default"), "a second default stage", "exactly one default stage"
        )
    for position, stage in enumerate(policy.approval.stages):
        if stage.default and stage.when is not None:
            yield problem_at(
                policy.source,
                (*_STAGES, position, "when"),
                "a condition on the default stage",
                "no `when` there: the default stage takes whatever no other stage takes",
            )
        if not stage.default and stage.when is None:
            yield problem_at(
                policy.source, (*_STAGES, position), "neither `when` nor `default`", "`when`, which says what it takes"
            )


def _stage_order_faults(policy: PolicyDocument) -> Iterator[Problem]:
    stages = policy.approval.stages
    names = [stage.name for stage in stages]
    for position, stage in enumerate(stages):
        for index, earlier in enumerate(stage.after):
            if earlier not in names:
                yield problem_at(
                    policy.source,
                    (*_STAGES, position, "after", index),
                    f"the unknown stage {earlier!r}",
                    ", ".join(names),
                    nearest_word(earlier, names),
                )
        if stage.name in stages_before(policy, stage.name):
            yield problem_at(
                policy.source,
                (*_STAGES, position, "after"),
                f"{stage.name!r} waiting for itself",
                "an order of stages without circles",
            )


def stages_before(policy: PolicyDocument, name: str) -> frozenset[str]:
    """Names of the stages that stage `name` comes after, directly or not; `name` itself is among them in a circle."""
    after = {stage.name: stage.after for stage in policy.approval.stages}
    found: set[str] = set()
    waiting = list(after.get(name, ()))
    while waiting:
        stage = waiting.pop()
        if stage in after and stage not in found:
            found.add(stage)
            waiting.extend(after[stage])
    return frozenset(found)


def _reminder_faults(policy: PolicyDocument) -> Iterator[Problem]:
    ladders = [
        (("screening", "quarantine", "deadline"), policy.screening.quarantine.deadline),
        (("approval", "changes_requested"), policy.approval.changes_requested),
        *(((*_STAGES, i, "deadline"), stage.deadline) for i, stage in enumerate(policy.approval.stages)),
    ]
    for path, deadline in ladders:
        for index, share in enumerate(deadline.remind):
            if not 0 < share < 1 or share in deadline.remind[:index] or share < max(deadline.remind[:index], default=0):
                yield problem_at(
                    policy.source,
                    (*path, "remind", index),
                    f"{share:.4g} of the time",
                    "percentages between 0% and 100%, each larger than the one before",
                )
    for path, deadline in ladders[:2]:
        if deadline.outcome != "reject":
            yield problem_at(
                policy.source,
                (*path, "finally"),
                repr(deadline.outcome),
                "'reject': what is quarantined or already asked to change can only end so",
                "reject",
            )


def _rights_faults(policy: PolicyDocument) -> Iterator[Problem]:
    names = [stage.name for stage in policy.approval.stages]
    if policy.rights.gate not in names:
        yield problem_at(
            policy.source,
            ("rights", "gate"),
            f"the unknown stage {policy.rights.gate!r}",
            ", ".join(names),
            nearest_word(policy.rights.gate, names),
        )
    missing = [status for status in ("conflict", "expired") if status not in policy.rights.block]
    if missing:
        yield problem_at(
            policy.source,
            ("rights", "block"),
            f"a list without {' and '.join(missing)}",
            "conflict and expired among what blocks: no approval can waive them",
        )


def predicates_of(policy: PolicyDocument) -> Iterator[tuple[Path, str, Use]]:
    """Every predicate of `policy`: the path of its field, its text, and where it is used."""
    if policy.screening.quarantine_when is not None:
        yield ("screening", "quarantine_when"), policy.screening.quarantine_when, Use.EVERYWHERE
    for position, stage in enumerate(policy.approval.stages):
        if stage.when is not None:
            yield (*_STAGES, position, "when"), stage.when, Use.EVERYWHERE
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
            allowed = f"{error.allowed}; {error.hint}" if error.hint else error.allowed
            yield problem_at(policy.source, path, found, allowed, error.nearest)


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
        if not allowed_targets(rule.after.event, Action(rule.action)):
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


def _uncheckable_signatures(policy: PolicyDocument, signatures: Collection[str]) -> Iterator[Problem]:
    for position, stage in enumerate(policy.approval.stages):
        if stage.signature not in signatures:
            given = "signature" in stage.model_fields_set
            yield problem_at(
                policy.source,
                (*_STAGES, position, "signature"),
                f"{stage.signature!r}{'' if given else ', which is what a stage without `signature` asks for'}",
                f"a signature that this installation can check: `signature: {' or '.join(sorted(signatures))}`",
            )


_CHECKS: tuple[Callable[[PolicyDocument], Iterator[Problem]], ...] = (
    _repeated_names,
    _missing_default_collection,
    _default_stage_faults,
    _stage_order_faults,
    _reminder_faults,
    _rights_faults,
    _predicate_faults,
    _automatic_rule_faults,
    _archive_faults,
)
