"""One-time codes are those of RFC 6238 and RFC 4226, each of one step."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.one_time_code import (
    STEP_S,
    code_at,
    enrolment_uri,
    find_step,
    new_secret,
    seconds_off,
    step_at,
    step_begins_at,
    wait_after,
)

RFC = base64.b32encode(b"12345678901234567890").decode()
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is given beside)


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(at_s: int, code: str) -> None:
    """Appendix B, SHA-1: eight digits there, of which six-digit codes are the last six."""
    step = step_at(datetime.fromtimestamp(at_s, UTC))
    assert step == at_s // 30
    assert code_at(RFC, step) == code[-6:]
    assert find_step(RFC, code[-6:], datetime.fromtimestamp(at_s, UTC)) == step


@pytest.mark.parametrize(
    ("count", "code"),
    list(enumerate([755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489])),
)
def test_the_vectors_of_rfc_4226(count: int, code: int) -> None:
    """Appendix D, by counter."""
    assert code_at(RFC, count) == f"{code:06}"


@given(at=INSTANTS, drift=st.integers(-45, 45))
def test_a_code_is_good_for_its_step_and_one_beside(at: datetime, drift: int) -> None:
    """Within one step it is that step's; further off it is nothing, and its distance is told."""
    secret = RFC
    present = step_at(at)
    code = code_at(secret, present + drift)
    same = [other for other in range(-45, 46) if present + other >= 0 and code_at(secret, present + other) == code]
    if len(same) > 1:
        return  # two steps happen to have one code
    assert find_step(secret, code, at) == (present + drift if abs(drift) <= 1 else None)
    assert seconds_off(secret, code, at) == (-drift * STEP_S if 1 < abs(drift) <= 40 else None)


@given(at=INSTANTS)
def test_steps_tile_time(at: datetime) -> None:
    """Each instant lies in one step, which begins at or before it and ends after it."""
    begins = step_begins_at(step_at(at))
    assert begins <= at < begins + timedelta(seconds=STEP_S)


def test_waiting_doubles_to_an_hour() -> None:
    """Half a minute first; whoever guesses around the clock has 24 tries a day, and nobody waits longer."""
    waits = [wait_after(failures).total_seconds() for failures in range(12)]
    assert waits == [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def test_a_secret_is_random_and_long() -> None:
    """160 bits in base 32, never the same; the address for the QR code carries it and names issuer and person."""
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(base64.b32decode(one)) == 20
    address = urlsplit(enrolment_uri(one, "lea"))
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Signoff:lea")
    assert parse_qs(address.query) == {"secret": [one], "issuer": ["Signoff"]}
