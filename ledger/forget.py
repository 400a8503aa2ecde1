"""Forget a person: erase their name, address and words beside the chain; the chain, which has only hashes, stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.engine import Ledger
from ledger.enrolment import end_enrolment
from ledger.errors import StillCounted, UnknownName
from ledger.rounds import close_round
from ledger.transaction import Draft, Transaction, batches

FORGOTTEN: Final = "forgotten person"
_REWRITTEN: Final = ("notes", "people", "parkings", "signing_secrets")
_ASKED_ANEW: Final = "Somebody whom the form offered or quoted was forgotten."


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting a person erases and ends."""

    person_id: int
    handle: str
    name: str | None
    email: str | None
    groups: tuple[str, ...]
    decisions: int
    """Decisions that stay, by the person's number."""
    note_ids: tuple[int, ...]
    """Comments whose words and salts are erased."""
    rounds: tuple[tuple[int, int], ...]
    """(review, round) whose notice to the next reviewers names the person."""
    forms: tuple[tuple[int, int], ...] = ()
    """(review, round) that waits now, and whose form names the person or may do so."""


def plan_forgetting(connection: sa.Connection, handle: str) -> Forgetting:
    """What `forget_person` would erase.

    Raises `UnknownName` for a handle that nobody has, and `StillCounted` while a decision of theirs counts at an open
    gate: forgotten and brought in anew, the same human would be two people there.
    """
    people, memberships, notes = tables.people, tables.memberships, tables.notes
    person = connection.execute(sa.select(people).where(people.c.handle == handle)).one_or_none()
    if person is None or handle == _forgotten(person.person_id):
        raise UnknownName(f"nobody of the ledger has the handle {handle!r}; `signoff people list` names those who have")
    counted = _counted_in(connection, person.person_id)
    if counted:
        raise StillCounted(handle, counted)
    rounds = _rounds_that_name(connection, _names(person))
    groups = sa.select(memberships.c.group_name).where(
        memberships.c.person_id == person.person_id, memberships.c.removed_at.is_(None)
    )
    count, note_ids = 0, set[int]()
    for decisions in (tables.decisions, tables.held_decisions):
        theirs = decisions.c.person_id == person.person_id
        count += connection.scalar(sa.select(sa.func.count()).select_from(decisions).where(theirs)) or 0
        said = sa.select(notes.c.note_id).join(decisions, decisions.c.note_id == notes.c.note_id)
        note_ids.update(connection.scalars(said.where(theirs, notes.c.erased_at.is_(None))))
    return Forgetting(
        person_id=person.person_id,
        handle=handle,
        name=person.name,
        email=person.email,
        groups=tuple(sorted(connection.scalars(groups))),
        decisions=count,
        note_ids=tuple(sorted(note_ids)),
        rounds=tuple(rounds),
        forms=tuple(_forms_that_name(connection, person.person_id, rounds)),
    )


def forget_person(tx: Transaction, handle: str) -> Forgetting:
    """Erase what tells who a person was, end their part in everything, and audit it by their number alone.

    Name, address and handle go, their comments with the salts of the hashes that the chain holds, so that no guess of
    the words can be tested. They can no longer decide, and nobody of that handle is them again. Forms that name
    them are replaced: what waits is asked again without them. Raises `UnknownName` and `StillCounted`.
    """
    plan = plan_forgetting(tx.connection, handle)
    person_id, at = plan.person_id, tx.origin.at
    if tx.connection.dialect.name == "sqlite":
        tx.connection.exec_driver_sql("PRAGMA secure_delete=ON")  # freed bytes of the file are overwritten
    _redact(tx, plan)
    for batch in batches(plan.note_ids):
        erased = tables.notes.update().where(tables.notes.c.note_id.in_(batch))
        tx.connection.execute(erased.values(salt="", body=None, erased_at=at))
    _end(tx, person_id)
    end_enrolment(tx, person_id, "forgotten")
    people = tables.people
    gone = people.update().where(people.c.person_id == person_id)
    has_left = tx.connection.scalar(sa.select(people.c.left_at).where(people.c.person_id == person_id)) is not None
    tx.connection.execute(gone.values(handle=_forgotten(person_id), name=None, email=None, left_at=at))
    tx.append(
        [
            *(Draft("leave_group", details={"person": person_id, "group": group}) for group in plan.groups),
            *([] if has_left else [Draft("leave_roster", details={"person": person_id})]),
            Draft("forget_person", details={"person": person_id, "comments": len(plan.note_ids)}),
        ]
    )
    for review_id, number in plan.forms:
        close_round(tx, review_id, number, "replaced", _ASKED_ANEW)
    return plan


def let_go(ledger: Ledger) -> bool:
    """Have the database drop what was erased: SQLite folds its log in and empties it, PostgreSQL vacuums.

    False: somebody still reads what was before, and the log keeps it until a later call. Raises `LedgerUnreachable`.
    """
    with ledger.autocommitting() as connection:
        if ledger.is_sqlite:
            return bool(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0)
        for table in _REWRITTEN:
            connection.exec_driver_sql(f"VACUUM {table}")
    return True


def _forgotten(person_id: int) -> str:
    return f"{FORGOTTEN} {person_id}"


def _names(person: Any) -> list[str]:
    """Longest first, so that a full name goes before a part of it."""
    return sorted({one for one in (person.name, person.handle, person.email) if one}, key=len, reverse=True)


