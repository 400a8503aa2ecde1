"""The injected clock: nothing in Signoff reads the time of day except through one of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from tasks.errors import ClockUnreadable

_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_OFFSET: Final = re.compile(r"([+-])(\d+(?:\.\d+)?)([wdhms])")


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...

    def shown_at(self, instant: datetime) -> datetime:
        """Return what this clock showed when that of the machines was at `instant` (aware; the result in UTC)."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def shown_at(self, instant: datetime) -> datetime:
        """Return `instant` in UTC."""
        return instant.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class FrozenClock:
    """A clock that stands still at `at`."""

    at: datetime

    def now(self) -> datetime:
        """Return `at`."""
        return self.at

    def shown_at(self, instant: datetime) -> datetime:
        """Return `at`, whenever it was."""
        del instant
        return self.at


@dataclass(frozen=True, slots=True)
class OffsetClock:
    """The machine's clock shifted by `offset`, so that a demonstration can look at next week."""

    offset: timedelta

    def now(self) -> datetime:
        """Return the machine's time plus the offset, in UTC."""
        return datetime.now(UTC) + self.offset

    def shown_at(self, instant: datetime) -> datetime:
        """Return `instant` plus the offset, in UTC."""
        return instant.astimezone(UTC) + self.offset


def clock_from(text: str) -> Clock:
    """Decide which clock the setting `clock` names.

    `text` is `system`, an ISO 8601 instant with its zone, or a signed number with one unit of w, d, h, m, s.
    Raises `ClockUnreadable` on anything else, an instant without a zone included.

    >>> clock_from("+3d")
    OffsetClock(offset=datetime.timedelta(days=3))
    >>> clock_from("2026-11-24T10:00:00+01:00").now().isoformat()
    '2026-11-24T09:00:00+00:00'
    """
    if text == "system":
        return SystemClock()
    if shift := _OFFSET.fullmatch(text):
        sign, amount, unit = shift.groups()
        try:
            offset = timedelta(**{_UNITS[unit]: float(amount)})
        except OverflowError:
            raise ClockUnreadable(text) from None
        return OffsetClock(-offset if sign == "-" else offset)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ClockUnreadable(text) from None
    if instant.tzinfo is None:
        raise ClockUnreadable(text)
    return FrozenClock(instant.astimezone(UTC))
