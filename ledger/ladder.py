"""Firing the rungs of deadlines: remind, ask others as well, end the wait; each once, with all that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.delegations import stand_ins
from ledger.eligibility import group_members
from ledger.gates import told_people
from ledger.notices import write_notices
from ledger.rounds import close_round
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, move, void_open_gates
from ledger.waits import Wait, undecided_pairs
from policies.calendars import Calendar
from policies.deadlines import FiredRung, PlannedRung, Rung, RungKind, due_by, fire, next_rung
from policies.lifecycle import Action, State

_ESCALATED: Final = "Its time was over, and more people may decide here now."
_OUTCOMES: Final = {
    "reject": ("rejected", Action.REJECT),
    "request_changes": ("changes_requested", Action.REQUEST_CHANGES),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The deadline of a wait: its ladder, and the groups of the roster that hear of it.

    `reminded` are reminded beside those who may decide; `told` hear of the end as well.
    """

    calendar: Calendar
    rungs: tuple[Rung, ...]
    reminded: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def next_for(self, wait: Wait) -> PlannedRung | None:
        """The rung that comes next for this wait, and when."""
        return next_rung(self.rungs, self.calendar, wait.since_at, _fired(wait))

    def is_due(self, wait: Wait, now: datetime) -> bool:
        """Whether a rung is to fire for this wait now."""
        planned = self.next_for(wait)
        return planned is not None and planned.at <= now


@dataclass(frozen=True, slots=True)
class Firing:
    """A rung that fired for a wait. `due_at` is when the time of those who are asked now is over, None at the end.

    `due_before` is what it was before this rung: others are asked now, or the rung was late.
    """

    wait: Wait
    terms: Terms
    planned: PlannedRung
    due_before: datetime | None
    due_at: datetime | None

    @property
    def moved(self) -> bool:
        """Whether the due time is another one now."""
        return self.due_at != self.due_before

    @property
    def rung(self) -> Rung:
        """The rung itself."""
        return self.planned.rung


def fire_due(tx: Transaction, waits: Iterable[Wait], terms_of: Callable[[Wait], Terms]) -> list[Firing]:
    """Fire the next rung of each of these waits for which it is time; returns what fired.

    The waits must have been read in this transaction: then two sweeps at once fire nothing twice, and a rung whose
    transaction did not commit never fired. One rung a wait at a time: the next one has its interval first. A version
    that one of its gates ends here is ended once.
    """
    firings = _due(tx.origin.at, waits, terms_of)
    members, ever = group_members(tx.connection) if firings else ({}, {})
    for (kind, _, _), group in groupby(sorted(firings, key=_in_order), key=_occasion):
        together = list(group)
        if kind is RungKind.REMIND:
            _remind(tx, together, members)
        elif kind is RungKind.ESCALATE:
            _escalate(tx, together, members, ever)
        else:
            _end(tx, together, members)
    return firings


def _fired(wait: Wait) -> tuple[FiredRung, ...]:
    """Its rungs so far. What waits still has not been ended, whatever a row says that stands without its end."""
    return tuple(replace(one, kind=RungKind.REMIND) if one.kind is RungKind.FINALLY else one for one in wait.fired)


def _due(now: datetime, waits: Iterable[Wait], terms_of: Callable[[Wait], Terms]) -> list[Firing]:
    due = []
    for wait in waits:
        terms = terms_of(wait)
        planned = terms.next_for(wait)
        if planned is None or planned.at > now:
            continue
        before = due_by(terms.rungs, terms.calendar, wait.since_at, _fired(wait))
        after = due_by(terms.rungs, terms.calendar, wait.since_at, (*_fired(wait), fire(planned, now)))
        due.append(Firing(wait, terms, planned, before, after))
    ends: dict[int, Firing] = {}
    for one in due:
        if one.rung.kind is RungKind.FINALLY:
            ends.setdefault(one.wait.version_id, one)
    return [one for one in due if ends.get(one.wait.version_id, one) is one]


def _occasion(firing: Firing) -> tuple[RungKind, str, int]:
    """What people hear of at once: a rung of one review, or of one version that waits by itself."""
    wait = firing.wait
    about = f"version {wait.version_id} since {wait.since_seq}"
    if wait.gate and wait.review:
        about = f"review {wait.review.review_id}"
    return firing.rung.kind, about, firing.rung.number


