"""Whatever waits has an owner, a deadline and an end; and enough people, whoever of them is away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from policies.claims import CounterExample, told_facts
from policies.document import Collection, Deadline, Stage
from policies.lifecycle import TRANSITIONS, Action, State, allowed
from policies.proof import Proof
from policies.yaml_source import Path

if TYPE_CHECKING:
    from policies.roster import Delegation, RosterDocument

_NOBODY: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class _Wait:
    """Something that waits for people: where its ladder stands, who is asked first, and from which state it ends."""

    subject: str
    path: Path
    asked: str
    deadline: Deadline
    state: State


def endless_waits(proof: Proof) -> Iterator[CounterExample]:
    """Ladders that climb to people who were asked already, or to nobody."""
    members = _members(proof.roster)
    for wait in _waits(proof):
        asked = [wait.asked]
        for rung, escalation in enumerate(wait.deadline.escalate):
            before = frozenset[str]().union(*(members.get(group, _NOBODY) for group in asked))
            again = escalation.to in asked
            nobody_new = members.get(escalation.to, frozenset({""})) <= before
            if again or nobody_new:
                yield proof.example(
                    wait.subject,
                    (*wait.path, "escalate", rung, "to"),
                    (
                        f"{wait.subject[0].upper()}{wait.subject[1:]} waits for {wait.asked}, and nobody of it acts.",
                        f"After {wait.deadline.within} it escalates to {escalation.to}"
                        + (", which was asked before." if again else f": everybody there is in {' or '.join(asked)}."),
                        f"The same people wait {escalation.within} more, and nobody else hears of it.",
                    ),
                )
            asked.append(escalation.to)


def approving_deadlines(proof: Proof) -> Iterator[CounterExample]:
    """Ladders whose end is an approval, or leads past one."""
    for wait in _waits(proof):
        reached = allowed(wait.state, Action(wait.deadline.outcome))
        if reached & {State.APPROVED, State.PUBLISHED}:
            yield proof.example(
                wait.subject,
                (*wait.path, "finally"),
                (
                    f"{wait.subject[0].upper()}{wait.subject[1:]} waits for {wait.asked}, and nobody acts.",
                    f"At its end the deadline does {wait.deadline.outcome}: the version is {min(reached)}.",
                ),
            )


def dead_ends(proof: Proof) -> Iterator[CounterExample]:
    """Deadlines whose outcome the lifecycle does not have, and states that nothing leads out of."""
    for wait in _waits(proof):
        if not allowed(wait.state, Action(wait.deadline.outcome)):
            yield proof.example(
                wait.subject,
                (*wait.path, "finally"),
                (
                    f"{wait.subject[0].upper()}{wait.subject[1:]} waits for {wait.asked}, and nobody acts.",
                    f"At its end the deadline does {wait.deadline.outcome}, but from {wait.state} no such step leads "
                    "anywhere.",
                    f"The version stays {wait.state} for ever.",
                ),
            )
    left = {step.from_state for step in TRANSITIONS}
    for state in State:
        if state not in left and state is not State.DISPOSED:
            yield proof.example("the lifecycle", ("name",), [f"A version that is {state} stays so for ever."])


def short_groups(proof: Proof, roster: RosterDocument) -> Iterator[CounterExample]:
    """Stages and owners that one absence leaves without enough people."""
    members = _members(roster)
    for owner in _owners(proof):
        yield from _lonely_owner(proof, owner, members)
    for position, stage in enumerate(proof.policy.approval.stages):
        for collection in proof.policy.collections:
            found = _shortage(proof, roster, members, position, stage, collection)
            if found is not None:
                yield found
                break


def _shortage(
    proof: Proof,
    roster: RosterDocument,
    members: Mapping[str, frozenset[str]],
    position: int,
    stage: Stage,
    collection: Collection,
) -> CounterExample | None:
    four_eyes = proof.policy.approval.four_eyes
    known = collection.submitter is not None
    quorum = stage.quorum if known or not four_eyes else max(stage.quorum, 2)
    excluded = members.get(collection.submitter or "", _NOBODY) if four_eyes else _NOBODY
    first = members.get(stage.reviewers, _NOBODY) - excluded
    owners = members.get(collection.owner, _NOBODY) - excluded
    asked = first if len(first) >= quorum else first | owners
    rungs = [escalation.to for escalation in stage.deadline.escalate]
    eligible = asked.union(*(members.get(group, _NOBODY) for group in rungs)) - excluded
    absences = (
        (able_to_act(eligible, excluded, roster, away, at), away, at) for away, at in _absences(eligible, roster)
    )
    able, away, at = next((one for one in absences if one[0] < quorum), (quorum, None, None))
    if able >= quorum:
        return None
    facts = proof.plainest(proof.opens(stage), proof.version.is_one_of("collection", [collection.name]))
    if facts is None:
        return None
    groups = dict.fromkeys([stage.reviewers, *([collection.owner] if asked != first else []), *rungs])
    steps = [
        f"A version arrives in {collection.name}; {told_facts(facts[0])}.",
        f"Stage {stage.name} opens and needs {quorum} approval{'s' if quorum > 1 else ''}"
        + ("." if quorum == stage.quorum else ", two at least, because nobody is known to have submitted it."),
        f"Who may approve is in {', '.join(groups)}: {_listed(eligible)}"
        + (f"; not {collection.submitter}, who submits." if excluded else "."),
    ]
    if at is not None:
        steps.append(
            f"From {at.isoformat()} on, {_absent(eligible, roster, at)} is away and has handed their part over."
        )
    if away is not None:
        steps.append(f"{away} is away.")
    steps.append(f"{able} of {quorum} approvals can be had: the gate cannot pass.")
    path: Path = ("approval", "stages", position, "quorum")
    return proof.example(f"stage {stage.name} in {collection.name}", path, steps, facts)


def able_to_act(
    eligible: frozenset[str], excluded: frozenset[str], roster: RosterDocument, away: str | None, at: datetime | None
) -> int:
    """How many approvals can come together at `at` without the person `away`.

    One person acts once, and each of those who are `eligible` counts once: themselves, or by whom they handed their
    part to. Who has handed it over is away. Whoever is `excluded` acts for nobody.
    """
    handed = {one.principal: one.delegate for one in _running(roster, at)}
    actors: dict[str, list[str]] = {}
    for principal in sorted(eligible):
        holder, seen = principal, {principal}
        while holder in handed and handed[holder] not in seen:
            holder = handed[holder]
            seen.add(holder)
        if holder != away and holder not in excluded and holder not in handed:
            actors.setdefault(holder, []).append(principal)
    return len(actors)


def _absences(eligible: frozenset[str], roster: RosterDocument) -> Iterator[tuple[str | None, datetime | None]]:
    """Who may be away, at the times at which another delegation begins."""
    people = {person.handle for person in roster.people}
    times = sorted({one.starts_at for one in roster.delegations} | {one.ends_at for one in roster.delegations})
    for at in (None, *times):
        concerned = eligible | {one.delegate for one in _running(roster, at)}
        yield from ((one, at) for one in (None, *sorted(concerned & people)))


def _running(roster: RosterDocument, at: datetime | None) -> list[Delegation]:
    return [] if at is None else [one for one in roster.delegations if one.starts_at <= at < one.ends_at]


def _absent(eligible: Iterable[str], roster: RosterDocument, at: datetime) -> str:
    return _listed({one.principal for one in _running(roster, at)} & set(eligible))


def _lonely_owner(proof: Proof, owner: _Wait, members: Mapping[str, frozenset[str]]) -> Iterator[CounterExample]:
    groups = [owner.asked, *(rung.to for rung in owner.deadline.escalate)]
    people = _NOBODY.union(*(members.get(group, _NOBODY) for group in groups))
    if len(people) >= 2:
        return
    yield proof.example(
        owner.subject,
        owner.path,
        (
            f"A version is {owner.state} and waits for {' or '.join(groups)}: {_listed(people)}.",
            f"{_listed(people)} is away." if people else "The roster has nobody there.",
            "Nobody can act, until the deadline ends it.",
        ),
    )


def _owners(proof: Proof) -> Iterator[_Wait]:
    """Who answers for what is quarantined, and for what has been sent back."""
    policy, path = proof.policy, ("screening", "quarantine", "owner")
    aside = policy.screening.quarantine
    yield _Wait("quarantine", path, aside.owner, aside.deadline, State.QUARANTINED)
    for position, one in enumerate(policy.collections):
        yield _Wait(
            f"collection {one.name}",
            ("collections", position, "owner"),
            one.owner,
            policy.approval.changes_requested,
            State.CHANGES_REQUESTED,
        )


def _waits(proof: Proof) -> Iterator[_Wait]:
    policy = proof.policy
    quarantine: Path = ("screening", "quarantine")
    yield _Wait(
        "quarantine",
        (*quarantine, "deadline"),
        policy.screening.quarantine.owner,
        policy.screening.quarantine.deadline,
        State.QUARANTINED,
    )
    changes: Path = ("approval", "changes_requested")
    ladder = policy.approval.changes_requested
    yield _Wait("a requested change", changes, "whoever submitted", ladder, State.CHANGES_REQUESTED)
    for position, stage in enumerate(policy.approval.stages):
        path: Path = ("approval", "stages", position)
        yield _Wait(
            f"stage {stage.name}",
            (*path, "deadline"),
            stage.reviewers,
            stage.deadline,
            State.IN_REVIEW,
        )


def _members(roster: RosterDocument | None) -> Mapping[str, frozenset[str]]:
    return {} if roster is None else {group: frozenset(handles) for group, handles in roster.groups.items()}


def _listed(people: Iterable[str]) -> str:
    return ", ".join(sorted(people)) or "nobody"
