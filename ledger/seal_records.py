"""The ledger's own record of its seals: what was put into the store, and which key is to sign next."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables
from ledger.seal import SignedSeal
from ledger.transaction import Draft, Transaction

ANNOUNCED = "announce_seal_key"
"""Action of the event that says which key will sign the seals from the next one on."""
REPLACED = "replace_seal_key"
"""Action of the event that says that the key before was lost: whoever verifies must pin the new one."""


@dataclass(frozen=True, slots=True)
class RecordedSeal:
    """The newest seal that the ledger knows of. `number` and `seq` are 0 when there is none."""

    number: int = 0
    seq: int = 0
    body: str = ""


def last_recorded(connection: sa.Connection) -> RecordedSeal:
    """The newest recorded seal."""
    seals = tables.seals
    query = sa.select(seals.c.seal_id, seals.c.seq, seals.c.body).order_by(seals.c.seal_id.desc()).limit(1)
    row = connection.execute(query).first()
    return RecordedSeal() if row is None else RecordedSeal(*row)


def count_recorded(connection: sa.Connection) -> int:
    """The number of the newest recorded seal, whatever else its row holds."""
    return int(connection.scalar(sa.select(sa.func.max(tables.seals.c.seal_id))) or 0)


def record_seal(tx: Transaction, signed: SignedSeal, bucket: str, key: str, object_version: str | None) -> bool:
    """Record a seal that lies in the store; returns whether it was new. Raises `RuleBroken` for what is out of turn."""
    seal = signed.seal
    if last_recorded(tx.connection).number >= seal.number:
        return False
    row = {
        "seal_id": seal.number,
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
    events = tables.events
    told = sa.select(events.c.body).where(events.c.seq > after_seq, events.c.action == action)
    if any(json.loads(body)["details"].get("public_key") == public_key for (body,) in tx.connection.execute(told)):
        return False
    tx.append([Draft(action=action, details={"public_key": public_key, "before": before})])
    return True
