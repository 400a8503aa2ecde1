"""Enrolment: a person's authenticator gets a secret, is confirmed by a code, replaced, recovered, or ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.errors import LedgerError
from ledger.secret_box import KeyRing, Sealed, open_secret, seal_secret
from ledger.signatures import (
    Flaw,
    NotSigned,
    Signed,
    look_at,
    open_stored,
    place_of,
    refuse_code,
    sign,
    use_up,
)
from ledger.transaction import Draft, Transaction
from policies.one_time_code import is_code, new_secret


class EnrolmentRefused(LedgerError):
    """Something about an authenticator is not allowed as things stand; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A secret that was just made, to be shown to its person once; `replaces` an active one when it is confirmed."""

    secret: str
    replaces: bool


def begin_enrolment(
    tx: Transaction, ring: KeyRing, person_id: int, old_code: str | None, at: datetime
) -> Enrolling | NotSigned:
    """Make a secret for a person, which counts once it is confirmed; one that was not confirmed before is dropped.

    While an authenticator is active it takes a code of that one: else who finds a terminal open could put theirs in its
    place. After "this was not me" it takes a recovery first (`EnrolmentRefused`).
    """
    active = _secret(tx.connection, person_id, "active")
    if active is not None:
        if old_code is None:
            raise EnrolmentRefused(
                "an authenticator is enrolled already; say --old-code with a code of it, or have it recovered by two "
                "people (`signoff people recover`). Nothing was changed"
            )
        signed = sign(tx, ring, person_id, old_code, at, "enrol")
        if isinstance(signed, NotSigned):
            refuse_code(tx, person_id, "enrol", signed)
            return signed
    elif _last_end(tx.connection, person_id) == "disowned":
        raise EnrolmentRefused(
            "this person said that a decision was not theirs, so their authenticator is no longer trusted; two other "
            "people recover it first: `signoff people recover`. Nothing was changed"
        )
    _end(tx, person_id, "pending", "dropped")
    (secret_id,) = tx.number(tables.signing_secrets)
    plain = new_secret()
    sealed = seal_secret(ring, plain, place_of(person_id, secret_id))
    row = {"secret_id": secret_id, "person_id": person_id, "state": "pending", "made_at": tx.origin.at}
    tx.insert(tables.signing_secrets, [{**row, "key_id": sealed.key_id, "sealed": sealed.text}])
    tx.append([Draft("begin_enrolment", details={"person": person_id, "secret": secret_id})])
    return Enrolling(plain, active is not None)


def confirm_enrolment(tx: Transaction, ring: KeyRing, person_id: int, code: str, at: datetime) -> Signed | NotSigned:
    """Make a pending secret the one that the person signs with, for a code of it; the one before ends.

    Raises `EnrolmentRefused` when nothing waits to be confirmed.
    """
    pending = _secret(tx.connection, person_id, "pending")
    if pending is None:
        raise EnrolmentRefused("no enrolment waits to be confirmed; `signoff people enrol` begins one")
    if not is_code(code):
        return NotSigned(Flaw.NO_CODE, "A code has six digits: type the one that the authenticator app shows now.")
    found = look_at(tx, ring, pending, code, at)
    if isinstance(found, NotSigned):
        refuse_code(tx, person_id, "enrol", found)
        return found
    _end(tx, person_id, "active", "replaced")
    secrets = tables.signing_secrets
    this = secrets.c.secret_id == pending.secret_id
    tx.connection.execute(secrets.update().where(this).values(state="active", confirmed_at=tx.origin.at))
    use_up(tx, person_id, found.step, at, "enrol")
    tx.append([Draft("confirm_enrolment", details={"person": person_id, "secret": pending.secret_id})])
    return found


def end_enrolment(tx: Transaction, person_id: int, ended_for: str) -> int:
    """Erase what a person signs with, and what waits to be confirmed; returns how many secrets ended.

    `ended_for`: unenrolled, recovered, disowned or forgotten. The codes that were used stay on record: numbers of time
    steps.
    """
    return _end(tx, person_id, "pending", "dropped") + _end(tx, person_id, "active", ended_for)


def recover_person(
    tx: Transaction, ring: KeyRing | None, person_id: int, helpers: tuple[int, int], codes: dict[int, str], at: datetime
) -> NotSigned | None:
    """End a person's authenticator, by two others, so that the person may enrol anew without a code of the old one.

    Each of the two signs with a code when enrolled themselves. None: done; else why a code was not taken. Raises
    `EnrolmentRefused` when the three are not three people, or nothing is to be recovered.
    """
    if len({person_id, *helpers}) < 3:
        raise EnrolmentRefused("a recovery takes two people beside the one who is recovered; nothing was changed")
    by_code = []
    for helper in helpers:
        if _secret(tx.connection, helper, "active") is None:
            continue
        signed = sign(tx, ring, helper, codes.get(helper), at, "recover")
        if isinstance(signed, NotSigned):
            refuse_code(tx, helper, "recover", signed)
            return signed
        by_code.append(helper)
    secrets = tables.signing_secrets
    ended = end_enrolment(tx, person_id, "recovered")
    disowned = sa.and_(secrets.c.person_id == person_id, secrets.c.ended_for == "disowned")
    ended += tx.connection.execute(secrets.update().where(disowned).values(ended_for="recovered")).rowcount
    if not ended:
        raise EnrolmentRefused(
            "this person has no authenticator that would have to be recovered; `signoff people enrol` enrols one"
        )
    details = {"person": person_id, "by": helpers[0], "second": helpers[1], "signed_by_code": sorted(by_code)}
    tx.append([Draft("recover_person", details=details)])
    return None


def seal_anew(tx: Transaction, ring: KeyRing) -> int:
    """Seal everything that another key than the current one sealed with the current one; returns how many that were.

    Raises `IdentityKeyUnknown` and `SecretUnreadable`: then nothing has changed.
    """
    count = 0
    secrets, own = tables.signing_secrets, tables.ledger_secrets
    for row in tx.connection.execute(
        sa.select(secrets).where(secrets.c.state != "ended", secrets.c.key_id != ring.current)
    ).all():
        sealed = seal_secret(ring, open_stored(ring, row), place_of(row.person_id, row.secret_id))
        this = secrets.c.secret_id == row.secret_id
        tx.connection.execute(secrets.update().where(this).values(key_id=sealed.key_id, sealed=sealed.text))
        count += 1
    for row in tx.connection.execute(sa.select(own).where(own.c.key_id != ring.current)).all():
        sealed = seal_secret(ring, open_secret(ring, Sealed(row.key_id, row.sealed), row.name), row.name)
        this = own.c.name == row.name
        tx.connection.execute(own.update().where(this).values(key_id=sealed.key_id, sealed=sealed.text))
        count += 1
    tx.append([Draft("seal_secrets", details={"key": ring.current, "secrets": count})])
    return count


def keys_in_use(connection: sa.Connection) -> dict[str, int]:
    """How many secrets each identity key seals, by the key's id."""
    secrets, own = tables.signing_secrets, tables.ledger_secrets
    found: dict[str, int] = {}
    for query in (sa.select(secrets.c.key_id).where(secrets.c.state != "ended"), sa.select(own.c.key_id)):
        for key_id in connection.scalars(query):
            found[key_id] = found.get(key_id, 0) + 1
    return found


