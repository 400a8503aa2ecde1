"""What a policy must keep to beyond its shape, as far as it can be seen without a solver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from policies.channels import CHANNELS
from policies.errors import FactsInvalid, Problem
from policies.example_version import check_example_fact
from policies.rule_checks import RULE_CHECKS
from policies.territories import ALLOWED, TERRITORIES, meant_territory
from policies.validation import nearest_word, problem_at
from policies.yaml_source import Path

if TYPE_CHECKING:
    from policies.document import PolicyDocument

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
        (("examples",), "name", [example.name for example in policy.examples]),
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


def _intended_use_faults(policy: PolicyDocument) -> Iterator[Problem]:
    for position, collection in enumerate(policy.collections):
        for index, use in enumerate(collection.use):
            path: Path = ("collections", position, "use", index)
            if use.channel not in CHANNELS:
                near = nearest_word(use.channel, CHANNELS)
                yield problem_at(policy.source, (*path, "channel"), repr(use.channel), ", ".join(CHANNELS), near)
            for item, code in enumerate(use.territory):
                if code not in TERRITORIES:
                    near = meant_territory(code) or nearest_word(code, TERRITORIES)
                    yield problem_at(policy.source, (*path, "territory", item), repr(code), ALLOWED, near)


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


def _example_faults(policy: PolicyDocument) -> Iterator[Problem]:
    names = [stage.name for stage in policy.approval.stages]
    for position, example in enumerate(policy.examples):
        for name, value in example.facts.items():
            try:
                check_example_fact(name, value)
            except FactsInvalid as error:
                path: Path = ("examples", position, "facts", name)
                found, _, allowed = str(error).removeprefix("found ").partition("; allowed: ")
                yield problem_at(policy.source, path, found, allowed)
        for index, stage in enumerate(example.expect.stages or ()):
            if stage not in names:
                yield problem_at(
                    policy.source,
                    ("examples", position, "expect", "stages", index),
                    f"the unknown stage {stage!r}",
                    ", ".join(names),
                    nearest_word(stage, names),
                )


_CHECKS: tuple[Callable[[PolicyDocument], Iterator[Problem]], ...] = (
    _repeated_names,
    _missing_default_collection,
    _intended_use_faults,
    _default_stage_faults,
    _stage_order_faults,
    _reminder_faults,
    _rights_faults,
    _example_faults,
    *RULE_CHECKS,
)
