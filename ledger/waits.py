"""What waits for people until a deadline: open gates of parked reviews, and versions in quarantine or sent back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.asked_people import asked_pairs
from ledger.errors import UnknownName
from ledger.review_people import eligible_pairs
from ledger.transaction import batches
from policies.deadlines import FiredRung, RungKind
from policies.lifecycle import State

_BY_ITSELF = (State.QUARANTINED, State.CHANGES_REQUESTED)


@dataclass(frozen=True, slots=True)
class GateWait:
    """The gate that waits."""

    gate_id: int
    stage: str
    four_eyes: bool


@dataclass(frozen=True, slots=True)
class ParkedRound:
    """The parked round of a review that carries what waits."""

    review_id: int
    round: int
    flow_run_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A version that waits in its `state` since the event `since_seq`; its deadline runs from `since_at`.

    `gate` is None where the version itself waits; `review` is the parked round that asks about it, which a gate always
    has here; `fired` are the rungs of its ladder so far, in order.
    """

    version_id: int
    round: int
    state: str
    key: str
    collection: str
    policy_sha256: str
    submitter: str | None
    since_at: datetime
    since_seq: int
    gate: GateWait | None
    review: ParkedRound | None
    fired: tuple[FiredRung, ...]


def waiting_gates(connection: sa.Connection, review_ids: Iterable[int] | None = None) -> list[Wait]:
    """Open gates whose review is parked (of these reviews, if given), oldest first; they wait since its first parking.

    A gate whose review waits to be parked is left out: while nobody can answer, nothing is due.
    """
    t = tables
    begun = (
        sa.select(t.parkings.c.review_id, sa.func.min(t.parkings.c.parked_at).label("begun_at"))
        .group_by(t.parkings.c.review_id)
        .subquery()
    )
    query = (
        sa.select(
            *_version_columns(),
            begun.c.begun_at.label("since_at"),
            t.gates.c.gate_id,
            t.gates.c.stage,
            t.gates.c.four_eyes,
            t.parkings.c.review_id,
            t.parkings.c.round.label("review_round"),
            t.parkings.c.flow_run_id,
        )
        .select_from(t.parkings)
        .join(begun, begun.c.review_id == t.parkings.c.review_id)
        .join(t.review_gates, t.review_gates.c.review_id == t.parkings.c.review_id)
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
        .join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
        .where(
            t.parkings.c.status == "parked",
            t.gates.c.outcome.is_(None),
            t.versions.c.state == str(State.IN_REVIEW),
            t.versions.c.round == t.gates.c.round,
        )
        .order_by(t.gates.c.gate_id)
    )
    if review_ids is None:
        rows = list(connection.execute(query))
    else:
        rows = [
            row
            for batch in batches(review_ids)
            for row in connection.execute(query.where(t.parkings.c.review_id.in_(batch)))
        ]
    fired = _fired(connection, [row.gate_id for row in rows])
    return [
        _wait(
            row,
            GateWait(row.gate_id, row.stage, row.four_eyes),
            fired.get(row.gate_id, ()),
        )
        for row in rows
    ]


def waiting_versions(connection: sa.Connection, version_ids: Iterable[int] | None = None) -> list[Wait]:
    """Versions (of these, if given) in quarantine or sent back for changes, oldest first; they wait since then.

    One that is on its way into the archive is left out: an open effect comes first.
    """
    versions, effects, held, parkings = tables.versions, tables.effects, tables.review_versions, tables.parkings
    query = (
        sa.select(
            *_version_columns(),
            versions.c.state_since.label("since_at"),
            parkings.c.review_id,
            parkings.c.round.label("review_round"),
            parkings.c.flow_run_id,
        )
        .join(tables.assets, tables.assets.c.asset_id == versions.c.asset_id)
        .outerjoin(held, sa.and_(held.c.version_id == versions.c.version_id, held.c.since_seq == versions.c.state_seq))
        .outerjoin(parkings, sa.and_(parkings.c.review_id == held.c.review_id, parkings.c.status == "parked"))
        .where(
            versions.c.state.in_([str(state) for state in _BY_ITSELF]),
            ~sa.exists().where(effects.c.version_id == versions.c.version_id, effects.c.status == "open"),
        )
        .order_by(versions.c.version_id)
    )
    if version_ids is None:
        rows = list(connection.execute(query))
    else:
        rows = [
            row
            for batch in batches(version_ids)
            for row in connection.execute(query.where(versions.c.version_id.in_(batch)))
        ]
    fired = _fired_by_itself(connection, [row.version_id for row in rows])
    return [_wait(row, None, fired.get((row.version_id, row.since_seq), ())) for row in rows]


