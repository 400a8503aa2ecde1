"""Working time is counted right: against hand-computed dates, and against a slow oracle that looks at every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.calendars import Calendar, due_at, later, parse_days, working_s
from policies.quantities import Duration, Unit, parse_duration

BERLIN = Calendar(timezone="Europe/Berlin", days="mon-fri", hours="09:00-17:30", holidays="DE")
MINUTE = timedelta(minutes=1)
_HOLIDAYS = {country: holidays.country_holidays(country, years=range(2023, 2030)) for country in ("DE", "CA")}


def _local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("start", "within", "due"),
    [
        ("2026-11-24T10:00", "2 days", "2026-11-26T10:00"),
        ("2026-11-24T10:00", "90 minutes", "2026-11-24T11:30"),
        ("2026-11-24T17:00", "1 hour", "2026-11-25T09:30"),
        ("2026-11-24T09:00", "1 day", "2026-11-24T17:30"),
        ("2026-11-27T16:30", "1 day", "2026-11-30T16:30"),
        ("2026-11-28T12:00", "30 minutes", "2026-11-30T09:30"),
        ("2026-11-24T23:00", "1 week", "2026-12-01T17:30"),
        ("2026-12-24T12:00", "1 day", "2026-12-28T12:00"),
        ("2026-03-27T12:00", "1 day", "2026-03-30T12:00"),
        ("2026-10-23T12:00", "1 day", "2026-10-26T12:00"),
    ],
)
def test_due_on_the_wall_clock(start: str, within: str, due: str) -> None:
    """Deadlines run through evenings, weekends, holidays and both clock changes as people would say they do."""
    assert due_at(BERLIN, _local(start), parse_duration(within)) == _local(due)


def test_hours_that_clocks_skip_or_repeat() -> None:
    """A night shift lasts an hour less in spring and an hour more in autumn, and time is what really passes."""
    nights = Calendar(timezone="Europe/Berlin", days="mon-sun", hours="01:00-05:00")
    spring = due_at(nights, _local("2026-03-29T00:00"), Duration(210, Unit.MINUTE))
    assert spring == _local("2026-03-30T01:30")
    autumn = due_at(nights, _local("2026-10-25T00:00"), Duration(5, Unit.HOUR))
    assert autumn == _local("2026-10-25T05:00")


def test_opening_in_the_hour_that_does_not_exist() -> None:
    """Work that opens in the skipped hour opens at the jump."""
    nights = Calendar(timezone="Europe/Berlin", days="mon-sun", hours="02:30-05:00")
    opened = nights.hours_of(date(2026, 3, 29))
    assert opened == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC))


def test_day_that_a_country_left_out() -> None:
    """Samoa had no 30 December 2011: no work was done on it."""
    samoa = Calendar(timezone="Pacific/Apia", days="mon-fri", hours="09:00-17:00")
    assert samoa.hours_of(date(2011, 12, 30)) is None


def _working_minutes(calendar: Calendar, start: datetime, minutes: int) -> list[bool]:
    """Whether each minute from `start` on is worked in, by looking at the wall clock in each."""
    zone = ZoneInfo(calendar.timezone)
    opens, closes = calendar.hours.split("-")
    kept = _HOLIDAYS[calendar.holidays] if calendar.holidays else {}
    weekdays = parse_days(calendar.days)
    walls = [(start + MINUTE * offset).astimezone(zone) for offset in range(-1500, minutes + 1500)]
    shown = [(wall.date(), f"{wall:%H:%M}") for wall in walls]
    first: dict[date, int] = {}
    last: dict[date, int] = {}
    for index, (day, clock) in enumerate(shown):
        if clock >= opens:
            first.setdefault(day, index)
        if clock < closes:
            last[day] = index
    return [
        day.weekday() in weekdays and day not in kept and first.get(day, index + 1) <= index <= last.get(day, -1)
        for index, (day, _) in enumerate(shown)
    ][1500 : 1500 + minutes]


_STARTS = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25", "2026-12-23", "2026-04-03", "2026-04-05"])
    .map(datetime.fromisoformat)
    .flatmap(lambda day: st.integers(0, 2879).map(lambda minutes: day + MINUTE * minutes)),
).map(lambda start: start.replace(second=0, microsecond=0, tzinfo=UTC))
_CALENDARS = st.builds(
    Calendar,
    timezone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    days=st.sampled_from(["mon-fri", "mon-sun", "sun-thu", "tue, sat"]),
    hours=st.sampled_from(["09:00-17:30", "00:00-24:00", "01:30-02:30", "00:00-03:00", "02:15-02:45", "22:00-24:00"]),
    holidays=st.sampled_from([None, "DE", "CA"]),
)


@settings(deadline=None, max_examples=40)
@given(calendar=_CALENDARS, start=_STARTS, minutes=st.integers(1, 1500))
def test_every_minute_is_counted_once(calendar: Calendar, start: datetime, minutes: int) -> None:
    """due_at and working_s agree with an oracle that asks of every single minute whether it is worked in."""
    span = 9 * 1440
    worked = _working_minutes(calendar, start, span)
    assert working_s(calendar, start, start + MINUTE * span) == sum(worked) * 60
    count = 0
    for offset, is_worked in enumerate(worked):
        count += is_worked
        if count == minutes:
            assert due_at(calendar, start, Duration(minutes, Unit.MINUTE)) == start + MINUTE * (offset + 1)
            break


@given(share=st.floats(0.01, 1))
def test_shares_of_a_deadline_lie_inside_it(share: float) -> None:
    """A reminder at a share of the time comes after that share of working time, to the microsecond."""
    start = _local("2026-11-24T14:00")
    at = due_at(BERLIN, start, Duration(2, Unit.DAY), share)
    assert working_s(BERLIN, start, at) == pytest.approx(share * 2 * 8.5 * 3600, abs=1e-5)


def test_what_no_deadline_runs_from() -> None:
    """A start without a time zone, and months of working time, are refused."""
    with pytest.raises(ValueError, match="aware datetime"):
        due_at(BERLIN, datetime(2026, 1, 1), Duration(1, Unit.DAY))  # noqa: DTZ001 - what is tested
    with pytest.raises(ValueError, match="2 months is no working time"):
        due_at(BERLIN, datetime(2026, 1, 1, tzinfo=UTC), Duration(2, Unit.MONTH))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("timezone", "Europe/Berln", "a time zone of the IANA database, such as 'Europe/Berlin'"),
        ("days", "mon-fry", "days of the week or ranges of them"),
        ("hours", "17:30-09:00", "an opening and a later closing time of the same day"),
        ("hours", "09:00-24:30", "an opening and a later closing time of the same day"),
        ("holidays", "XX", "a country or subdivision whose holidays are known"),
        ("holidays", "DE-XX", "a country or subdivision whose holidays are known"),
    ],
)
def test_wrong_calendars_are_refused(field: str, value: str, message: str) -> None:
    """What a calendar cannot be is refused with what it can."""
    with pytest.raises(ValidationError, match=message):
        Calendar.model_validate({field: value})


@pytest.mark.parametrize(
    ("start", "by", "end"),
    [
        ("2026-01-31", "1 month", "2026-03-01"),
        ("2024-02-29", "1 year", "2025-03-01"),
        ("2024-02-29", "4 years", "2028-02-29"),
        ("2026-12-15", "1 month", "2027-01-15"),
        ("2026-11-30", "3 months", "2027-03-01"),
        ("2026-11-24", "30 days", "2026-12-24"),
        ("2026-11-24", "2 weeks", "2026-12-08"),
    ],
)
def test_calendar_time_is_never_short(start: str, by: str, end: str) -> None:
    """Months and years end on the same day, or on the next that exists."""
    assert later(datetime.fromisoformat(start).replace(tzinfo=UTC), parse_duration(by)) == datetime.fromisoformat(
        end
    ).replace(tzinfo=UTC)
