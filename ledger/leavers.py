"""What has left a review while it was asked: told on top of the next round's form, so that nobody looks for it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables

_MOST_NAMED: Final = 5
_WHY: Final = {
    "superseded": "a newer version is looked at instead",
    "archived": "it is in the archive",
}
_OTHERWISE: Final = {"gate": "it was decided elsewhere", "held": "it went on without this review"}


def left_meanwhile(
    connection: sa.Connection, review_id: int, basis: str | None, parked_at: datetime | None
) -> str | None:
    """Which assets that a round showed have left it since it was parked, and why; None if none has.

    `basis` is the round's, as JSON. What was decided in the review itself has not left: nothing is told of outcomes.
    """
    shown = set(json.loads(basis)) if basis else set()
    if not shown or parked_at is None:
        return None
    left = [row for row in _gone(connection, review_id, parked_at) if str(row.shown) in shown]
    if not left:
        return None
    named = [f"{row.position} · {row.key} has left: {_WHY.get(row.state, _OTHERWISE[row.of])}." for row in left]
    more = len(named) - _MOST_NAMED
    return " ".join([*named[:_MOST_NAMED], *([f"{more} more have left."] if more > 0 else [])])


def _gone(connection: sa.Connection, review_id: int, parked_at: datetime) -> list[Any]:
    """Gates that were voided and versions that moved on, by position."""
    t = tables
    about = (t.versions.c.state, t.assets.c.key)
    gates = (
        sa.select(t.review_gates.c.position, t.gates.c.gate_id.label("shown"), *about, sa.literal("gate").label("of"))
        .join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        .join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
        .join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
        .where(t.review_gates.c.review_id == review_id, t.gates.c.outcome == "voided", t.gates.c.closed_at >= parked_at)
    )
    held = t.review_versions
    versions = (
        sa.select(held.c.position, held.c.version_id.label("shown"), *about, sa.literal("held").label("of"))
        .join(t.versions, t.versions.c.version_id == held.c.version_id)
        .join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
        .where(
            held.c.review_id == review_id,
            held.c.outcome.is_(None),
            t.versions.c.state_seq != held.c.since_seq,
            t.versions.c.state_since >= parked_at,
        )
    )
    return list(connection.execute(gates.union_all(versions).order_by("position")))
