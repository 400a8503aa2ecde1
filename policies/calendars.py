"""Working time: when the people of a policy are at work, and when a deadline counted in their time is over.

A working day has one opening and one closing time on the wall clock of the calendar's time zone. What counts is the
time that really passes between the two: on a day when clocks change in between, an hour more or less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import field_validator

from policies.quantities import Duration, Unit
from policies.validation import Section, nearest_word

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_ALLOWED_DAYS: Final = "days of the week or ranges of them, such as 'mon-fri' or 'mon, wed-sat'"
_ALLOWED_HOURS: Final = "an opening and a later closing time of the same day, such as '09:00-17:30'"
_DAY: Final = timedelta(days=1)
MOMENTS_ALLOWED: Final = "a moment of the years 1970 to 9997"


def parse_days(text: str) -> frozenset[int]:
    """Days of the week that `text` names, 0 for Monday; raises ValueError if it names none.

    >>> sorted(parse_days("mon-wed, sat"))
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(_ALLOWED_DAYS)
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        found.update(range(start, end + 1) if start <= end else (*range(start, 7), *range(end + 1)))
    return frozenset(found)


def parse_hours(text: str) -> tuple[int, int]:
    """Minutes after midnight at which work opens and closes; raises ValueError if `text` names no such times.

    >>> parse_hours("09:00-17:30")
    (540, 1050)
    """
    match = _HOURS.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(_ALLOWED_HOURS)
    opens, closes = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if not opens < closes <= 24 * 60:
        raise ValueError(_ALLOWED_HOURS)
    return opens, closes


