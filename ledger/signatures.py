"""Signing: a person's one-time code is looked at and used up once; wrong ones slow down that person, nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.errors import LedgerError
from ledger.notices import write_notices
from ledger.secret_box import KeyRing, Sealed, open_secret
from ledger.transaction import Draft, Transaction
from policies.one_time_code import find_step, is_code, seconds_off, step_begins_at, wait_after


class Flaw(StrEnum):
    """Why a code is not taken; what the audit trail says of it."""

    NO_CODE = "no code"
    NOT_ENROLLED = "not enrolled"
    TOO_SOON = "too soon after a wrong code"
    WRONG = "wrong code"
    OTHER_TIME = "code of another time"
    USED = "used code"
    UNREADABLE = "the secret does not open"


@dataclass(frozen=True, slots=True)
class Signed:
    """A code was right and is used up: it was that of this time step (of 30 s since 1970)."""

    step: int


@dataclass(frozen=True, slots=True)
class NotSigned:
    """A code was not taken: `flaw` for the audit trail, `words` for the person; neither tells the code."""

    flaw: Flaw
    words: str


_TOLD_AT: Final = 3
"""Wrong codes in a row after which their person is told: once, as they may be somebody else's."""
_NOT_SIX_DIGITS: Final = "A code has six digits: type the one that the authenticator app shows now."
_ENROL: Final = (
    "Whom you chose has no authenticator yet: enrol one with `signoff people enrol` and your handle, then answer again."
)


def sign(
    tx: Transaction,
    ring: KeyRing | None,
    person_id: int,
    code: str | None,
    at: datetime,
    purpose: str,
    *,
    review_id: int | None = None,
) -> Signed | NotSigned:
    """Look at a person's code and use it up, in this transaction; the database holds that it is never used again.

    `at` is when it was given (for a form: when the run was resumed), whatever time it is by now; it is right for the
    step of then and one beside. `purpose` is what it is given for: `answer` (of `review_id`), `policy`, `unenrol`,
    `enrol`, `recover`. A wrong code is counted, which has to be committed: the next one is looked at when `wait_after`
    is over. None of this depends on anybody else. `ring` is None where there is no identity key.
    """
    if code is None or not is_code(code):
        return NotSigned(Flaw.NO_CODE, _NOT_SIX_DIGITS)
    secret = _present(tx.connection, person_id, "active")
    if secret is None:
        return NotSigned(Flaw.NOT_ENROLLED, _ENROL)
    found = look_at(tx, ring, secret, code, at)
    if isinstance(found, Signed):
        use_up(tx, person_id, found.step, at, purpose, review_id)
    return found


def look_at(tx: Transaction, ring: KeyRing | None, secret: Any, code: str, at: datetime) -> Signed | NotSigned:
    """Whether a code is right for a row of `signing_secrets` and was not used before; a wrong one is counted."""
    person_id = secret.person_id
    waits = _looks_again_at(tx.connection, person_id)
    if waits is not None and at < waits:
        return NotSigned(Flaw.TOO_SOON, f"After a wrong code the next one is looked at from {_clock(waits)} on.")
    try:
        plain = open_stored(ring, secret)
    except LedgerError:  # words about keys are for the operator: `signoff people list` has them
        return NotSigned(
            Flaw.UNREADABLE, "Codes cannot be checked here: tell the operator to look at the identity key."
        )
    step = find_step(plain, code, at)
    if step is None:
        return _count_wrong(tx, person_id, plain, code, at)
    used = tables.used_codes
    mine = sa.and_(used.c.person_id == person_id, used.c.step == step)
    if tx.connection.scalar(sa.select(used.c.step).where(mine)) is not None:
        coming = _clock(step_begins_at(step + 1))
        return NotSigned(Flaw.USED, f"That code was used, and each is good once: take the next one, from {coming} on.")
    return Signed(step)


