"""Verifying the audit trail: every event follows the one before, and says what its columns say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger import tables
from ledger.chain_halves import LONG, sound_in_halves
from ledger.chain_pages import Wanted

_COMPARED = (
    ("seq", "seq"),
    ("at", "at"),
    ("actor", "actor"),
    ("action", "action"),
    ("version_id", "version_id"),
    ("from", "from_state"),
    ("to", "to_state"),
    ("round", "round"),
    ("policy", "policy_sha256"),
    ("rule", "rule"),
    ("reason", "reason"),
    ("effect_id", "effect_id"),
    ("flow_run", "flow_run_id"),
)
"""(name in the hashed body, column)."""
_VALUES = itemgetter(*(name for name, _ in _COMPARED))
BEFORE_THE_FIRST = "0" * 64
"""The hash that the first event follows."""
PAGE = 5_000
"""Events that are in memory at a time: some 10 MB."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The first event that does not hold, and why."""

    seq: int
    reason: str

    @property
    def kind(self) -> str:
        """The reason's first words.

        >>> Damage(7, "cut off: event 30 was sealed").kind
        'cut off'
        """
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Verification:
    """How many events hold from the first on, the head they lead to, and the first damage, if any."""

    events: int
    head: str
    damage: Damage | None


def verify_chain(
    connection: sa.Connection,
    page: int = PAGE,
    sealed: Mapping[int, str] | None = None,
    *,
    columns: bool = True,
    after: tuple[int, str] = (0, BEFORE_THE_FIRST),
    progress: Callable[[int], None] = lambda _: None,
    long: int = LONG,
) -> Verification:
    """Check the whole chain in bounded memory: gap-free, linked, hashed, columns equal to the hashed body.

    `sealed` are hashes by sequence number that were signed and put away elsewhere: only they tell a chain that was
    rewritten, hashes and all, or cut off together with its head. Without `columns` only the chain itself is checked,
    in less time. `after` is the number and hash of an event that is known to hold: those behind it are checked.
    `progress` is told how many events were looked at, once a page. Where at least `long` of them are to be checked, and
    there are two cores, a second process checks the latter half.
    """
    sealed = sealed or {}
    damage_of = _damage if columns else _broken_link
    wanted = Wanted(last_event(connection), page, _COMPARED if columns else (), sealed)
    count, head = sound_in_halves(connection, after, wanted, progress, long)
    while rows := _page(connection, count, page, columns):
        for row in rows:
            reason = damage_of(row, count + 1, head)
            if not reason and sealed.get(count + 1, row.hash) != row.hash:
                reason = f"rewritten: it is not the event that was sealed{_since(sealed, count)}"
            if reason:
                return Verification(count, head, Damage(count + 1, reason))
            count, head = count + 1, row.hash
        progress(count)
    end = _damaged_end(connection, count, head, max(sealed, default=0))
    return Verification(count, head, Damage(count + 1, end) if end else None)


def last_event(connection: sa.Connection) -> int:
    """Number of the last event that is there, whatever the head of the chain says."""
    return int(connection.scalar(sa.select(sa.func.max(tables.events.c.seq))) or 0)


def told_at(connection: sa.Connection, seq: int) -> datetime | None:
    """When an event happened; None: there is no such event, or what its column holds is no time."""
    try:
        at: datetime | None = connection.scalar(sa.select(tables.events.c.at).where(tables.events.c.seq == seq))
    except (ValueError, OverflowError, TypeError):
        return None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    return at


def hash_at(connection: sa.Connection, seq: int) -> str | None:
    """The hash of an event; None: there is no such event."""
    found: str | None = connection.scalar(sa.select(tables.events.c.hash).where(tables.events.c.seq == seq))
    return found


def _since(sealed: Mapping[int, str], count: int) -> str:
    """The events between two seals are rewritten together: the first of them cannot be told, their range can."""
    first = max((seq for seq in sealed if seq <= count), default=0) + 1
    return f"; the change is in events {first} to {count + 1}" if first <= count else ""


def _damaged_end(connection: sa.Connection, count: int, head: str, last_sealed: int) -> str | None:
    try:
        rows = connection.execute(sa.select(tables.chain_head.c.seq, tables.chain_head.c.hash)).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return f"unreadable: the head of the chain ({error.orig})"
    if len(rows) != 1:
        return f"cut off: the chain has {len(rows)} heads"
    if (rows[0].seq, rows[0].hash) != (count, head):
        return f"cut off: the head of the chain is at event {rows[0].seq}"
    return f"cut off: event {last_sealed} was sealed" if last_sealed > count else None


def _page(connection: sa.Connection, after: int, limit: int, columns: bool) -> Sequence[Any]:
    """The next events; where one of them cannot even be read, those before it, or its number and the reason."""
    try:
        return _read(connection, after, limit, columns)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        if limit == 1:
            return [_Unreadable(str(error.orig))]
    return _page(connection, after, limit // 2, columns)


def _read(connection: sa.Connection, after: int, limit: int, columns: bool) -> Sequence[Any]:
    events = tables.events
    compared = [column for _, column in _COMPARED] if columns else ["seq"]
    wanted = [events.c[name] for name in (*compared, "hash", "body")]
    plain = [sa.type_coerce(column, sa.BigInteger) if column.name == "at" else column for column in wanted]
    query = sa.select(*plain).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
    return connection.execute(query).all()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


def _broken_link(row: Any, expected: int, previous: str) -> str | None:
    if reason := _broken_hash(row, expected):
        return reason
    return None if f'"prev":"{previous}"' in row.body else "not linked: it does not follow the event before it"


def _broken_hash(row: Any, expected: int) -> str | None:
    if isinstance(row, _Unreadable):
        return f"unreadable: {row.why}"
    if row.seq != expected:
        return f"missing: the next event is {row.seq}"
    if not isinstance(row.body, str) or hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
        return "changed: the body does not have the recorded hash"
    return None


def _damage(row: Any, expected: int, previous: str) -> str | None:
    if reason := _broken_hash(row, expected):
        return reason
    try:
        body = orjson.loads(row.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return "changed: the body is no event"
    if body.get("prev") != previous:
        return "not linked: it does not follow the event before it"
    if _is_told(body, row):
        return None
    for name, column in _COMPARED:
        stored = getattr(row, column)
        if stored != body.get(name):
            return f"changed: column {column} says {stored!r}, the hashed body {body.get(name)!r}"
    return None


def _is_told(body: dict[str, Any], row: Any) -> bool:
    """Whether all columns are what the body says: the usual case, in one comparison."""
    try:
        return bool(_VALUES(body) == row[: len(_COMPARED)])
    except KeyError:
        return False