def _rounds_that_name(connection: sa.Connection, names: Iterable[str]) -> list[tuple[int, int]]:
    parkings = tables.parkings
    naming = sa.or_(*(parkings.c.reason.contains(name, autoescape=True) for name in names))
    query = sa.select(parkings.c.review_id, parkings.c.round).where(naming)
    return [(row.review_id, row.round) for row in connection.execute(query.order_by(*query.selected_columns))]


def _forms_that_name(
    connection: sa.Connection, person_id: int, rounds: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Rounds that wait and offer the person, or did before they left (at a gate, for somebody, as an owner), or that
    quote what they said of one of the assets before."""
    t = tables
    eligible, held, memberships = t.gate_eligible, t.review_versions, t.memberships
    asked = (
        sa.select(t.review_gates.c.review_id)
        .join(eligible, eligible.c.gate_id == t.review_gates.c.gate_id)
        .where(sa.or_(eligible.c.person_id == person_id, eligible.c.on_behalf_of == person_id))
    )
    groups = sa.select(memberships.c.group_name).where(memberships.c.person_id == person_id)
    owning = sa.select(held.c.review_id).where(held.c.owner.in_(groups))
    escalated = (
        sa.select(held.c.review_id)
        .join(t.rungs, sa.and_(t.rungs.c.version_id == held.c.version_id, t.rungs.c.since_seq == held.c.since_seq))
        .where(t.rungs.c.group_name.in_(groups))
    )
    parkings = t.parkings
    offering = asked.union(owning, escalated, *_quoting(person_id))
    query = (
        sa.select(parkings.c.review_id, parkings.c.round, parkings.c.review_id.in_(offering))
        .where(parkings.c.status.in_(("to_park", "parked")))
        .order_by(parkings.c.review_id, parkings.c.round)
    )
    naming = set(rounds)
    return [
        (review_id, number)
        for review_id, number, offers in connection.execute(query)
        if offers or (review_id, number) in naming
    ]


def _quoting(person_id: int) -> list[sa.Select[Any]]:
    """Reviews of assets that the person has commented on, in any version: their forms show what was said before."""
    t = tables
    versions, others = t.versions, t.versions.alias("others")
    at_gates = (
        sa.select(t.gates.c.version_id)
        .join(t.decisions, t.decisions.c.gate_id == t.gates.c.gate_id)
        .where(t.decisions.c.person_id == person_id, t.decisions.c.note_id.is_not(None))
    )
    on_held = sa.select(t.held_decisions.c.version_id).where(t.held_decisions.c.person_id == person_id)
    commented = (
        sa.select(others.c.version_id)
        .join(versions, versions.c.asset_id == others.c.asset_id)
        .where(versions.c.version_id.in_(at_gates.union(on_held)))
    )
    gated = (
        sa.select(t.review_gates.c.review_id)
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .where(t.gates.c.version_id.in_(commented))
    )
    held = sa.select(t.review_versions.c.review_id).where(t.review_versions.c.version_id.in_(commented))
    return [gated, held]


def _counted_in(connection: sa.Connection, person_id: int) -> list[int]:
    """Reviews with open gates at which a decision by the person, or for them, counts."""
    t = tables
    query = (
        sa.select(t.review_gates.c.review_id)
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
        .join(t.decisions, t.decisions.c.gate_id == t.gates.c.gate_id)
        .where(
            t.gates.c.outcome.is_(None),
            t.versions.c.state == "in_review",
            t.versions.c.round == t.gates.c.round,
            t.decisions.c.counted,
            sa.or_(t.decisions.c.person_id == person_id, t.decisions.c.on_behalf_of == person_id),
        )
        .distinct()
        .order_by(t.review_gates.c.review_id)
    )
    return list(connection.scalars(query))


def _redact(tx: Transaction, plan: Forgetting) -> None:
    """Take the person out of the sentences that stand on top of forms."""
    parkings = tables.parkings
    names = sorted({one for one in (plan.name, plan.handle, plan.email) if one}, key=len, reverse=True)
    word = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names))
    for review_id, number in plan.rounds:
        this = sa.and_(parkings.c.review_id == review_id, parkings.c.round == number)
        reason = tx.connection.scalar(sa.select(parkings.c.reason).where(this)) or ""
        told = word.sub("a forgotten person", reason)
        tx.connection.execute(parkings.update().where(this).values(reason=told[:1].upper() + told[1:]))


def _end(tx: Transaction, person_id: int) -> None:
    """End memberships, delegations and messages that wait."""
    memberships, delegations, notices, events = tables.memberships, tables.delegations, tables.notices, tables.events
    last = tx.connection.scalar(sa.select(events.c.at).order_by(events.c.seq.desc()).limit(1))
    ended_at = max(tx.origin.at, last or tx.origin.at)  # a clock that jumps back ends nothing earlier
    tx.connection.execute(
        memberships.update()
        .where(memberships.c.person_id == person_id, memberships.c.removed_at.is_(None))
        .values(removed_at=ended_at)
    )
    tx.connection.execute(
        delegations.update()
        .where(
            sa.or_(delegations.c.principal_id == person_id, delegations.c.delegate_id == person_id),
            delegations.c.revoked_at.is_(None),
        )
        .values(revoked_at=tx.origin.at)
    )
    tx.connection.execute(
        notices.update()
        .where(notices.c.person_id == person_id, notices.c.state == "waiting")
        .values(state="given_up", closed_at=tx.origin.at, last_error="the person was forgotten")
    )
