"""Every version comes to somebody, and every rule has something to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import z3

from policies.claims import CounterExample, told_facts
from policies.policy_checks import stages_before
from policies.predicate_tree import conjuncts, written
from policies.predicates import Predicate
from policies.proof import Proof
from policies.text_classes import prefix_shape, sample_texts
from policies.version_space import Condition
from policies.yaml_source import Path

_STAGES: Final[Path] = ("approval", "stages")
_QUARANTINE_WHEN: Final[Path] = ("screening", "quarantine_when")


def routeless_versions(proof: Proof) -> Iterator[CounterExample]:
    """Versions that are neither quarantined nor approved by a rule, and for which no stage opens."""
    stages = proof.policy.approval.stages
    opened = z3.Or([proof.opens(stage) for stage in stages])
    facts = proof.plainest(z3.Not(proof.found), z3.Not(proof.automatic), z3.Not(opened))
    if facts is not None:
        asked = ", ".join(f"{stage.name} asks for {stage.when}" for stage in stages if stage.when is not None)
        yield proof.example(
            "the stages together",
            _STAGES,
            (
                f"A version arrives; {told_facts(facts[0])}.",
                f"It is not quarantined, no rule approves it, and no stage opens: {asked}.",
                "It is in review without a gate: nobody is asked, and nothing ends that.",
            ),
            facts,
        )
    prefixes = [one.prefix for one in proof.policy.collections]
    if all(prefixes):
        samples = sample_texts([prefix_shape(one) for one in prefixes])
        outside = next(key for key in samples if not key.startswith(tuple(prefixes)))
        yield proof.example(
            "the collections together",
            ("collections",),
            (
                f"An asset with the key {outside!r} arrives.",
                f"No collection takes it: their prefixes are {', '.join(map(repr, prefixes))}.",
                "It has no owner and no intended use; nothing can be decided about it.",
            ),
        )
    if not proof.possible(z3.Not(proof.found)):
        yield proof.example(
            "quarantine",
            _QUARANTINE_WHEN,
            (
                "Any version arrives.",
                f"`quarantine_when` ({proof.policy.screening.quarantine_when}) holds for it, as for every other, or "
                "cannot be known, which counts as true.",
                "It is quarantined; nothing reaches a stage unless a person releases it.",
            ),
        )


def idle_rules(proof: Proof) -> Iterator[CounterExample]:
    """Predicates that never hold, and automatic rules that others always overtake."""
    yield from _idle_quarantine(proof)
    for position, stage in enumerate(proof.policy.approval.stages):
        if stage.when is None or stage.default:
            continue
        when = proof.predicate(stage.when)
        if proof.possible(proof.version.is_true(when)):
            continue
        path: Path = (*_STAGES, position, "when")
        facts = proof.plainest(proof.version.may_be_true(when))
        if facts is None:
            last = f"Stage {stage.name} never opens because of it."
        else:
            last = f"Stage {stage.name} opens only where that cannot be known: {told_facts(_of(when, facts[1]))}."
        yield proof.example(f"stage {stage.name}", path, (_never(proof, when), last), facts)
    yield from _idle_automatic(proof)


def _idle_quarantine(proof: Proof) -> Iterator[CounterExample]:
    text = proof.policy.screening.quarantine_when
    if text is None:
        return
    when = proof.predicate(text)
    if proof.possible(z3.Not(proof.found_by_inspection), proof.version.is_true(when)):
        return
    if not proof.possible(proof.version.is_true(when)):
        steps = (_never(proof, when), "Nothing is quarantined because of it, unless it cannot be known.")
    else:
        facts = proof.plainest(proof.version.is_true(when))
        steps = (
            f"A version arrives for which `quarantine_when` holds; {told_facts(facts[0] if facts else {})}.",
            "It was quarantined before anybody asks: its kind or size is not let in, or it cannot be read.",
        )
    yield proof.example("quarantine", _QUARANTINE_WHEN, steps)


def _idle_automatic(proof: Proof) -> Iterator[CounterExample]:
    rules = proof.policy.approval.automatic
    free = [z3.Not(proof.found), z3.Not(proof.blocked)]
    for position, rule in enumerate(rules):
        path: Path = ("approval", "automatic", position, "when")
        subject = f"the automatic rule “{rule.name}”"
        holds = proof.approves(position)
        if not proof.possible(holds):
            yield proof.example(subject, path, (_never(proof, proof.predicate(rule.when)), "It never approves."))
        elif not proof.possible(holds, z3.Not(proof.blocked)):
            facts = proof.plainest(holds)
            yield proof.example(
                subject,
                path,
                (
                    f"A version arrives for which it holds; {told_facts(facts[0] if facts else {})}.",
                    "Its clearance is in `rights.block`, as that of every such version: no rule may approve it.",
                ),
                facts,
            )
        elif not proof.possible(z3.Not(proof.found)):
            return  # everything is quarantined: told as a version without a route
        elif not proof.possible(holds, *free):
            facts = proof.plainest(holds, z3.Not(proof.blocked))
            yield proof.example(
                subject,
                path,
                (
                    f"A version arrives for which it holds; {told_facts(facts[0] if facts else {})}.",
                    "It is quarantined, as is every such version: no rule may approve it.",
                ),
                facts,
            )
        else:
            yield from _overtaken(proof, position, free)


def _overtaken(proof: Proof, position: int, free: list[Condition]) -> Iterator[CounterExample]:
    """The rules before it take all that a rule could approve."""
    rules = proof.policy.approval.automatic
    holds = proof.approves(position)
    earlier = [z3.Not(proof.approves(one)) for one in range(position)]
    if proof.possible(holds, *free, *earlier):
        return
    takers = [f"“{rules[one].name}”" for one in proof.needed(earlier, [holds, *free])]
    facts = proof.plainest(holds, *free)
    yield proof.example(
        f"the automatic rule “{rules[position].name}”",
        ("approval", "automatic", position, "when"),
        (
            f"A version arrives for which it holds; {told_facts(facts[0] if facts else {})}.",
            f"{' or '.join(takers)} comes first, and approves this one as every other such version.",
        ),
        facts,
    )


def _never(proof: Proof, when: Predicate) -> str:
    """Why a predicate cannot be true: the parts of it that exclude each other, if it is made of parts."""
    parts = [Predicate("", node) for node in conjuncts(when.root)]
    if len(parts) > 1:
        needed = proof.needed([proof.version.is_true(part) for part in parts])
        excluded = [written(parts[place].root) for place in needed]
        return f"No version has {' and '.join(excluded)}, so `{when.text}` is never true."
    return f"`{when.text}` is true of no version."


def _of(when: Predicate, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in when.names}


def circular_stages(proof: Proof) -> Iterator[CounterExample]:
    """Stages that wait for themselves: their gates would never open."""
    for position, stage in enumerate(proof.policy.approval.stages):
        if stage.name in stages_before(proof.policy, stage.name):
            yield proof.example(
                f"stage {stage.name}",
                (*_STAGES, position, "after"),
                (
                    f"A version is in review and needs an approval of {stage.name}.",
                    f"{stage.name} comes after {', '.join(stage.after)}, and in the end after itself.",
                    "Its gate never opens: nobody is asked, no deadline runs, and the version stays in review.",
                ),
            )
