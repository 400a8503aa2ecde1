"""Who may decide on what waits by itself: the people of the groups that are asked, and who stands in for them now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ledger import tables
from ledger.delegations import stand_ins
from ledger.eligibility import group_members
from ledger.transaction import batches

Pair = tuple[int, int]
"""(person, on whose behalf)"""


@dataclass(frozen=True, slots=True)
class OtherPeople:
    """A parked round whose form offers others than those who may decide now."""

    review_id: int
    round: int
    begun: bool
    """Whether somebody stands in who is not offered."""
    ended: bool
    """Whether somebody is offered who stands in no more."""


def asked_pairs(
    connection: sa.Connection, review_ids: Iterable[int], now: datetime | None
) -> dict[int, frozenset[Pair]]:
    """By review of versions, who may decide there: as the roster is, and, where `now` is given, as absences are then.

    A few queries, however many reviews; a review that is asked of nobody is left out.
    """
    held, rungs = tables.review_versions, tables.rungs
    groups: dict[int, set[str]] = {}
    for batch in batches(review_ids):
        first = sa.select(held.c.review_id, held.c.owner).where(held.c.review_id.in_(batch))
        beside = (
            sa.select(held.c.review_id, rungs.c.group_name)
            .join(rungs, sa.and_(rungs.c.version_id == held.c.version_id, rungs.c.since_seq == held.c.since_seq))
            .where(held.c.review_id.in_(batch), rungs.c.gate_id.is_(None), rungs.c.kind == "escalate")
        )
        for review_id, group in connection.execute(first.union(beside)):
            groups.setdefault(review_id, set()).add(group)
    if not groups:
        return {}
    members, _ = group_members(connection)
    away = {} if now is None else stand_ins(connection, now)
    found: dict[int, frozenset[Pair]] = {}
    for review_id, names in groups.items():
        own = frozenset().union(*(members.get(name, frozenset()) for name in names))
        found[review_id] = frozenset((one, one) for one in own) | {(away[one], one) for one in own if one in away}
    return found


def rounds_with_other_people(connection: sa.Connection, now: datetime) -> list[OtherPeople]:
    """Parked rounds of reviews of versions that offer others than `asked_pairs` names now, oldest first.

    A round of which nothing is noted counts as one that offers the groups' people, and no stand-in.
    """
    parkings, reviews, offered = tables.parkings, tables.reviews, tables.offered_people
    query = (
        sa.select(parkings.c.review_id, parkings.c.round)
        .join(reviews, reviews.c.review_id == parkings.c.review_id)
        .where(parkings.c.status == "parked", reviews.c.closed_at.is_(None), reviews.c.purpose != "gate")
        .order_by(parkings.c.review_id)
    )
    rows = connection.execute(query).all()
    noted: dict[tuple[int, int], set[Pair]] = {}
    for batch in batches(row.review_id for row in rows):
        for one in connection.execute(sa.select(offered).where(offered.c.review_id.in_(batch))):
            noted.setdefault((one.review_id, one.round), set()).add((one.person_id, one.on_behalf_of))
    present = asked_pairs(connection, [row.review_id for row in rows], now)
    changed = []
    for row in rows:
        pairs = present.get(row.review_id, frozenset())
        before = noted.get((row.review_id, row.round)) or {one for one in pairs if one[0] == one[1]}
        if pairs != before:
            begun, ended = (any(one != other for one, other in some) for some in (pairs - before, before - pairs))
            changed.append(OtherPeople(row.review_id, row.round, begun, ended))
    return changed
