"""One write transaction: rows with their numbers, and events appended to the hash chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.tables import to_micros

BATCH = 5_000
"""Rows a statement: below the parameter limits of both databases."""


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
        """Insert many rows with one prepared statement."""
        if rows:
            self.connection.execute(table.insert(), list(rows))

    def append(self, drafts: Iterable[Draft]) -> None:
        """Give each draft its sequence number, chain it by hash and insert it; triggers check and apply it.

        Raises `StaleVersion` or `RuleBroken` (through `Ledger.writing`) when the database refuses one.
        """
        rows = [self._chained(draft) for draft in drafts]
        for start in range(0, len(rows), BATCH):
            self.connection.execute(_INSERT_EVENT, rows[start : start + BATCH])

    def _chained(self, draft: Draft) -> dict[str, Any]:
        self._seq += 1
        at = to_micros(self.origin.at)
        actor = draft.actor or self.origin.actor
        body = canonical_json(
            {
                "seq": self._seq,
                "at": at,
                "actor": actor,
                "action": draft.action,
                "version_id": draft.version_id,
                "from": draft.from_state,
                "to": draft.to_state,
                "round": draft.round,
                "policy": draft.policy_sha256,
                "rule": draft.rule,
                "reason": draft.reason,
                "effect_id": draft.effect_id,
                "flow_run": self.origin.flow_run_id,
                "details": draft.details,
                "prev": self._hash,
            }
        )
        self._hash = hashlib.sha256(body).hexdigest()
        return {
            "seq": self._seq,
            "at": at,
            "actor": actor,
            "action": draft.action,
            "version_id": draft.version_id,
            "from_state": draft.from_state,
            "to_state": draft.to_state,
            "round": draft.round,
            "policy_sha256": draft.policy_sha256,
            "rule": draft.rule,
            "reason": draft.reason,
            "effect_id": draft.effect_id,
            "flow_run_id": self.origin.flow_run_id,
            "body": body.decode(),
            "hash": self._hash,
        }


_EVENT_COLUMNS = [column.name for column in tables.events.columns]
_INSERT_EVENT = sa.text(
    f"INSERT INTO events ({', '.join(_EVENT_COLUMNS)}) VALUES ({', '.join(':' + name for name in _EVENT_COLUMNS)})"  # noqa: S608 (our own column names)
)


def batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    """Distinct values in lists of at most `BATCH`, for IN lists.

    >>> [len(batch) for batch in batches(range(12_000))]
    [5000, 5000, 2000]
    """
    distinct = list(dict.fromkeys(values))
    return (distinct[start : start + BATCH] for start in range(0, len(distinct), BATCH))