def _secret(connection: sa.Connection, person_id: int, state: str) -> Any:
    secrets = tables.signing_secrets
    mine = sa.and_(secrets.c.person_id == person_id, secrets.c.state == state)
    return connection.execute(sa.select(secrets).where(mine)).one_or_none()


def _last_end(connection: sa.Connection, person_id: int) -> str | None:
    secrets = tables.signing_secrets
    query = sa.select(secrets.c.ended_for).where(
        secrets.c.person_id == person_id, secrets.c.state == "ended", secrets.c.ended_for != "dropped"
    )
    found: str | None = connection.scalar(query.order_by(secrets.c.secret_id.desc()).limit(1))
    return found


def _end(tx: Transaction, person_id: int, state: str, ended_for: str) -> int:
    secrets = tables.signing_secrets
    row = _secret(tx.connection, person_id, state)
    if row is None:
        return 0
    if tx.connection.dialect.name == "sqlite":
        tx.connection.exec_driver_sql("PRAGMA secure_delete=ON")  # freed bytes of the file are overwritten
    gone = {"state": "ended", "key_id": None, "sealed": None, "ended_at": tx.origin.at, "ended_for": ended_for}
    tx.connection.execute(secrets.update().where(secrets.c.secret_id == row.secret_id).values(gone))
    details = {"person": person_id, "secret": row.secret_id, "for": ended_for}
    tx.append([Draft("end_enrolment", details=details)] if ended_for != "dropped" else [])
    return 1
