"""Verifying the audit trail: every event follows the one before, and says what its columns say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.tables import to_micros

_COLUMN_OF = {"from": "from_state", "to": "to_state", "policy": "policy_sha256", "flow_run": "flow_run_id"}
_COMPARED = (
    "seq",
    "at",
    "actor",
    "action",
    "version_id",
    "from",
    "to",
    "round",
    "policy",
    "rule",
    "reason",
    "effect_id",
    "flow_run",
)


@dataclass(frozen=True, slots=True)
class Damage:
    """The first event that does not hold, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How many events were checked, the head they lead to, and the first damage, if any."""

    events: int
    head: str
    damage: Damage | None


def verify_chain(connection: sa.Connection, page: int = 10_000) -> Verification:
    """Check the whole chain in bounded memory: gap-free, linked, hashed, columns equal to the hashed body."""
    events = tables.events
    expected, head, count = 1, "0" * 64, 0
    while True:
        query = sa.select(events).where(events.c.seq >= expected).order_by(events.c.seq).limit(page)
        rows = connection.execute(query).all()
        for row in rows:
            reason = _damage(row, expected, head)
            if reason:
                return Verification(count, head, Damage(expected, reason))
            expected, head, count = expected + 1, row.hash, count + 1
        if len(rows) < page:
            break
    stored = connection.execute(sa.select(tables.chain_head)).one()
    if (stored.seq, stored.hash) != (expected - 1, head):
        return Verification(count, head, Damage(expected, f"cut off: the head of the chain is at event {stored.seq}"))
    return Verification(count, head, None)


def _damage(row: Any, expected: int, previous: str) -> str | None:
    if row.seq != expected:
        return f"missing: the next event is {row.seq}"
    if hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
        return "changed: the body does not have the recorded hash"
    body = json.loads(row.body)
    if body.get("prev") != previous:
        return "not linked: it does not follow the event before it"
    for name in _COMPARED:
        stored = getattr(row, _COLUMN_OF.get(name, name))
        if name == "at":
            stored = to_micros(stored)
        if stored != body.get(name):
            return f"changed: column {_COLUMN_OF.get(name, name)} says {stored!r}, the hashed body {body.get(name)!r}"
    return None
