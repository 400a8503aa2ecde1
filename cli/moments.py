"""Moments as people type them: a date, an instant, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGE: Final = re.compile(r"(\d{1,5}) ?(min|m|hours?|h|days?|d|weeks?|w)(?: ago)?")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
ALLOWED: Final = (
    "allowed are a date (2026-11-24), an instant (2026-11-24T09:00, in UTC unless it says otherwise), or an age "
    "(30m, 12h, 2d, 3w)"
)


def parse_moment(text: str, now: datetime, *, end: bool = False) -> datetime:
    """The instant that `text` means; with `end`, a date alone is the end of that day. Raises `ValueError`.

    >>> now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    >>> [f"{parse_moment(one, now):%d %H:%M}" for one in ("2d", "3 h", "2026-03-01", "2026-03-01T08:00+02:00")]
    ['02 12:00', '04 09:00', '01 00:00', '01 06:00']
    >>> f"{parse_moment('2026-03-01', now, end=True):%d %H:%M}"
    '02 00:00'
    """
    if age := _AGE.fullmatch(text.strip()):
        return now - int(age[1]) * _UNITS[age[2][0]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no moment; {ALLOWED}") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    whole_day = end and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip())
    try:
        return found + timedelta(days=1) if whole_day else found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the years of the calendar; {ALLOWED}") from None