def _in_order(firing: Firing) -> tuple[bool, RungKind, str, int]:
    """What ends comes last: until then its version waits, and whatever else is due for it may fire."""
    return firing.rung.kind is RungKind.FINALLY, *_occasion(firing)


def _record(tx: Transaction, firings: Sequence[Firing]) -> None:
    """Note the rungs: after the events that tell of them, a last one before what it ends and is the cause of."""
    tx.insert(
        tables.rungs,
        [
            {
                "rung_id": rung_id,
                "version_id": one.wait.version_id,
                "round": one.wait.round,
                "gate_id": one.wait.gate.gate_id if one.wait.gate else None,
                "since_seq": one.wait.since_seq,
                "number": one.rung.number,
                "kind": str(one.rung.kind),
                "group_name": one.rung.to,
                "outcome": one.rung.outcome,
                "planned_at": one.planned.at,
                "fired_at": tx.origin.at,
            }
            for rung_id, one in zip(tx.number(tables.rungs, len(firings)), firings, strict=True)
        ],
    )


def _remind(tx: Transaction, firings: Sequence[Firing], members: Mapping[str, frozenset[int]]) -> None:
    people = _in_groups(members, (group for one in firings for group in one.terms.reminded))
    _move_due_times(tx, firings)
    tx.append(_told(one, "remind") for one in firings)
    _record(tx, firings)
    _notify(tx, firings, people | _undecided(tx, firings))


def _escalate(
    tx: Transaction,
    firings: Sequence[Firing],
    members: Mapping[str, frozenset[int]],
    ever: Mapping[str, frozenset[int]],
) -> None:
    """Ask the people of the rung's group as well; a review is parked anew, so that its form offers them."""
    group = members.get(firings[0].rung.to or "", frozenset())
    before, added = _make_eligible(tx, firings, group, ever)
    _move_due_times(tx, firings)
    tx.append(
        _told(
            one,
            "escalate",
            to=one.rung.to,
            added=sorted(added.get(one.wait.version_id, ())),
            before=told_people(before.get(one.wait.version_id, ())),
        )
        for one in firings
    )
    _record(tx, firings)
    for review_id, review_round in sorted({(r.review_id, r.round) for one in firings if (r := one.wait.review)}):
        close_round(tx, review_id, review_round, "replaced", _ESCALATED)
    _notify(tx, firings, group & _undecided(tx, firings, unless_gate=group))


