"""Verifying the audit trail: every event follows the one before, and says what its columns say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger import tables

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
_BEFORE_THE_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Damage:
    """The first event that does not hold, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How many events hold from the first on, the head they lead to, and the first damage, if any."""

    events: int
    head: str
    damage: Damage | None


def verify_chain(
    connection: sa.Connection, page: int = 10_000, sealed: Mapping[int, str] | None = None
) -> Verification:
    """Check the whole chain in bounded memory: gap-free, linked, hashed, columns equal to the hashed body.

    `sealed` are hashes by sequence number that were signed and put away elsewhere: only they tell a chain that was
    rewritten, hashes and all, or cut off together with its head.
    """
    sealed = sealed or {}
    count, head = 0, _BEFORE_THE_FIRST
    while rows := _page(connection, count, page):
        for row in rows:
            reason = _damage(row, count + 1, head)
            if not reason and sealed.get(count + 1, row.hash) != row.hash:
                reason = "rewritten: it is not the event that was sealed"
            if reason:
                return Verification(count, head, Damage(count + 1, reason))
            count, head = count + 1, row.hash
    end = _damaged_end(connection, count, head, max(sealed, default=0))
    return Verification(count, head, Damage(count + 1, end) if end else None)


def _damaged_end(connection: sa.Connection, count: int, head: str, last_sealed: int) -> str | None:
    try:
        rows = connection.execute(sa.select(tables.chain_head)).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return f"unreadable: the head of the chain ({error.orig})"
    if len(rows) != 1:
        return f"cut off: the chain has {len(rows)} heads"
    if (rows[0].seq, rows[0].hash) != (count, head):
        return f"cut off: the head of the chain is at event {rows[0].seq}"
    return f"cut off: event {last_sealed} was sealed" if last_sealed > count else None


def _page(connection: sa.Connection, after: int, limit: int) -> Sequence[Any]:
    """The next events; where one of them cannot even be read, those before it, or its number and the reason."""
    try:
        return _read(connection, after, limit)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        if limit == 1:
            return [_Unreadable(str(error.orig))]
    return _page(connection, after, limit // 2)


def _read(connection: sa.Connection, after: int, limit: int) -> Sequence[Any]:
    events = tables.events
    columns = [sa.type_coerce(column, sa.BigInteger) if column.name == "at" else column for column in events.columns]
    query = sa.select(*columns).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
    return connection.execute(query).all()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


def _damage(row: Any, expected: int, previous: str) -> str | None:
    if isinstance(row, _Unreadable):
        return f"unreadable: {row.why}"
    if row.seq != expected:
        return f"missing: the next event is {row.seq}"
    if not isinstance(row.body, str) or hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
        return "changed: the body does not have the recorded hash"
    try:
        body = json.loads(row.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "changed: the body is no event"
    if body.get("prev") != previous:
        return "not linked: it does not follow the event before it"
    for name in _COMPARED:
        column = _COLUMN_OF.get(name, name)
        stored = getattr(row, column)
        if stored != body.get(name):
            return f"changed: column {column} says {stored!r}, the hashed body {body.get(name)!r}"
    return None
