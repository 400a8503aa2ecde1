"""Archive rules keep and destroy without contradiction, and each of them gets its turn.

Holds need no proof of a policy: `policies.archive` never disposes of a held version, whatever a rule says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import z3

from policies.claims import CounterExample, told_facts
from policies.document import ArchiveRule
from policies.lifecycle import TRANSITIONS, Action, allowed
from policies.proof import Proof
from policies.quantities import Duration, Unit
from policies.version_space import Condition
from policies.yaml_source import Path

_LONGEST_DAYS: Final = {
    Unit.MINUTE: 1 / 1440,
    Unit.HOUR: 1 / 24,
    Unit.DAY: 1,
    Unit.WEEK: 7,
    Unit.MONTH: 31,
    Unit.YEAR: 366,
}


def contradictory_archiving(proof: Proof) -> Iterator[CounterExample]:
    """Rules that destroy what another keeps, and rules that ask for what the lifecycle does not have."""
    rules = proof.policy.archive
    for position, rule in enumerate(rules):
        yield from _impossible(proof, position, rule)
        if rule.action == "dispose":
            for other in rules:
                if other.action == "archive":
                    yield from _destroyed_and_kept(proof, position, rule, other)
                    yield from _destroyed_too_early(proof, position, rule, other)


def idle_archive_rules(proof: Proof) -> Iterator[CounterExample]:
    """Archive rules that no version can meet, and those that others always overtake."""
    rules = proof.policy.archive
    for position, rule in enumerate(rules):
        path: Path = ("archive", position, "when")
        subject = f"the archive rule “{rule.name}”"
        matched = _matched(proof, rule)
        if not proof.possible(matched):
            facts = proof.plainest(proof.version.is_true(proof.predicate(rule.when)), archive=True)
            told = "There is none" if facts is None else f"There are only others: {told_facts(facts[0])}"
            yield proof.example(
                subject,
                path,
                (
                    f"The rule waits for versions that have been {rule.after.event} for {rule.after.days} days and for "
                    f"which `{rule.when}` is true.",
                    f"{told}. The rule never does anything.",
                ),
            )
            continue
        earlier = [one for one in rules if one is not rule and _comes_first(proof, one, rule)]
        held_off = [z3.Not(_matched(proof, one)) for one in earlier]
        if earlier and not proof.possible(matched, *held_off):
            facts = proof.plainest(matched, archive=True)
            takers = [earlier[place] for place in proof.needed(held_off, [matched])]
            first = ", ".join(f"“{one.name}” ({one.action} after {one.after.days} days)" for one in takers)
            yield proof.example(
                subject,
                path,
                (
                    f"A version meets it; {_told(facts[0] if facts else {})}.",
                    f"{first} meets it too and comes first, as with every such version; then it is no longer "
                    f"{rule.after.event}, and “{rule.name}” never does anything.",
                ),
                facts,
            )


def _impossible(proof: Proof, position: int, rule: ArchiveRule) -> Iterator[CounterExample]:
    subject = f"the archive rule “{rule.name}”"
    if not allowed(rule.after.event, Action(rule.action)):
        legal = sorted(step.from_state for step in TRANSITIONS if step.action == rule.action)
        yield proof.example(
            subject,
            ("archive", position, "after", "event"),
            (
                f"A version is {rule.after.event} for {rule.after.days} days; the rule wants to {_does(rule)} it.",
                f"From {rule.after.event} the lifecycle knows no such step; it does from {', '.join(legal)}.",
            ),
        )
    kept = rule.retain is not None or rule.storage_class is not None
    if rule.action == "dispose" and kept:
        field = "retain" if rule.retain is not None else "storage_class"
        yield proof.example(
            subject,
            ("archive", position, field),
            (
                f"A version is {rule.after.event} for {rule.after.days} days; the rule wants to dispose of it.",
                f"The same rule asks for {field}: to keep what it destroys.",
            ),
        )


def _destroyed_and_kept(proof: Proof, position: int, rule: ArchiveRule, other: ArchiveRule) -> Iterator[CounterExample]:
    """The same version meets both in the same state, and only one of them can be carried out."""
    if rule.after.event != other.after.event:
        return
    facts = proof.plainest(_matched(proof, rule), _matched(proof, other), archive=True)
    if facts is None:
        return
    if rule.after.days <= other.after.days and other.retain is None:
        last = f"“{rule.name}” destroys it, and “{other.name}” finds nothing to keep."
    elif other.retain is not None and _days(other.retain) > rule.after.days:
        last = f"“{other.name}” wants it kept for {other.retain}, “{rule.name}” gone before that is over."
    else:
        last = f"“{other.name}” puts it into the archive first, and “{rule.name}” never ends it."
    yield proof.example(
        f"the archive rules “{rule.name}” and “{other.name}”",
        ("archive", position),
        (
            f"A version is {rule.after.event}; {_told(facts[0])}.",
            f"“{rule.name}” disposes of it after {rule.after.days} days, “{other.name}” archives it after "
            f"{other.after.days} days.",
            last,
        ),
        facts,
    )


def _destroyed_too_early(
    proof: Proof, position: int, rule: ArchiveRule, other: ArchiveRule
) -> Iterator[CounterExample]:
    """What `other` puts into the archive to be kept meets `rule` there before its time is over."""
    if rule.after.event != "archived" or other.retain is None or _days(other.retain) <= rule.after.days:
        return
    kept = proof.other
    when = proof.predicate(other.when)
    alike = [name for name in when.names if name not in ("state", "age")]
    facts = proof.plainest(
        _matched(proof, rule),
        kept.axioms(),
        proof.version.same(kept, alike),
        kept.is_true(when),
        kept.is_one_of("state", [other.after.event]),
        kept.value("age") >= other.after.days,
        archive=True,
    )
    if facts is None:
        return
    yield proof.example(
        f"the archive rules “{rule.name}” and “{other.name}”",
        ("archive", position),
        (
            f"A version is {other.after.event} for {other.after.days} days; {_told(facts[0])}.",
            f"“{other.name}” archives it, to be kept for {other.retain}.",
            f"{rule.after.days} days later “{rule.name}” wants it destroyed, before that time is over.",
        ),
        facts,
    )


def _matched(proof: Proof, rule: ArchiveRule) -> Condition:
    """That a rule is due for the version, if nothing else were."""
    version = proof.version
    return z3.And(
        version.is_true(proof.predicate(rule.when)),
        version.is_one_of("state", [rule.after.event]),
        version.value("age") >= rule.after.days,
    )


def _comes_first(proof: Proof, one: ArchiveRule, rule: ArchiveRule) -> bool:
    """Whether `one` is always carried out before `rule` where both are met.

    A rule that asks for the age may stop or begin to be met meanwhile, and a disposal waits for what others want kept:
    of neither is that claimed.
    """
    if one.after.event != rule.after.event or "age" in proof.predicate(one.when).names:
        return False
    rules = proof.policy.archive
    if one.action == "dispose" and any(other.retain is not None for other in rules):
        return False
    mine, others = (
        (one.after.days, one.action != "dispose", rules.index(one)),
        (
            rule.after.days,
            rule.action != "dispose",
            rules.index(rule),
        ),
    )
    return mine < others


def _told(facts: Mapping[str, Any]) -> str:
    """Facts of a version as a story tells them that has said already in which state it is, and for how long."""
    return told_facts({name: value for name, value in facts.items() if name not in ("state", "age")})


def _does(rule: ArchiveRule) -> str:
    return "dispose of" if rule.action == "dispose" else "archive"


def _days(time: Duration) -> float:
    """The most days that a duration can be."""
    return time.amount * _LONGEST_DAYS[time.unit]