def _make_eligible(
    tx: Transaction, firings: Sequence[Firing], group: frozenset[int], ever: Mapping[str, frozenset[int]]
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Version → who may decide for themselves at its gate until now, and → people added there.

    Who was eligible there once, or submits, is not added (again).
    """
    eligible = tables.gate_eligible
    gates = {one.wait.gate.gate_id: one.wait for one in firings if one.wait.gate}
    known: dict[int, set[int]] = {}
    before: dict[int, set[int]] = {wait.version_id: set() for wait in gates.values()}
    for batch in batches(gates):
        for row in tx.connection.execute(sa.select(eligible).where(eligible.c.gate_id.in_(batch))):
            known.setdefault(row.gate_id, set()).update((row.person_id, row.on_behalf_of))
            if row.person_id == row.on_behalf_of and row.revoked_at is None:
                before[gates[row.gate_id].version_id].add(row.person_id)
    added: dict[int, set[int]] = {}
    rows = []
    for gate_id, wait in gates.items():
        submitting = ever.get(wait.submitter or "", frozenset()) if wait.gate and wait.gate.four_eyes else frozenset()
        added[wait.version_id] = set(group - known.get(gate_id, set()) - submitting)
        rows += [
            {"gate_id": gate_id, "person_id": one, "on_behalf_of": one, "via": "escalation", "added_at": tx.origin.at}
            for one in sorted(added[wait.version_id])
        ]
    tx.insert(eligible, rows)
    return before, added


def _end(tx: Transaction, firings: Sequence[Firing], members: Mapping[str, frozenset[int]]) -> None:
    """End the waits as their deadline says: the gate gives the outcome, the version's others are voided."""
    people = _in_groups(members, (group for one in firings for group in one.terms.told)) | _undecided(tx, firings)
    gates = tables.gates
    _record(tx, firings)
    for outcome in sorted({str(one.rung.outcome) for one in firings}):
        ended = [one for one in firings if one.rung.outcome == outcome]
        closed, action = _OUTCOMES[outcome]
        for batch in batches(one.wait.gate.gate_id for one in ended if one.wait.gate):
            tx.connection.execute(
                gates.update().where(gates.c.gate_id.in_(batch)).values(outcome=closed, closed_at=tx.origin.at)
            )
        void_open_gates(tx, [one.wait.version_id for one in ended if one.wait.gate])
        move(tx, [_ending(one, action) for one in ended])
    gates_of = {
        (one.wait.review.review_id, one.wait.review.round) for one in firings if one.wait.gate and one.wait.review
    }
    for review_id, review_round in sorted(gates_of):
        close_round(tx, review_id, review_round, "closed", "Its time was over.")
    _notify(tx, firings, people)


def _ending(firing: Firing, action: Action) -> Move:
    wait = firing.wait
    return Move(
        wait.version_id,
        action,
        State(wait.state),
        round=wait.round,
        rule=_rule(wait),
        reason=_rule(wait),
        details=_details(firing),
    )


def _move_due_times(tx: Transaction, firings: Sequence[Firing]) -> None:
    """Bring the due times of gates and reviews to what the ladder says after this rung."""
    gates, reviews = tables.gates, tables.reviews
    of_gates = {one.wait.gate.gate_id: one.due_at for one in firings if one.wait.gate and one.moved}
    of_reviews = {one.wait.review.review_id: one.due_at for one in firings if one.wait.review and one.moved}
    for table, key, due in ((gates, gates.c.gate_id, of_gates), (reviews, reviews.c.review_id, of_reviews)):
        for due_at in set(due.values()):
            for batch in batches(one for one, at in due.items() if at == due_at):
                tx.connection.execute(table.update().where(key.in_(batch)).values(due_at=due_at))


def _undecided(tx: Transaction, firings: Sequence[Firing], unless_gate: frozenset[int] = frozenset()) -> set[int]:
    """People whose decision is still awaited at the gates of these; `unless_gate` where there is none."""
    gates = [one.wait.gate.gate_id for one in firings if one.wait.gate]
    if not gates:
        return set(unless_gate)
    return {person for pairs in undecided_pairs(tx.connection, gates).values() for person, _ in pairs}


def _in_groups(members: Mapping[str, frozenset[int]], groups: Iterable[str]) -> set[int]:
    return {person for group in set(groups) for person in members.get(group, frozenset())}


def _notify(tx: Transaction, firings: Sequence[Firing], people: Iterable[int]) -> None:
    first = firings[0]
    kind, about, number = _occasion(first)
    gate = first.wait.gate
    asked = set(people)
    if gate is None:
        away = stand_ins(tx.connection, tx.origin.at)
        asked |= {away[one] for one in asked if one in away}
    body: dict[str, Any] = {
        "state": first.wait.state,
        "stage": gate.stage if gate else None,
        "collection": first.wait.collection,
        "assets": len(firings),
        "keys": [one.wait.key for one in firings[:3]],
        "due_at": first.due_at.isoformat() if first.due_at else None,
        "outcome": first.rung.outcome,
    }
    write_notices(
        tx,
        str(kind),
        f"{about} rung {number}",
        asked,
        body,
        review_id=first.wait.review.review_id if gate and first.wait.review else None,
        version_id=None if gate else first.wait.version_id,
    )


def _told(firing: Firing, action: str, **more: Any) -> Draft:
    wait = firing.wait
    return Draft(
        action,
        version_id=wait.version_id,
        round=wait.round,
        policy_sha256=wait.policy_sha256,
        rule=_rule(wait),
        details={**_details(firing), **more},
    )


def _rule(wait: Wait) -> str:
    return f"deadline: {f'stage {wait.gate.stage}' if wait.gate else wait.state}"


def _details(firing: Firing) -> dict[str, Any]:
    gate, review = firing.wait.gate, firing.wait.review
    return {
        "rung": firing.rung.number,
        "planned_at": firing.planned.at.isoformat(),
        "due_before": firing.due_before.isoformat() if firing.due_before else None,
        "due_at": firing.due_at.isoformat() if firing.due_at else None,
        **({"gate": gate.gate_id, "stage": gate.stage} if gate else {"state": firing.wait.state}),
        **({"review": review.review_id} if review else {}),
    }