def rungs_of_reviews(connection: sa.Connection) -> dict[int, tuple[int, int]]:
    """Review → how often its people were reminded, and how often others were added, of reviews that are not closed.

    Those without a rung are left out.
    """
    t = tables
    of_gates = sa.select(t.review_gates.c.review_id, t.rungs.c.kind, t.rungs.c.number).join(
        t.rungs, t.rungs.c.gate_id == t.review_gates.c.gate_id
    )
    of_held = sa.select(t.review_versions.c.review_id, t.rungs.c.kind, t.rungs.c.number).join(
        t.rungs,
        sa.and_(
            t.rungs.c.gate_id.is_(None),
            t.rungs.c.version_id == t.review_versions.c.version_id,
            t.rungs.c.since_seq == t.review_versions.c.since_seq,
        ),
    )
    fired = of_gates.union_all(of_held).subquery()
    query = (
        sa.select(t.reviews.c.review_id, fired.c.kind, sa.func.count(fired.c.number.distinct()).label("times"))
        .join(fired, fired.c.review_id == t.reviews.c.review_id)
        .where(t.reviews.c.closed_at.is_(None))
        .group_by(t.reviews.c.review_id, fired.c.kind)
    )
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.review_id, {})[row.kind] = row.times
    return {
        review_id: (times.get(RungKind.REMIND, 0), times.get(RungKind.ESCALATE, 0))
        for review_id, times in found.items()
    }


def reviews_of_person(connection: sa.Connection, handle: str, now: datetime | None = None) -> frozenset[int]:
    """Reviews in which this person may still decide, for themselves or for somebody else.

    `now` is when they stand in, where what waits is a version itself; without it they answer there for themselves only.
    Raises `UnknownName` when nobody in the roster has this handle.
    """
    t = tables
    query = sa.select(t.people.c.person_id).where(t.people.c.handle == handle, t.people.c.left_at.is_(None))
    person_id = connection.scalar(query)
    if person_id is None:
        raise UnknownName(f"nobody in the roster has the handle {handle!r}; write it as the roster file has it")
    open_gates = (
        sa.select(t.review_gates.c.review_id, t.gates.c.gate_id)
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .join(t.gate_eligible, t.gate_eligible.c.gate_id == t.gates.c.gate_id)
        .where(t.gates.c.outcome.is_(None), t.gate_eligible.c.person_id == person_id)
        .distinct()
    )
    review_of = {row.gate_id: row.review_id for row in connection.execute(open_gates)}
    undecided = undecided_pairs(connection, list(review_of))
    at_gates = {
        review_of[gate_id] for gate_id, pairs in undecided.items() if any(person == person_id for person, _ in pairs)
    }
    return frozenset(at_gates | _held_reviews_of(connection, person_id, now))


def _held_reviews_of(connection: sa.Connection, person_id: int, now: datetime | None) -> set[int]:
    """Reviews of what is held or was sent back that this person may decide, for themselves or, `now`, for somebody."""
    held = tables.review_versions
    still = sa.select(held.c.review_id).where(held.c.outcome.is_(None)).distinct()
    pairs = asked_pairs(connection, connection.scalars(still).all(), now)
    return {review_id for review_id, ones in pairs.items() if any(person == person_id for person, _ in ones)}


def undecided_pairs(connection: sa.Connection, gate_ids: Sequence[int]) -> dict[int, set[tuple[int, int]]]:
    """(person, on behalf of) by gate, of those whose decision is still awaited there."""
    decisions = tables.decisions
    pairs = eligible_pairs(connection, gate_ids)
    for batch in batches(gate_ids):
        query = sa.select(decisions.c.gate_id, decisions.c.person_id, decisions.c.on_behalf_of)
        for row in connection.execute(query.where(decisions.c.gate_id.in_(batch), decisions.c.counted)):
            acted = {row.person_id, row.on_behalf_of}
            pairs[row.gate_id] = {one for one in pairs.get(row.gate_id, set()) if acted.isdisjoint(one)}
    return pairs


def _version_columns() -> list[sa.ColumnElement[Any]]:
    versions = tables.versions
    return [
        versions.c.version_id,
        versions.c.round,
        versions.c.state,
        tables.assets.c.key,
        versions.c.collection,
        versions.c.policy_sha256,
        versions.c.submitter,
        versions.c.state_seq.label("since_seq"),
    ]


def _wait(row: Any, gate: GateWait | None, fired: Sequence[FiredRung]) -> Wait:
    return Wait(
        row.version_id,
        row.round,
        row.state,
        row.key,
        row.collection,
        row.policy_sha256,
        row.submitter,
        row.since_at,
        row.since_seq,
        gate,
        None if row.review_id is None else ParkedRound(row.review_id, row.review_round, row.flow_run_id),
        tuple(fired),
    )


def _fired(connection: sa.Connection, gate_ids: Sequence[int]) -> dict[int, list[FiredRung]]:
    rungs = tables.rungs
    found: dict[int, list[FiredRung]] = {}
    for batch in batches(gate_ids):
        for row in connection.execute(sa.select(rungs).where(rungs.c.gate_id.in_(batch)).order_by(rungs.c.rung_id)):
            found.setdefault(row.gate_id, []).append(_rung(row))
    return found


def _fired_by_itself(connection: sa.Connection, version_ids: Sequence[int]) -> dict[tuple[int, int], list[FiredRung]]:
    rungs = tables.rungs
    found: dict[tuple[int, int], list[FiredRung]] = {}
    for batch in batches(version_ids):
        query = sa.select(rungs).where(rungs.c.gate_id.is_(None), rungs.c.version_id.in_(batch))
        for row in connection.execute(query.order_by(rungs.c.rung_id)):
            found.setdefault((row.version_id, row.since_seq), []).append(_rung(row))
    return found


def _rung(row: Any) -> FiredRung:
    return FiredRung(row.number, RungKind(row.kind), row.planned_at, row.fired_at)
