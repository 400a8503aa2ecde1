"""The ledger's own record of its seals: what was put into the store, and which key is to sign next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger import tables
from ledger.seal import Seal, SignedSeal, read_seal
from ledger.tables import from_micros
from ledger.transaction import Draft, Transaction

ANNOUNCED = "announce_seal_key"
"""Action of the event that says which key will sign the seals from the next one on."""
REPLACED = "replace_seal_key"
"""Action of the event that says that the key before was lost: whoever verifies must pin the new one."""


MOVED = "move_seals"
"""Action of the event that says that seals are put elsewhere from now on, where they begin anew."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class RecordedSeal:
    """The newest seal that the ledger knows of in one place. `number` and `seq` are 0 when there is none."""

    number: int = 0
    seq: int = 0
    body: str = ""


@dataclass(frozen=True, slots=True)
class ToldChange:
    """An event that tells where seals are put from then on, or with which key they are signed."""

    seq: int
    at: datetime
    actor: str
    action: str
    details: Mapping[str, Any]


def last_recorded(connection: sa.Connection, bucket: str, prefix: str) -> RecordedSeal:
    """The newest recorded seal among those under `prefix` of `bucket`."""
    seals = tables.seals
    query = sa.select(seals.c.seq, seals.c.body).where(*_in_place(bucket, prefix)).order_by(seals.c.seal_id.desc())
    row = connection.execute(query.limit(1)).first()
    return RecordedSeal() if row is None else RecordedSeal(json.loads(row.body)["number"], row.seq, row.body)


def newest_recorded(connection: sa.Connection) -> Seal | None:
    """The newest seal that the ledger has recorded in any place; None: none, or one that cannot be read."""
    seals = tables.seals
    query = sa.select(seals.c.body, seals.c.signature).order_by(seals.c.seal_id.desc())
    row = connection.execute(query.limit(1)).first()
    read = read_seal(json.dumps({"body": row.body, "signature": row.signature}).encode()) if row else None
    return read.seal if isinstance(read, SignedSeal) else None


def count_recorded(connection: sa.Connection, bucket: str | None = None, prefix: str = "") -> int:
    """How many seals are recorded, in one place or at all, whatever else their rows hold."""
    query = sa.select(sa.func.count()).select_from(tables.seals)
    return int(connection.scalar(query if bucket is None else query.where(*_in_place(bucket, prefix))) or 0)


def record_seal(tx: Transaction, signed: SignedSeal, bucket: str, key: str, object_version: str | None) -> bool:
    """Record a seal that lies in the store; returns whether it was new. Raises `RuleBroken` for what is out of turn."""
    seal = signed.seal
    if count_recorded(tx.connection, bucket, key):
        return False
    (number,) = tx.number(tables.seals)
    row = {
        "seal_id": number,
        "seq": seal.seq,
        "hash": seal.hash,
        "sealed_at": seal.sealed_at,
        "public_key": seal.public_key,
        "body": seal.body.decode(),
        "signature": signed.signature,
        "bucket": bucket,
        "key": key,
        "object_version": object_version,
    }
    tx.insert(tables.seals, [row])
    return True


def tell_key(tx: Transaction, action: str, *, public_key: str, before: str, after_seq: int) -> bool:
    """Append the event that another key signs from now on, unless an event behind `after_seq` says so already.

    `action` is `announce_seal_key` or `replace_seal_key`, `before` the public key that signed until now.
    """
    return _tell_once(tx, action, {"public_key": public_key, "before": before}, after_seq)


def tell_place(tx: Transaction, *, place: str, before: Sequence[str]) -> bool:
    """Append the event that seals are put into `place` from now on, unless one behind the last seal says so already.

    `before` are the places where seals lie until now: what tells of them cannot be taken out of the trail.
    """
    sealed = tx.connection.scalar(sa.select(sa.func.max(tables.seals.c.seq))) or 0
    return _tell_once(tx, MOVED, {"place": place, "before": list(before)}, sealed)


def recorded_keys(connection: sa.Connection) -> list[tuple[str, str]] | None:
    """Bucket and key of every recorded seal; None: the record cannot be read."""
    try:
        rows = connection.execute(sa.select(tables.seals.c.bucket, tables.seals.c.key)).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    return [(str(row.bucket), str(row.key)) for row in rows]


def told_changes(connection: sa.Connection, up_to: int | None = None, *, columns: bool = True) -> list[ToldChange]:
    """Every event, up to number `up_to`, that tells of another place, or of another key, in order.

    Without `columns` only hashed bodies are relied on, which takes longer. What cannot be read is left out: the
    verification of the chain names it.
    """
    events, actions = tables.events, (ANNOUNCED, REPLACED, MOVED)
    named = [events.c.body.contains(f'"action":"{action}"', autoescape=True) for action in actions]
    query = sa.select(events.c.body).where(events.c.action.in_(actions) if columns else sa.or_(*named))
    if up_to is not None:
        query = query.where(events.c.seq <= up_to)
    try:
        found = [_read_change(body) for (body,) in connection.execute(query.order_by(events.c.seq))]
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return []
    return [one for one in found if one is not None and one.action in actions]


def hashes_at(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, str]:
    """The hashes of those of these events that are there."""
    events, found = tables.events, {}
    for start in range(0, len(numbers), _AT_ONCE):
        query = sa.select(events.c.seq, events.c.hash).where(events.c.seq.in_(numbers[start : start + _AT_ONCE]))
        found.update({row.seq: row.hash for row in connection.execute(query)})
    return found


def _read_change(body: object) -> ToldChange | None:
    try:
        told = json.loads(str(body))
        details = {name: value for name, value in told["details"].items() if isinstance(value, str | list)}
        return ToldChange(int(told["seq"]), from_micros(told["at"]), str(told["actor"]), str(told["action"]), details)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _tell_once(tx: Transaction, action: str, details: Mapping[str, Any], after_seq: int) -> bool:
    events = tables.events
    told = sa.select(events.c.body).where(events.c.seq > after_seq, events.c.action == action)
    if any(json.loads(body)["details"] == details for (body,) in tx.connection.execute(told)):
        return False
    tx.append([Draft(action=action, details=details)])
    return True


def _in_place(bucket: str, prefix: str) -> tuple[sa.ColumnElement[bool], ...]:
    seals = tables.seals
    return seals.c.bucket == bucket, seals.c.key.startswith(prefix, autoescape=True)
