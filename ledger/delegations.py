"""Absences: a person hands their part to another for a time, and open gates follow when it begins and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.eligibility import UndecidedGate, group_members, undecided_gates
from ledger.errors import DelegationRefused, UnknownName
from ledger.notices import write_notices
from ledger.transaction import Draft, Transaction, batches
from policies.calendars import MOMENTS_ALLOWED, is_moment


@dataclass(frozen=True, slots=True)
class Delegation:
    """`principal` hands their part to `delegate`, both by handle, from `starts_at` until `ends_at`."""

    delegation_id: int
    principal_id: int
    principal: str
    principal_name: str | None
    delegate_id: int
    delegate: str
    delegate_name: str | None
    starts_at: datetime
    ends_at: datetime

    def runs_at(self, moment: datetime) -> bool:
        """Whether it has begun and is not over."""
        return self.starts_at <= moment < self.ends_at


@dataclass(frozen=True, slots=True)
class StandInChange:
    """What absences ask for at one open gate: (person, for whom) who may decide now, and who may not any more."""

    gate: UndecidedGate
    added: tuple[tuple[int, int], ...]
    revoked: tuple[tuple[int, int], ...]


def present_and_coming(connection: sa.Connection, now: datetime) -> list[Delegation]:
    """Delegations that run or are still to come, of people who are there, the next to begin first."""
    table, people = tables.delegations, tables.people
    principal, delegate = people.alias(), people.alias()
    query = (
        sa.select(
            table.c.delegation_id,
            table.c.principal_id,
            principal.c.handle.label("principal"),
            principal.c.name.label("principal_name"),
            table.c.delegate_id,
            delegate.c.handle.label("delegate"),
            delegate.c.name.label("delegate_name"),
            table.c.starts_at,
            table.c.ends_at,
        )
        .join(principal, principal.c.person_id == table.c.principal_id)
        .join(delegate, delegate.c.person_id == table.c.delegate_id)
        .where(principal.c.left_at.is_(None), delegate.c.left_at.is_(None))
        .where(table.c.revoked_at.is_(None), table.c.ends_at > now)
        .order_by(table.c.starts_at, table.c.delegation_id)
    )
    return [Delegation(**row._mapping) for row in connection.execute(query)]


def check_delegation(
    connection: sa.Connection, principal: str, delegate: str, starts_at: datetime, ends_at: datetime, now: datetime
) -> tuple[int, int]:
    """The ids of both, if the one may hand their part to the other then; nothing is written.

    A part is with one person at a time, who keeps their own and does not hand it on: so nothing goes in a circle, and
    the decision says on whose behalf it is. Raises `UnknownName` and `DelegationRefused`.
    """
    ids = {handle: _person(connection, handle) for handle in (principal, delegate)}
    if principal == delegate:
        raise DelegationRefused(f"{principal} cannot stand in for {principal}; name somebody else")
    for moment in (starts_at, ends_at):
        if not is_moment(moment):
            raise DelegationRefused(f"{moment.isoformat()} is not {MOMENTS_ALLOWED}; nothing was written")
    if starts_at >= ends_at or ends_at <= now:
        when = f"it would end at {_told(ends_at)}"
        raise DelegationRefused(f"{when}, which is {'over' if ends_at <= now else 'before it begins'}; say a later end")
    for one in present_and_coming(connection, now):
        if one.starts_at >= ends_at or starts_at >= one.ends_at:
            continue
        then = f"from {_told(one.starts_at)} until {_told(one.ends_at)}"
        if one.principal == principal:
            problem = f"the part of {principal} is with {one.delegate} {then}"
        elif (one.principal, one.delegate) == (delegate, principal):
            problem = f"the part of {delegate} is with {principal} {then}: it would go in a circle"
        elif one.principal == delegate:
            problem = f"{delegate} is away {then}, and their part is with {one.delegate}"
        elif one.delegate == principal:
            problem = f"{principal} stands in for {one.principal} {then}, and a part is not handed on"
        else:
            continue
        raise DelegationRefused(
            f"{problem}; choose other days or another person, or end that first: signoff people undelegate "
            f"{one.principal}"
        )
    return ids[principal], ids[delegate]


def delegate_part(tx: Transaction, principal: str, delegate: str, starts_at: datetime, ends_at: datetime) -> int:
    """Hand a person's part to another for a time; returns the number of the delegation.

    One event, by numbers of people; the one who stands in is told. Who may decide at open gates follows by
    `follow_absences`. Raises what `check_delegation` raises.
    """
    ids = check_delegation(tx.connection, principal, delegate, starts_at, ends_at, tx.origin.at)
    (number,) = tx.number(tables.delegations)
    whose = {"delegation_id": number, "principal_id": ids[0], "delegate_id": ids[1]}
    tx.insert(tables.delegations, [{**whose, "starts_at": starts_at, "ends_at": ends_at}])
    times = {"from": starts_at.isoformat(), "until": ends_at.isoformat()}
    tx.append([Draft("delegate", details={"delegation": number, "principal": ids[0], "delegate": ids[1], **times})])
    body = {"principal": ids[0], **times}
    write_notices(tx, "delegated", f"delegation {number} begins", [ids[1]], body)
    return number


def import_delegations(tx: Transaction, wanted: Iterable[tuple[str, str, datetime, datetime]]) -> list[int]:
    """Hand over what a roster file says (principal, delegate, from, until) and the ledger has not heard; its numbers.

    What is over is left out, and so is what was taken back: the file does not hand it over again. What the file has no
    more stays until it is taken back. Raises what `check_delegation` raises.
    """
    table, people = tables.delegations, tables.people
    ids = {row.handle: row.person_id for row in tx.connection.execute(sa.select(people))}
    known = {
        (row.principal_id, row.delegate_id, row.starts_at, row.ends_at)
        for row in tx.connection.execute(sa.select(table))
    }
    return [
        delegate_part(tx, principal, delegate, starts_at, ends_at)
        for principal, delegate, starts_at, ends_at in wanted
        if ends_at > tx.origin.at and (ids.get(principal), ids.get(delegate), starts_at, ends_at) not in known
    ]


def take_back_part(tx: Transaction, principal: str, delegate: str | None = None) -> list[Delegation]:
    """End what a person has handed over (to `delegate` only, if given), or was going to; returns what was ended.

    Raises `UnknownName`, and `DelegationRefused` where there is nothing to end.
    """
    _person(tx.connection, principal)
    ended = [
        one
        for one in present_and_coming(tx.connection, tx.origin.at)
        if one.principal == principal and delegate in (None, one.delegate)
    ]
    if not ended:
        whom = f" to {delegate}" if delegate else ""
        raise DelegationRefused(f"{principal} has handed nothing over{whom}; `signoff people away` lists what is")
    table = tables.delegations
    for one in ended:
        this = table.c.delegation_id == one.delegation_id
        tx.connection.execute(table.update().where(this).values(revoked_at=tx.origin.at))
        details = {"delegation": one.delegation_id, "principal": one.principal_id, "delegate": one.delegate_id}
        tx.append([Draft("undelegate", details=details)])
        body = {"principal": one.principal_id, "until": tx.origin.at.isoformat()}
        write_notices(tx, "delegated", f"delegation {one.delegation_id} ends", [one.delegate_id], body)
    return ended


def stands_in(connection: sa.Connection, person_id: int, principal_id: int, moment: datetime) -> bool:
    """Whether a person stands in for another at this moment."""
    table = tables.delegations
    query = sa.select(sa.literal(1)).where(
        table.c.principal_id == principal_id,
        table.c.delegate_id == person_id,
        table.c.revoked_at.is_(None),
        table.c.starts_at <= moment,
        table.c.ends_at > moment,
    )
    return connection.scalar(query.limit(1)) is not None


def stand_ins(connection: sa.Connection, moment: datetime) -> dict[int, int]:
    """Who is away at this moment → who stands in for them."""
    there = present_and_coming(connection, moment)
    return {one.principal_id: one.delegate_id for one in there if one.runs_at(moment)}


def stand_in_at_new_gates(tx: Transaction) -> None:
    """Let those who stand in now decide at open gates that no review carries yet, so that its first form offers them.

    One small question while nobody is away.
    """
    if any(one.runs_at(tx.origin.at) for one in present_and_coming(tx.connection, tx.origin.at)):
        fresh = [gate for gate in undecided_gates(tx.connection) if gate.review_id is None]
        change_stand_ins(tx, compare_with_absences(tx.connection, fresh, tx.origin.at))


def compare_with_absences(
    connection: sa.Connection, gates: Sequence[UndecidedGate], now: datetime
) -> list[StandInChange]:
    """What absences ask for at these open gates; only gates where anything changes.

    Who stands in may decide for each person of the gate who is away and has not decided. With four eyes neither of the
    two may have submitted the version. What has begun and ended is told from `now` alone.
    """
    running = stand_ins(connection, now)
    rows = _rows(connection, gates, only_delegated=not running)
    if not running and not rows:
        return []
    submitting = group_members(connection)[1]
    acted = _acted(connection, gates)
    changes = []
    for gate in gates:
        excluded = submitting.get(gate.submitter or "", frozenset()) if gate.four_eyes else frozenset()
        of_gate = rows.get(gate.gate_id, {})
        own = {person for (person, principal), revoked in of_gate.items() if person == principal and not revoked}
        wanted = {(running[one], one) for one in own if one in running and excluded.isdisjoint((one, running[one]))}
        present = {pair for pair, revoked in of_gate.items() if pair[0] != pair[1] and not revoked}
        decided = acted.get(gate.gate_id, frozenset())
        added = sorted(pair for pair in wanted - present if decided.isdisjoint(pair))
        revoked = sorted(present - wanted)
        if added or revoked:
            changes.append(StandInChange(gate, tuple(added), tuple(revoked)))
    return changes


def change_stand_ins(tx: Transaction, changes: Iterable[StandInChange]) -> None:
    """Let those decide who stand in now, and those no more whose time is over, each gate's change as one event."""
    eligible = tables.gate_eligible
    for one in changes:
        gate_id = one.gate.gate_id
        for person, principal in one.revoked:
            tx.connection.execute(_row(gate_id, person, principal).values(revoked_at=tx.origin.at))
        fresh = []
        for person, principal in one.added:  # what was handed over before, and is again, has its row already
            again = _row(gate_id, person, principal).values(revoked_at=None)
            if tx.connection.execute(again).rowcount == 0:
                fresh.append((person, principal))
        tx.insert(
            eligible,
            [
                {
                    "gate_id": gate_id,
                    "person_id": person,
                    "on_behalf_of": principal,
                    "via": "delegation",
                    "added_at": tx.origin.at,
                }
                for person, principal in fresh
            ],
        )
    tx.append(_change_told(one) for one in changes)


