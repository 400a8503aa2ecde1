"""What a look at the ledger finds that should not be: work that nobody finishes, waits that have no end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from ledger import tables

TAIL: Final = 500
"""Events at the end of the trail whose hashes and links are looked at: whoever damages it has most reason to there."""


@dataclass(frozen=True, slots=True)
class LateEffect:
    """An open effect of before some moment."""

    key: str
    kind: str
    opened_at: datetime
    last_error: str | None


def database_now(connection: sa.Connection) -> datetime | None:
    """What time the database's machine has; None for SQLite, which has no clock of its own."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return found.astimezone(UTC)


def late_effects(connection: sa.Connection, before: datetime) -> list[LateEffect]:
    """Open effects that were decided before a moment, oldest first."""
    effects, versions, assets = tables.effects, tables.versions, tables.assets
    query = (
        sa.select(assets.c.key, effects.c.kind, effects.c.opened_at, effects.c.last_error)
        .join(versions, versions.c.version_id == effects.c.version_id)
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .where(effects.c.status == "open", effects.c.opened_at < before)
        .order_by(effects.c.effect_id)
    )
    return [LateEffect(**row._mapping) for row in connection.execute(query)]


def late_rounds(connection: sa.Connection, before: datetime) -> list[int]:
    """Reviews whose round waits to be parked since before a moment."""
    parkings = tables.parkings
    query = sa.select(parkings.c.review_id).where(parkings.c.status == "to_park", parkings.c.created_at < before)
    return list(connection.scalars(query.order_by(parkings.c.review_id)))


def reviews_without_deadline(connection: sa.Connection) -> list[int]:
    """Reviews that are parked and have no due time: nobody would ever end them."""
    reviews, parkings = tables.reviews, tables.parkings
    query = (
        sa.select(reviews.c.review_id)
        .join(parkings, parkings.c.review_id == reviews.c.review_id)
        .where(reviews.c.closed_at.is_(None), reviews.c.due_at.is_(None), parkings.c.status == "parked")
    )
    return sorted(set(connection.scalars(query)))


def people_without_authenticator(connection: sa.Connection) -> list[int]:
    """People who are asked at an open gate that wants a signature, and have no active secret to sign with."""
    gates, eligible, secrets = tables.gates, tables.gate_eligible, tables.signing_secrets
    active = sa.exists().where(secrets.c.person_id == eligible.c.person_id, secrets.c.state == "active")
    query = (
        sa.select(eligible.c.person_id)
        .join(gates, gates.c.gate_id == eligible.c.gate_id)
        .where(
            gates.c.outcome.is_(None),
            gates.c.opened_at.is_not(None),
            gates.c.signature != "none",
            eligible.c.revoked_at.is_(None),
            ~active,
        )
    )
    return sorted(set(connection.scalars(query)))


def known_runs(connection: sa.Connection, flow_run_ids: Sequence[str]) -> frozenset[str]:
    """Which of these flow runs carry a round of a review, whatever became of it."""
    runs = tables.parkings.c.flow_run_id
    return frozenset(connection.scalars(sa.select(runs).where(runs.in_(flow_run_ids))))


def opened_reviews(connection: sa.Connection, review_ids: Sequence[int]) -> dict[int, datetime]:
    """When each of these reviews was opened, of those that there are."""
    reviews = tables.reviews
    query = sa.select(reviews.c.review_id, reviews.c.opened_at).where(reviews.c.review_id.in_(review_ids))
    return {row.review_id: row.opened_at for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What became of an answer: how many decisions counted or were kept as opinions, and why others were not taken."""

    counted: int
    opinions: int
    refused: tuple[str, ...]


def answer_of_run(connection: sa.Connection, flow_run_id: str) -> RecordedAnswer:
    """What the audit trail tells of the answer that a flow run brought."""
    events = tables.events
    query = sa.select(events.c.action, events.c.actor, events.c.reason, events.c.body)
    said: list[bool] = []
    refused: list[str] = []
    for row in connection.execute(query.where(events.c.flow_run_id == flow_run_id).order_by(events.c.seq)):
        if row.action == "refuse_answer":
            refused.append(row.reason or "")
        elif row.actor.startswith("person:"):
            said.extend(one for one in (orjson.loads(row.body)["details"].get("counted"),) if isinstance(one, bool))
    return RecordedAnswer(said.count(True), said.count(False), tuple(refused))


def damaged_tail(connection: sa.Connection, count: int = TAIL) -> str | None:
    """What is wrong with the last events of the audit trail, None if their numbers, hashes and links hold."""
    events, head = tables.events, tables.chain_head
    query = sa.select(events.c.seq, events.c.hash, events.c.body).order_by(events.c.seq.desc()).limit(count + 1)
    rows = list(reversed(connection.execute(query).all()))
    ends = connection.execute(sa.select(head.c.seq, head.c.hash)).one()
    if rows and (rows[-1].seq, rows[-1].hash) != (ends.seq, ends.hash):
        return f"the last event is {rows[-1].seq}, the chain's head says {ends.seq}"
    for before, row in zip([None, *rows], rows, strict=False):
        if hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
            return f"event {row.seq} was changed"
        if before is not None and (row.seq != before.seq + 1 or _previous(row.body) != before.hash):
            return f"event {row.seq} does not follow event {before.seq}"
    return None


def _previous(body: str) -> Any:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return told.get("prev") if isinstance(told, Mapping) else None
