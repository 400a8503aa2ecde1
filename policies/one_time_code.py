"""One-time codes of an authenticator app (TOTP, RFC 6238): which step a code is right for, how long guessing waits."""

from __future__ import annotations

import re
import secrets
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Final

STEP_S: Final = 30
"""Seconds that a code is shown (RFC 6238, section 5.2)."""
DRIFT: Final = 1
"""Steps by which the clock of an authenticator may be ahead or behind, the time for typing included."""
CODE_PATTERN: Final = "^[0-9]{6}$"
ISSUER: Final = "Signoff"

_CODE: Final = re.compile(CODE_PATTERN, re.ASCII)
_SECRET_BYTES: Final = 20
_RECENT: Final = 40
"""Steps before and after in which a code that is too old or too new is still recognised, to say so: twenty minutes."""
_FIRST_WAIT_S: Final = 30
_LONGEST_WAIT_S: Final = 3600


def is_code(text: str) -> bool:
    r"""Whether a text could be a code: six ASCII digits and nothing else.

    >>> is_code("012345"), is_code("12345"), is_code("012345\n"), is_code("٠١٢٣٤٥")
    (True, False, False, False)
    """
    return _CODE.fullmatch(text) is not None


def new_secret() -> str:
    """A fresh secret of 160 random bits in base 32, as authenticator apps take it (RFC 4226 recommends that length)."""
    return b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_at(at: datetime) -> int:
    """The number of the step of `STEP_S` seconds since 1970 that an aware instant lies in.

    >>> step_at(datetime(2005, 3, 18, 1, 58, 29, tzinfo=UTC)), step_at(datetime(2005, 3, 18, 1, 58, 30, tzinfo=UTC))
    (37037036, 37037037)
    """
    return int(at.timestamp() // STEP_S)


def step_begins_at(step: int) -> datetime:
    """The instant in which a step begins.

    >>> step_begins_at(37037036).isoformat()
    '2005-03-18T01:58:00+00:00'
    """
    return datetime.fromtimestamp(step * STEP_S, UTC)


def code_at(secret: str, step: int) -> str:
    """The code of a secret in a step.

    >>> code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 37037036)  # RFC 6238, appendix B: 07081804, of which six digits
    '081804'
    """
    import pyotp  # here, as whoever reads a form without a code does not need it

    return pyotp.TOTP(secret, interval=STEP_S).generate_otp(step)


def find_step(secret: str, code: str, at: datetime) -> int | None:
    """The step that a code is right for at an instant: the present one or one within `DRIFT`, the present one first.

    None: it is right for none of them.
    """
    present = step_at(at)
    drifts = sorted(range(-DRIFT, DRIFT + 1), key=abs)
    return next((present + drift for drift in drifts if _is_right(secret, code, present + drift)), None)


def seconds_off(secret: str, code: str, at: datetime) -> int | None:
    """By how many seconds a code that is not right now comes too late (below 0: too early), if it is near at all.

    For telling a person that their code was old or that the clock of their telephone is wrong: such a code is refused.
    """
    present = step_at(at)
    nearest = sorted((off for off in range(-_RECENT, _RECENT + 1) if abs(off) > DRIFT), key=abs)
    return next((off * STEP_S for off in nearest if _is_right(secret, code, present - off)), None)


def wait_after(failures: int) -> timedelta:
    """How long no code of a person is looked at after so many wrong ones in a row: it doubles, up to an hour.

    >>> [int(wait_after(failures).total_seconds()) for failures in (0, 1, 2, 7, 8, 1_000)]
    [0, 30, 60, 1920, 3600, 3600]
    """
    if failures < 1:
        return timedelta(0)
    return timedelta(seconds=min(_FIRST_WAIT_S * 2 ** min(failures - 1, 16), _LONGEST_WAIT_S))


def enrolment_uri(secret: str, handle: str) -> str:
    """What the QR code for an authenticator app says (otpauth URI).

    >>> enrolment_uri("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "lea")
    'otpauth://totp/Signoff:lea?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Signoff'
    """
    import pyotp

    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=handle, issuer_name=ISSUER)


def _is_right(secret: str, code: str, step: int) -> bool:
    return step >= 0 and compare_digest(code.encode(), code_at(secret, step).encode())
