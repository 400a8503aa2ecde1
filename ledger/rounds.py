"""Rounds of reviews: each is parked as one Prefect flow run, answered, replaced or closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.errors import StaleVersion, UnknownName
from ledger.leavers import left_meanwhile
from ledger.transaction import Draft, Transaction, batches


def parkings_to_do(connection: sa.Connection) -> list[tuple[int, int]]:
    """(review, round) of every round that waits to be parked in Prefect, oldest first."""
    parkings = tables.parkings
    query = sa.select(parkings.c.review_id, parkings.c.round).where(parkings.c.status == "to_park")
    return [(row.review_id, row.round) for row in connection.execute(query.order_by(parkings.c.review_id))]


def parked_runs(connection: sa.Connection) -> dict[str, tuple[int, int]]:
    """(review, round) by flow run id, of every round that is parked now."""
    parkings = tables.parkings
    query = sa.select(parkings).where(parkings.c.status == "parked")
    return {row.flow_run_id: (row.review_id, row.round) for row in connection.execute(query)}


def parked_before(connection: sa.Connection, moment: datetime) -> frozenset[str]:
    """Flow run ids of the rounds that wait since before this moment."""
    parkings = tables.parkings
    query = sa.select(parkings.c.flow_run_id).where(parkings.c.status == "parked", parkings.c.parked_at < moment)
    return frozenset(connection.scalars(query))


def ended_runs(connection: sa.Connection, since: datetime) -> list[str]:
    """Flow run ids of rounds that were closed or replaced since then: in Prefect none of them should wait any more."""
    parkings = tables.parkings
    query = sa.select(parkings.c.flow_run_id).where(
        parkings.c.status.in_(("closed", "replaced")),
        parkings.c.closed_at >= since,
        parkings.c.flow_run_id.is_not(None),
    )
    return list(connection.scalars(query.order_by(parkings.c.review_id, parkings.c.round)))


def parking_of_run(connection: sa.Connection, flow_run_id: str) -> tuple[int, int, str] | None:
    """(review, round, status) of the round that this flow run carries, or None."""
    parkings = tables.parkings
    row = connection.execute(sa.select(parkings).where(parkings.c.flow_run_id == flow_run_id)).one_or_none()
    return None if row is None else (row.review_id, row.round, row.status)


def is_waiting(connection: sa.Connection, review_id: int, round_number: int) -> bool:
    """Whether a round is parked, or waits to be."""
    parkings = tables.parkings
    this = sa.and_(parkings.c.review_id == review_id, parkings.c.round == round_number)
    return connection.scalar(sa.select(parkings.c.status).where(this)) in ("to_park", "parked")


def tokens_of_rounds(connection: sa.Connection, rounds: Iterable[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """(review, round) → what its run and form are marked with; a round of an older release has none."""
    tokens, wanted = tables.round_tokens, set(rounds)
    found: dict[tuple[int, int], str] = {}
    for batch in batches(review_id for review_id, _ in wanted):
        for row in connection.execute(sa.select(tokens).where(tokens.c.review_id.in_(batch))):
            found[row.review_id, row.round] = row.token
    return {one: token for one, token in found.items() if one in wanted}


def mark_parked(
    tx: Transaction,
    review_id: int,
    round_number: int,
    flow_run_id: str,
    basis: Mapping[int, str],
    due_at: datetime | None,
    offered: Iterable[tuple[int, int]] = (),
) -> None:
    """Record that a round is parked as this flow run, showing these bases; the gates' deadlines start now.

    `offered`, of a review of versions: (person, on behalf of) whom the form offers, so that it is noticed when others
    may decide. At gates their own records say so.
    Raises `StaleVersion` when the round is not waiting to be parked any more. Repeating it for the same run is
    harmless.
    """
    parkings, gates, carried = tables.parkings, tables.gates, tables.review_gates
    this = sa.and_(parkings.c.review_id == review_id, parkings.c.round == round_number)
    row = tx.connection.execute(_with_policy().where(this)).one()
    if row.status == "parked" and row.flow_run_id == flow_run_id:
        return
    if row.status != "to_park":
        raise StaleVersion((), f"review {review_id} round {round_number} waiting to be parked")
    shown = canonical_json({str(gate_id): value for gate_id, value in basis.items()})
    tx.connection.execute(
        parkings.update()
        .where(this)
        .values(status="parked", flow_run_id=flow_run_id, parked_at=tx.origin.at, basis=shown.decode())
    )
    pairs = [{"person_id": person, "on_behalf_of": principal} for person, principal in offered]
    tx.insert(tables.offered_people, [{"review_id": review_id, "round": round_number, **pair} for pair in pairs])
    mine = sa.select(carried.c.gate_id).where(carried.c.review_id == review_id)
    tx.connection.execute(
        gates.update()
        .where(gates.c.gate_id.in_(mine), gates.c.due_at.is_(None), gates.c.outcome.is_(None))
        .values(due_at=due_at)
    )
    tx.connection.execute(
        tables.reviews.update()
        .where(tables.reviews.c.review_id == review_id, tables.reviews.c.due_at.is_(None))
        .values(due_at=due_at)
    )
    tx.append(
        [
            Draft(
                "park_review",
                policy_sha256=row.policy_sha256,
                details={
                    "review": review_id,
                    "round": round_number,
                    "flow_run": flow_run_id,
                    "due_at": due_at.isoformat() if due_at else None,
                    "basis": hashlib.sha256(shown).hexdigest(),
                },
            )
        ]
    )


def close_round(tx: Transaction, review_id: int, round_number: int, status: str, reason: str | None) -> int | None:
    """End a round (`answered` or `replaced`) and, while gates of the review are still open, note the next one to park.

    `reason` will stand on top of the next round's form, whose number is returned, and with it which assets have left
    the review since the round was parked. Without open gates the review is closed and None returned.

    A round that ended before is left as it is and None is returned.
    """
    parkings = tables.parkings
    this = sa.and_(parkings.c.review_id == review_id, parkings.c.round == round_number)
    row = tx.connection.execute(_with_policy().where(this)).one_or_none()
    if row is None:
        raise UnknownName(f"review {review_id} has no round {round_number}; `signoff reviews` lists those that wait")
    if row.status not in ("to_park", "parked"):
        return None
    tx.connection.execute(parkings.update().where(this).values(status=status, closed_at=tx.origin.at))
    if _has_open_gates(tx.connection, review_id):
        left = left_meanwhile(tx.connection, review_id, row.basis, row.parked_at)
        told = " ".join(one for one in (reason, left) if one) or None
        tx.insert(parkings, [_parking(review_id, round_number + 1, told, tx.origin.at)])
        return round_number + 1
    tx.connection.execute(
        tables.reviews.update()
        .where(tables.reviews.c.review_id == review_id, tables.reviews.c.closed_at.is_(None))
        .values(closed_at=tx.origin.at)
    )
    details = {"review": review_id, "round": round_number, "status": status}
    tx.append([Draft("close_review", policy_sha256=row.policy_sha256, details=details)])
    return None


def close_emptied_reviews(tx: Transaction) -> list[str]:
    """Close every review in which nothing is left to decide; returns flow run ids whose runs wait for nothing."""
    parkings, reviews = tables.parkings, tables.reviews
    awaited = [ask(parkings.c.review_id).correlate(parkings).exists() for ask in (_open_gates, _open_held)]
    emptied = tx.connection.execute(
        sa.select(parkings)
        .join(reviews, reviews.c.review_id == parkings.c.review_id)
        .where(parkings.c.status.in_(("to_park", "parked")), reviews.c.closed_at.is_(None), ~sa.or_(*awaited))
        .order_by(parkings.c.review_id)
    ).all()
    for row in emptied:
        close_round(tx, row.review_id, row.round, "closed", None)
    return [row.flow_run_id for row in emptied if row.flow_run_id]


def policy_of_review(connection: sa.Connection, review_id: int) -> str | None:
    """SHA-256 of the policy under which a review was opened."""
    reviews = tables.reviews
    return connection.scalar(sa.select(reviews.c.policy_sha256).where(reviews.c.review_id == review_id))


def _with_policy() -> sa.Select[Any]:
    """Rounds, with the policy of their review."""
    parkings, reviews = tables.parkings, tables.reviews
    return sa.select(parkings, reviews.c.policy_sha256).join(reviews, reviews.c.review_id == parkings.c.review_id)


def _has_open_gates(connection: sa.Connection, review_id: int) -> bool:
    """Whether a decision is awaited in a review still: at a gate, or on what is held or was sent back."""
    reviews = tables.reviews
    purpose = connection.scalar(sa.select(reviews.c.purpose).where(reviews.c.review_id == review_id))
    query = _open_gates(review_id) if purpose == "gate" else _open_held(review_id)
    return connection.scalar(query.limit(1)) is not None


def _open_gates(review_id: sa.ColumnElement[int] | int) -> sa.Select[Any]:
    gates, carried = tables.gates, tables.review_gates
    return (
        sa.select(sa.literal(1))
        .select_from(carried)
        .join(gates, gates.c.gate_id == carried.c.gate_id)
        .where(carried.c.review_id == review_id, gates.c.outcome.is_(None))
    )


def _open_held(review_id: sa.ColumnElement[int] | int) -> sa.Select[Any]:
    held, versions = tables.review_versions, tables.versions
    return (
        sa.select(sa.literal(1))
        .select_from(held)
        .join(versions, versions.c.version_id == held.c.version_id)
        .where(
            held.c.review_id == review_id,
            held.c.outcome.is_(None),
            versions.c.state_seq == held.c.since_seq,
        )
    )


def first_round(review_id: int, at: datetime) -> dict[str, Any]:
    """The row of a review's first round, which waits to be parked."""
    return _parking(review_id, 1, None, at)


def _parking(review_id: int, number: int, reason: str | None, at: datetime) -> dict[str, Any]:
    return {"review_id": review_id, "round": number, "status": "to_park", "reason": reason, "created_at": at}