def _row(gate_id: int, person: int, principal: int) -> sa.Update:
    eligible = tables.gate_eligible
    return eligible.update().where(
        eligible.c.gate_id == gate_id, eligible.c.person_id == person, eligible.c.on_behalf_of == principal
    )


def _change_told(change: StandInChange) -> Draft:
    gate = change.gate
    details = {
        "gate": gate.gate_id,
        "stage": gate.stage,
        "begin": [{"person": person, "on_behalf_of": principal} for person, principal in change.added],
        "end": [{"person": person, "on_behalf_of": principal} for person, principal in change.revoked],
    }
    return Draft(
        "change_stand_ins",
        version_id=gate.version_id,
        round=gate.round,
        policy_sha256=gate.policy_sha256,
        details=details,
    )


def _person(connection: sa.Connection, handle: str) -> int:
    people = tables.people
    query = sa.select(people.c.person_id).where(people.c.handle == handle, people.c.left_at.is_(None))
    found: int | None = connection.scalar(query)
    if found is None:
        raise UnknownName(f"nobody in the roster has the handle {handle!r}; `signoff people list` names those who do")
    return found


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _rows(
    connection: sa.Connection, gates: Sequence[UndecidedGate], *, only_delegated: bool
) -> dict[int, dict[tuple[int, int], bool]]:
    """Gate id → (person, on behalf of) → whether revoked."""
    table = tables.gate_eligible
    found: dict[int, dict[tuple[int, int], bool]] = {}
    for batch in batches(gate.gate_id for gate in gates):
        query: sa.Select[Any] = sa.select(table).where(table.c.gate_id.in_(batch))
        if only_delegated:  # nobody is away: what began before is all that may have to end
            query = query.where(table.c.via == "delegation", table.c.revoked_at.is_(None))
        for row in connection.execute(query):
            found.setdefault(row.gate_id, {})[row.person_id, row.on_behalf_of] = row.revoked_at is not None
    return found


def _acted(connection: sa.Connection, gates: Sequence[UndecidedGate]) -> dict[int, frozenset[int]]:
    """Gate id → who has decided there, and for whom somebody has."""
    table = tables.decisions
    found: dict[int, set[int]] = {}
    for batch in batches(gate.gate_id for gate in gates):
        query = sa.select(table.c.gate_id, table.c.person_id, table.c.on_behalf_of)
        for row in connection.execute(query.where(table.c.gate_id.in_(batch), table.c.counted)):
            found.setdefault(row.gate_id, set()).update((row.person_id, row.on_behalf_of))
    return {gate_id: frozenset(people) for gate_id, people in found.items()}