class Calendar(Section):
    """When people work: time zone, days of the week, hours of the day, and the country whose holidays they keep.

    `holidays` is a country of ISO 3166, or one of its subdivisions (`DE`, `DE-BY`); without it, no holiday is kept.
    """

    timezone: str = "UTC"
    days: str = "mon-fri"
    hours: str = "09:00-17:30"
    holidays: str | None = None

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, value: str) -> str:
        if value not in _zones():
            nearest = nearest_word(value, _zones())
            raise ValueError("a time zone of the IANA database" + (f", such as {nearest!r}" if nearest else ""))
        return value

    @field_validator("days")
    @classmethod
    def _days_readable(cls, value: str) -> str:
        parse_days(value)
        return value

    @field_validator("hours")
    @classmethod
    def _hours_readable(cls, value: str) -> str:
        parse_hours(value)
        return value

    @field_validator("holidays")
    @classmethod
    def _holidays_known(cls, value: str | None) -> str | None:
        if value is not None:
            import holidays as public_holidays  # slow to import, and not every calendar keeps any

            country, _, part = value.partition("-")
            known = public_holidays.list_supported_countries(include_aliases=False)
            if country not in known or (part and part not in known[country]):
                raise ValueError("a country or subdivision whose holidays are known, such as 'DE' or 'DE-BY'")
        return value

    @property
    def day_s(self) -> int:
        """Length of one working day, in seconds: what "1 day" means in a deadline."""
        opens, closes = parse_hours(self.hours)
        return (closes - opens) * 60

    def seconds(self, within: Duration) -> int:
        """Working seconds in `within`; a week is as many days as the calendar has in one.

        >>> Calendar(hours="09:00-17:00").seconds(Duration(2, Unit.DAY))
        57600
        """
        day_s = self.day_s
        unit_s = {Unit.MINUTE: 60, Unit.HOUR: 3600, Unit.DAY: day_s, Unit.WEEK: day_s * len(parse_days(self.days))}
        if within.unit not in unit_s:
            raise ValueError(f"{within} is no working time; use minutes, hours, days or weeks")
        return within.amount * unit_s[within.unit]

    def hours_of(self, day: date) -> tuple[datetime, datetime] | None:
        """Opening and closing instant of `day` in UTC; None on a day without work."""
        if day.weekday() not in parse_days(self.days) or (self.holidays and day in _kept(self.holidays, day.year)):
            return None
        opens, closes = parse_hours(self.hours)
        zone = ZoneInfo(self.timezone)
        start, end = _instant(day, opens, zone, fold=0), _instant(day, closes, zone, fold=1)
        return (start, end) if start < end else None

    def working_days(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Opening and closing instants of each working day from the one of `start` on, without end."""
        day = start.astimezone(ZoneInfo(self.timezone)).date()
        while True:
            interval = self.hours_of(day)
            if interval:
                yield interval
            day += _DAY


def due_at(calendar: Calendar, start: datetime, within: Duration, share: float = 1.0) -> datetime:
    """The first instant at which `share` of `within` has passed since `start` in working time.

    `start` is aware; the answer is in UTC. Time outside working hours does not count, so that a deadline that runs out
    at closing time is due then and not on the next morning. Raises ValueError if `start` is naive.

    >>> office = Calendar(timezone="Europe/Berlin", hours="09:00-17:00", holidays="DE")
    >>> friday_noon = datetime(2026, 4, 30, 10, 0, tzinfo=UTC)  # Thursday before Labour Day
    >>> due_at(office, friday_noon, Duration(1, Unit.DAY)).isoformat()
    '2026-05-04T10:00:00+00:00'
    """
    return later_working(calendar, start, timedelta(seconds=calendar.seconds(within)) * share)


def later_working(calendar: Calendar, start: datetime, worked: timedelta) -> datetime:
    """The first instant, in UTC, at which `worked` has passed since `start` in working time.

    Raises ValueError if `start` is naive.
    """
    if start.tzinfo is None:
        raise ValueError("a deadline starts at an aware datetime")
    left = worked
    now = start.astimezone(UTC)
    days = calendar.working_days(now)
    opens, closes = next(days)
    while max(opens, now) + left > closes:
        left -= max(closes - max(opens, now), timedelta())
        opens, closes = next(days)
    return max(opens, now) + left


def working_s(calendar: Calendar, start: datetime, end: datetime) -> float:
    """Working seconds between two instants; 0 if `end` is not after `start`."""
    total = timedelta()
    for opens, closes in calendar.working_days(start):
        if opens >= end:
            break
        total += max(min(closes, end) - max(opens, start), timedelta())
    return total.total_seconds()


def later(start: datetime, by: Duration) -> datetime:
    """`start` and calendar time `by` after it, in UTC; months and years never end early.

    A day of the month that does not exist becomes the first of the next one, so that nothing is kept too short.

    >>> later(datetime(2024, 2, 29, tzinfo=UTC), Duration(7, Unit.YEAR)).isoformat()
    '2031-03-01T00:00:00+00:00'
    """
    at = start.astimezone(UTC)
    fixed = {Unit.MINUTE: timedelta(minutes=1), Unit.HOUR: timedelta(hours=1), Unit.DAY: _DAY, Unit.WEEK: 7 * _DAY}
    if by.unit in fixed:
        return at + by.amount * fixed[by.unit]
    months = at.year * 12 + at.month - 1 + by.amount * (12 if by.unit is Unit.YEAR else 1)
    try:
        return at.replace(year=months // 12, month=months % 12 + 1)
    except ValueError:
        return at.replace(year=(months + 1) // 12, month=(months + 1) % 12 + 1, day=1)


def is_moment(at: datetime) -> bool:
    """Whether an aware instant may be the end of an absence: on the days beside it there is a calendar everywhere.

    >>> is_moment(datetime(2026, 11, 24, tzinfo=UTC)), is_moment(datetime(1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    (True, False)
    """
    return 1970 <= at.year < 9998


def _instant(day: date, minutes: int, zone: ZoneInfo, *, fold: int) -> datetime:
    """UTC instant of a wall-clock time: of one shown twice the first or second (`fold`), of a skipped one the jump."""
    wall = datetime.combine(day, time(), tzinfo=None) + timedelta(minutes=minutes)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        return second if fold else first
    return _jump(second, first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the clocks of `zone` jump, somewhere in (before, after]."""
    target = after.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        jumped = (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == target
        low, high = (low, middle) if jumped else (middle, high)
    return before + timedelta(seconds=high)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=256)
def _kept(holidays: str, year: int) -> frozenset[date]:
    import holidays as public_holidays

    country, _, part = holidays.partition("-")
    return frozenset(public_holidays.country_holidays(country, subdiv=part or None, years=year))
