"""How much waits for each person, and how much they have decided lately."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from ledger import tables
from ledger.asked_people import asked_pairs
from ledger.waits import undecided_pairs

_LATELY: Final = (timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Workload:
    """What waits for one person, in reviews, and what they decided, in assets; on behalf of others included."""

    person_id: int
    handle: str
    name: str | None
    open_reviews: int
    overdue: int
    decided_7_days: int
    decided_30_days: int


def workloads(connection: sa.Connection, now: datetime) -> list[Workload]:
    """The load of everybody who is in the roster, most open reviews first. A few questions, however many reviews."""
    people = tables.people
    waiting = _waiting(connection, now)
    late = _late(connection, now)
    lately = [_decided(connection, now - ago) for ago in _LATELY]
    rows = connection.execute(sa.select(people).where(people.c.left_at.is_(None)))
    found = [
        Workload(
            person_id=row.person_id,
            handle=row.handle,
            name=row.name,
            open_reviews=len(waiting.get(row.person_id, ())),
            overdue=len(waiting.get(row.person_id, set()) & late),
            decided_7_days=lately[0][row.person_id],
            decided_30_days=lately[1][row.person_id],
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (-one.open_reviews, -one.overdue, one.handle))


def _waiting(connection: sa.Connection, now: datetime) -> dict[int, set[int]]:
    """Person → reviews in which their decision is awaited: at gates, and on what is held or was sent back."""
    t = tables
    at_gates = (
        sa.select(t.review_gates.c.gate_id, t.review_gates.c.review_id)
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
        .where(t.gates.c.outcome.is_(None), t.versions.c.state == "in_review", t.versions.c.round == t.gates.c.round)
    )
    review_of = {row.gate_id: row.review_id for row in connection.execute(at_gates)}
    found: dict[int, set[int]] = {}
    for gate_id, pairs in undecided_pairs(connection, list(review_of)).items():
        for person, _ in pairs:
            found.setdefault(person, set()).add(review_of[gate_id])
    held, versions = t.review_versions, t.versions
    here = sa.and_(versions.c.version_id == held.c.version_id, versions.c.state_seq == held.c.since_seq)
    asked = sa.select(held.c.review_id).join(versions, here).where(held.c.outcome.is_(None)).distinct()
    for review_id, ones in asked_pairs(connection, connection.scalars(asked).all(), now).items():
        for person, _ in ones:
            found.setdefault(person, set()).add(review_id)
    return found


def _late(connection: sa.Connection, now: datetime) -> set[int]:
    reviews = tables.reviews
    query = sa.select(reviews.c.review_id).where(reviews.c.closed_at.is_(None), reviews.c.due_at < now)
    return set(connection.scalars(query))


def _decided(connection: sa.Connection, since: datetime) -> Counter[int]:
    """Person → assets they have said something of since then, opinions included."""
    found: Counter[int] = Counter()
    for table in (tables.decisions, tables.held_decisions):
        query = sa.select(table.c.person_id, sa.func.count()).where(table.c.decided_at >= since)
        found.update(dict(connection.execute(query.group_by(table.c.person_id)).tuples().all()))
    return found
