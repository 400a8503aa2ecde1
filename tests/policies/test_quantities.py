"""Durations, sizes and percentages mean what they say, and nothing that is ambiguous is let in."""

from __future__ import annotations

import pytest

from policies.errors import QuantityInvalid
from policies.quantities import (
    Duration,
    Unit,
    parse_duration,
    parse_percent,
    parse_seconds,
    parse_size,
    parse_working_duration,
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("2 days", Duration(2, Unit.DAY)),
        ("1 day", Duration(1, Unit.DAY)),
        ("90 minutes", Duration(90, Unit.MINUTE)),
        (" 7years ", Duration(7, Unit.YEAR)),
    ],
)
def test_durations(text: str, duration: Duration) -> None:
    """A duration is a whole number of a unit, and is written back as it would be said."""
    assert parse_duration(text) == duration
    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize("text", ["", "2", "0 days", "-1 day", "1.5 days", "2 fortnights", "1001 years", 2, None, True])
def test_what_is_no_duration(text: object) -> None:
    """A number without a unit, a fraction or an endless time is refused."""
    with pytest.raises(QuantityInvalid):
        parse_duration(text)


@pytest.mark.parametrize("text", ["2 months", "1 year", "530 weeks"])
def test_what_is_no_working_time(text: str) -> None:
    """Deadlines are not counted in months, and end within ten years."""
    with pytest.raises(QuantityInvalid):
        parse_working_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("2 GiB", 2**31), ("2 GB", 2 * 10**9), ("1.5kB", 1500), ("0 B", 0), (4096, 4096)]
)
def test_sizes(text: object, size_bytes: int) -> None:
    """Powers of 1000 and of 1024 are told apart; a bare number is bytes."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["2", "2 gigs", "-1 GB", "1e3 MB", -1, 1.5, True, None])
def test_what_is_no_size(text: object) -> None:
    """Text without a unit, and what is no whole number of bytes, is refused."""
    with pytest.raises(QuantityInvalid):
        parse_size(text)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.5 %", 0.005), ("100%", 1.0), ("0%", 0.0)])
def test_percentages(text: str, share: float) -> None:
    """A percentage becomes a share."""
    assert parse_percent(text) == share


@pytest.mark.parametrize("text", ["5", "101%", "-1%", 0.05, 5, None])
def test_what_is_no_percentage(text: object) -> None:
    """A bare number does not say whether it is a share, and is refused."""
    with pytest.raises(QuantityInvalid):
        parse_percent(text)


def test_playing_times() -> None:
    """A playing time is seconds, minutes or hours."""
    assert [parse_seconds(text) for text in ("90 s", "1.5 min", "2h")] == [90.0, 90.0, 7200.0]
    with pytest.raises(QuantityInvalid):
        parse_seconds("90")
