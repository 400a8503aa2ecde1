"""One write transaction: rows with their numbers, and events appended to the hash chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from ledger import tables
from ledger.event_body import EventBodies
from ledger.tables import Instant, to_micros

BATCH = 5_000
"""Values a list in a statement: below the parameter limits of both databases."""

_ROWS_A_STATEMENT: Final = (64, 8, 1)
"""What a statement costs beside its rows (on SQLite a journal of every page it touches) is shared by its rows. Few
sizes, so that drivers keep the statements prepared."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, when, and from which Prefect flow run.

    `actor` is `system:<flow>`, `operator:<name>` or `person:<id>`; names of people stay out of the chain.
    """

    actor: str
    at: datetime
    flow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to append. With `to_state` it moves the version; without, it only tells."""

    action: str
    version_id: int | None = None
    from_state: str | None = None
    to_state: str | None = None
    round: int | None = None
    policy_sha256: str | None = None
    rule: str | None = None
    reason: str | None = None
    effect_id: int | None = None
    actor: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Transaction:
    """What the verbs of the ledger write through. Made by `Ledger.writing`."""

    def __init__(self, connection: sa.Connection, origin: Origin) -> None:
        """Take the lock of the chain's head: from here on this is the only writer."""
        self.connection = connection
        self.origin = origin
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._at = to_micros(origin.at)
        self._bodies = EventBodies(self._at, origin.flow_run_id)
        head = connection.execute(sa.select(tables.chain_head.c.seq, tables.chain_head.c.hash).with_for_update()).one()
        self._seq: int = head.seq
        self._hash: str = head.hash
        self._next_ids: dict[str, int] = {}

    @property
    def last_seq(self) -> int:
        """Sequence number of the last event, this transaction's included."""
        return self._seq

    def number(self, table: sa.Table, count: int = 1) -> range:
        """The next `count` keys of `table`; safe because this is the only writer."""
        start = self._next_ids.get(table.name)
        if start is None:
            (key,) = table.primary_key.columns
            start = (self.connection.scalar(sa.select(sa.func.max(key))) or 0) + 1
        self._next_ids[table.name] = start + count
        return range(start, start + count)

    def insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert many rows that name the same columns, many a statement."""
        if not rows:
            return
        names = tuple(rows[0])
        instants = [place for place, name in enumerate(names) if isinstance(table.c[name].type, Instant)]
        values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._insert_many(table.name, names, [_plain(values(row), instants) for row in rows])

    def append(self, drafts: Iterable[Draft]) -> None:
        """Give each draft its sequence number, chain it by hash and insert it; triggers check and apply it.

        Raises `StaleVersion` or `RuleBroken` (through `Ledger.writing`) when the database refuses one.
        """
        rows = [self._chained(draft) for draft in drafts]
        if self._is_sqlite:
            self._insert_many("events", _EVENT_COLUMNS, rows)
            return
        # PostgreSQL applies the events of a statement when all of them are in: what moves a version goes alone there
        for together, group in groupby(rows, key=_kind):
            most = 1 if together == "move" else _ROWS_A_STATEMENT[0]
            self._insert_many("events", _EVENT_COLUMNS, list(group), most=most)

    def _insert_many(
        self, table: str, names: tuple[str, ...], rows: Sequence[Sequence[Any]], most: int = _ROWS_A_STATEMENT[0]
    ) -> None:
        start = 0
        for size in (size for size in _ROWS_A_STATEMENT if size <= most):
            whole = (len(rows) - start) // size * size
            if not whole:
                continue
            sql = _insert_sql(table, names, size, self._is_sqlite)
            parts = [
                tuple(chain.from_iterable(rows[first : first + size])) for first in range(start, start + whole, size)
            ]
            self.connection.exec_driver_sql(sql, parts)
            start += whole

    def _chained(self, draft: Draft) -> tuple[Any, ...]:
        self._seq += 1
        actor = draft.actor or self.origin.actor
        body = self._bodies.write(
            seq=self._seq,
            actor=actor,
            action=draft.action,
            version_id=draft.version_id,
            from_state=draft.from_state,
            to_state=draft.to_state,
            round_number=draft.round,
            policy_sha256=draft.policy_sha256,
            rule=draft.rule,
            reason=draft.reason,
            effect_id=draft.effect_id,
            details=draft.details,
            previous=self._hash,
        )
        self._hash = hashlib.sha256(body).hexdigest()
        return (
            self._seq,
            self._at,
            actor,
            draft.action,
            draft.version_id,
            draft.from_state,
            draft.to_state,
            draft.round,
            draft.policy_sha256,
            draft.rule,
            draft.reason,
            draft.effect_id,
            self.origin.flow_run_id,
            body.decode(),
            self._hash,
        )


_EVENT_COLUMNS: Final = tuple(column.name for column in tables.events.columns)
_ACTION, _TO_STATE = _EVENT_COLUMNS.index("action"), _EVENT_COLUMNS.index("to_state")


def _kind(row: tuple[Any, ...]) -> str:
    """Whether an event tells, gives birth to a version, or moves one: only a move depends on the events before it."""
    if row[_TO_STATE] is None:
        return "tell"
    return "birth" if row[_ACTION] == "submit" else "move"


@lru_cache(maxsize=256)
def _insert_sql(table: str, names: tuple[str, ...], rows: int, is_sqlite: bool) -> str:
    marks = f"({', '.join(['?' if is_sqlite else '%s'] * len(names))})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([marks] * rows)}"  # noqa: S608 (our own names)


def _plain(values: Sequence[Any], instants: Sequence[int]) -> Sequence[Any]:
    """The values of a row as drivers take them: instants in microseconds."""
    if not instants:
        return values
    row = list(values)
    for place in instants:
        if row[place] is not None:
            row[place] = _micros(row[place])
    return row


@lru_cache(maxsize=64)
def _micros(at: datetime) -> int:
    """A transaction writes the instant at which it happens into every row."""
    return to_micros(at)


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of many values, sent as one parameter: the statement is the same for any number."""
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(orjson.dumps(list(values)).decode()).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.literal(list(values), ARRAY(column.type)))


def batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    """Distinct values in lists of at most `BATCH`, for IN lists.

    >>> [len(batch) for batch in batches(range(12_000))]
    [5000, 5000, 2000]
    """
    distinct = list(dict.fromkeys(values))
    return (distinct[start : start + BATCH] for start in range(0, len(distinct), BATCH))