def use_up(
    tx: Transaction, person_id: int, step: int, at: datetime, purpose: str, review_id: int | None = None
) -> None:
    """Note that a person's code of a step is used; wrong ones before it are forgotten."""
    row = {"person_id": person_id, "step": step, "used_at": tx.origin.at, "purpose": purpose, "review_id": review_id}
    tx.insert(tables.used_codes, [row])
    failures = tables.code_failures
    tx.connection.execute(
        failures.update()
        .where(failures.c.person_id == person_id, failures.c.failures > 0)
        .values(failures=0, last_at=tx.origin.at, looks_again_at=at)
    )


def refuse_code(tx: Transaction, person_id: int, purpose: str, refused: NotSigned) -> None:
    """Audit that a person's code was not taken for something else than the answer of a form."""
    details = {"person": person_id, "purpose": purpose}
    tx.append([Draft("refuse_code", reason=str(refused.flaw), details=details)])


def enrolled_people(connection: sa.Connection) -> frozenset[int]:
    """Ids of those who can sign."""
    secrets = tables.signing_secrets
    return frozenset(connection.scalars(sa.select(secrets.c.person_id).where(secrets.c.state == "active")))


def used_steps(connection: sa.Connection, person_id: int) -> frozenset[int]:
    """Time steps whose codes a person has used up."""
    used = tables.used_codes
    return frozenset(connection.scalars(sa.select(used.c.step).where(used.c.person_id == person_id)))


def open_stored(ring: KeyRing | None, secret: Any) -> str:
    """The plain secret of a row of `signing_secrets`. Raises `LedgerError` when it does not open with these keys."""
    if ring is None:
        raise LedgerError("there is no identity key here")
    return open_secret(ring, Sealed(secret.key_id, secret.sealed), place_of(secret.person_id, secret.secret_id))


def place_of(person_id: int, secret_id: int) -> str:
    """What a secret is sealed for: it opens in this row only."""
    return f"person {person_id}, secret {secret_id}"


def _present(connection: sa.Connection, person_id: int, state: str) -> Any:
    secrets = tables.signing_secrets
    mine = sa.and_(secrets.c.person_id == person_id, secrets.c.state == state)
    return connection.execute(sa.select(secrets).where(mine)).one_or_none()


def _looks_again_at(connection: sa.Connection, person_id: int) -> datetime | None:
    failures = tables.code_failures
    mine = sa.and_(failures.c.person_id == person_id, failures.c.failures > 0)
    found: datetime | None = connection.scalar(sa.select(failures.c.looks_again_at).where(mine))
    return found


def _count_wrong(tx: Transaction, person_id: int, plain: str, code: str, at: datetime) -> NotSigned:
    failures = tables.code_failures
    before = tx.connection.execute(sa.select(failures).where(failures.c.person_id == person_id)).one_or_none()
    count = 1 if before is None else before.failures + 1
    again = max(at + wait_after(count), at if before is None else before.looks_again_at)
    row = {"person_id": person_id, "failures": count, "last_at": tx.origin.at, "looks_again_at": again}
    if before is None:
        tx.insert(failures, [row])
    else:
        tx.connection.execute(failures.update().where(failures.c.person_id == person_id).values(row))
    if count == _TOLD_AT:
        said = f"{count} wrong codes in a row were given in your name. Was it not you? Tell those who run Signoff."
        write_notices(tx, "security", f"wrong codes {tables.to_micros(at)}", [person_id], {"text": said})
    wait = f"The next code is looked at from {_clock(again)} on."
    off = seconds_off(plain, code, at)
    if off is None:
        return NotSigned(Flaw.WRONG, f"That code is not right. {wait}")
    said = f"about {abs(off) // 60 or 1} min {'too late' if off > 0 else 'too early'}"
    return NotSigned(Flaw.OTHER_TIME, f"That code came {said}: look at the clock of the telephone. {wait}")


def _clock(at: datetime) -> str:
    whole = at if at.microsecond == 0 else at + timedelta(microseconds=1_000_000 - at.microsecond)
    return f"{whole:%Y-%m-%d %H:%M:%S} UTC"
