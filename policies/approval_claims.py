"""What is published was approved: by people or by a rule, for these very bytes, and never against their rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import z3

from policies.claims import CounterExample, told_facts
from policies.document import AutomaticRule
from policies.facts import FACTS, Use
from policies.lifecycle import TRANSITIONS, UNBORN, Action, State, Transition
from policies.proof import Proof
from policies.rule_checks import CLASSIFIER_FACTS, LARGEST_RISK, LEAST_SECOND_LOOK
from policies.yaml_source import Path

_AUTOMATIC: Final[Path] = ("approval", "automatic")
_MUST_BLOCK: Final = ("conflict", "expired")
_NOT_GOOD: Final = ("conflict", "restricted", "embargoed", "expired", "unknown")
_SAYS_NOTHING: Final = frozenset(
    {
        "key",
        "collection",
        "submitter",
        "version",
        "clearance",
        "clearance_reasons",
        "type_mismatch",
        "inspection_failed",
        "duplicate_of",
        "near_duplicate_of",
    }
)
EVIDENCE: Final = tuple(
    name for name, fact in FACTS.items() if fact.use is Use.EVERYWHERE and name not in _SAYS_NOTHING
)
"""Facts that say what the bytes are, or that the same bytes are approved. Where an asset lies, who sent it, which
number it has, and what it resembles say neither; nor do rights, which must be good in any case."""


def unapproved_publications(proof: Proof) -> Iterator[CounterExample]:
    """Ways to be published that no approval of these bytes stands behind."""
    yield from _unguarded_lifecycle(proof)
    rules = proof.policy.approval.automatic
    for position, rule in enumerate(rules):
        holds = proof.approves(position)
        good = [z3.Not(proof.found), z3.Not(proof.blocked)]
        everything = proof.version.variables(EVIDENCE)
        let_in = z3.And(proof.version.in_range(EVIDENCE), z3.Not(proof.found))
        whatever = z3.ForAll(everything, z3.Implies(let_in, holds))
        facts = proof.plainest(whatever, holds, *good)
        if facts is not None:
            yield proof.example(
                f"the automatic rule “{rule.name}”",
                (*_AUTOMATIC, position, "when"),
                (
                    f"A version arrives; {told_facts(_named(proof, rule, facts[1]))}.",
                    f"“{rule.name}” holds for it, and would hold for any other bytes in its place: it does not ask "
                    "what they are, nor whether the same bytes are approved.",
                    "It is approved and published, and nobody and nothing has looked at it.",
                ),
                facts,
            )


def overruled_rights(proof: Proof) -> Iterator[CounterExample]:
    """Automatic rules that trust a label without a bound on its risk, or that approve where rights are not good."""
    block = proof.policy.rights.block
    for status in _MUST_BLOCK:
        facts = proof.plainest(z3.Not(proof.found), proof.version.is_one_of("clearance", [status]))
        if status not in block and facts is not None:
            yield proof.example(
                f"the clearance {status!r}",
                ("rights", "block"),
                (
                    f"A version arrives; {told_facts(facts[0])}.",
                    f"{status!r} is not in `block`: once its stages approve it, nothing keeps it from being published.",
                    "It is published against its rights, which no approval can waive.",
                ),
                facts,
            )
    for position, rule in enumerate(proof.policy.approval.automatic):
        yield from _trusted_label(proof, position, rule)
        yield from _approved_without_rights(proof, position, rule)
        if rule.second_look < LEAST_SECOND_LOOK:
            yield proof.example(
                f"the automatic rule “{rule.name}”",
                (*_AUTOMATIC, position, "second_look"),
                (
                    f"“{rule.name}” approves version after version; a share of {rule.second_look:.4%} is looked at.",
                    f"Should it be wrong, nobody finds out; at least {LEAST_SECOND_LOOK:.0%} must be looked at.",
                ),
            )


def _trusted_label(proof: Proof, position: int, rule: AutomaticRule) -> Iterator[CounterExample]:
    """Another label, all else equal, would not be approved, and nothing bounds how likely the label is wrong."""
    version, other = proof.version, proof.other
    judged = sorted(proof.predicate(rule.when).names & CLASSIFIER_FACTS)
    if not judged:
        return
    agreed = [name for name, fact in FACTS.items() if fact.use is not Use.NOWHERE and name not in CLASSIFIER_FACTS]
    unbounded = z3.Or(z3.Not(version.known("risk")), version.value("risk") > LARGEST_RISK)
    facts = proof.plainest(
        z3.Not(proof.found),
        z3.Not(proof.blocked),
        proof.approves(position),
        unbounded,
        other.axioms(),
        version.same(other, agreed),
        z3.Not(proof.approves(position, other)),
    )
    if facts is not None:
        yield proof.example(
            f"the automatic rule “{rule.name}”",
            (*_AUTOMATIC, position, "when"),
            (
                f"A version arrives; {told_facts(_named(proof, rule, facts[1]))}.",
                f"“{rule.name}” approves it because of its {', '.join(judged)}, which a classifier guessed; "
                f"its risk is {'not known' if facts[1]['risk'] is None else facts[1]['risk']}, and nothing bounds it "
                f"by {LARGEST_RISK:g} or less.",
                "The guess may be wrong; it is published all the same.",
            ),
            facts,
        )


def _approved_without_rights(proof: Proof, position: int, rule: AutomaticRule) -> Iterator[CounterExample]:
    not_good = [status for status in _NOT_GOOD if status not in proof.policy.rights.block]
    facts = proof.plainest(
        z3.Not(proof.found),
        z3.Not(proof.blocked),
        proof.approves(position),
        proof.version.is_one_of("clearance", not_good),
    )
    if facts is not None:
        clearance = facts[1]["clearance"]
        yield proof.example(
            f"the automatic rule “{rule.name}”",
            (*_AUTOMATIC, position, "when"),
            (
                f"A version arrives; {told_facts(_named(proof, rule, facts[1]) | {'clearance': clearance})}.",
                f"{clearance!r} is not in `rights.block`, so nobody is asked; “{rule.name}” approves it.",
                "It is published though its rights are not good, and no person has waived that.",
            ),
            facts,
        )


def _unguarded_lifecycle(proof: Proof) -> Iterator[CounterExample]:
    """Paths to `published` on which nothing is approved: none, as long as the lifecycle is what it is."""
    path = unapproved_path(TRANSITIONS)
    if path:
        steps = [f"A version goes {' → '.join(path)}, and is never approved."]
        yield proof.example("the lifecycle", ("approval",), steps)


def unapproved_path(transitions: Iterable[Transition]) -> tuple[str, ...] | None:
    """States from birth to `published` by steps none of which is `approve`; None if there is no such way.

    What is restored from the archive is where it was before.
    """
    steps = [step for step in transitions if step.action is not Action.APPROVE]
    waiting: list[tuple[tuple[str, ...], str]] = [((UNBORN,), UNBORN)]
    seen = {(UNBORN, UNBORN)}
    while waiting:
        path, before = waiting.pop(0)
        if path[-1] == State.PUBLISHED:
            return path[1:]
        for step in steps:
            if step.from_state != path[-1] or (step.action is Action.RESTORE and step.to_state != before):
                continue
            reached = (str(step.to_state), path[-1] if step.action is Action.ARCHIVE else before)
            if reached not in seen:
                seen.add(reached)
                waiting.append(((*path, reached[0]), reached[1]))
    return None


def _named(proof: Proof, rule: AutomaticRule, row: Mapping[str, Any]) -> dict[str, Any]:
    """Of the facts in `row`, those that the rule asks about."""
    names = proof.predicate(rule.when).names
    return {name: value for name, value in row.items() if name in names}
