"""Quantities as people write them in a policy: durations, sizes, percentages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from policies.errors import QuantityInvalid


class Unit(StrEnum):
    """What a duration is counted in."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


WORKING_UNITS: Final = (Unit.MINUTE, Unit.HOUR, Unit.DAY, Unit.WEEK)
"""Units that a deadline, which runs in working time, may use."""

_UNIT_DAYS: Final = {
    Unit.MINUTE: 1 / 1440,
    Unit.HOUR: 1 / 24,
    Unit.DAY: 1,
    Unit.WEEK: 7,
    Unit.MONTH: 31,
    Unit.YEAR: 366,
}
_LONGEST_DAYS: Final = 366_000
_LONGEST_WORKING_DAYS: Final = 3_660

_DURATION = re.compile(r"([1-9][0-9]{0,5}) ?(minute|hour|day|week|month|year)s?")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(s|min|h)")

_SHOWN_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SIZE_BYTES: Final = {
    "B": 1,
    **{prefix + "B": 1000**power for power, prefix in enumerate(("k", "M", "G", "T"), start=1)},
    "KB": 1000,
    **{prefix + "iB": 1024**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
}
_UNIT_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}

DURATION_ALLOWED: Final = "a whole number of minutes, hours, days, weeks, months or years, such as '2 days'"
WORKING_ALLOWED: Final = "working time in minutes, hours, days or weeks, such as '2 days'"
SIZE_ALLOWED: Final = "a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as '2 GiB'"
PERCENT_ALLOWED: Final = "a percentage from 0% to 100%, such as '5%'"
SECONDS_ALLOWED: Final = "a number with s, min or h, such as '90 s'"


@dataclass(frozen=True, slots=True)
class Duration:
    """A whole number of one unit. What a day is, working or calendar, is decided where it is used."""

    amount: int
    unit: Unit

    def __str__(self) -> str:
        """As it is written in a policy."""
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"


def parse_duration(text: object) -> Duration:
    """The duration that `text` names; raises `QuantityInvalid` if it names none.

    >>> parse_duration("2 days")
    Duration(amount=2, unit=<Unit.DAY: 'day'>)
    """
    if isinstance(text, Duration):
        return text
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise QuantityInvalid(DURATION_ALLOWED)
    duration = Duration(int(match[1]), Unit(match[2]))
    if duration.amount * _UNIT_DAYS[duration.unit] > _LONGEST_DAYS:
        raise QuantityInvalid("a duration of at most 1000 years")
    return duration


def parse_working_duration(text: object) -> Duration:
    """The same for working time, in which nobody counts months; raises `QuantityInvalid` likewise."""
    duration = parse_duration(text)
    if duration.unit not in WORKING_UNITS:
        raise QuantityInvalid(WORKING_ALLOWED)
    if duration.amount * _UNIT_DAYS[duration.unit] > _LONGEST_WORKING_DAYS:
        raise QuantityInvalid("a deadline of at most ten years")
    return duration


def parse_size(text: object) -> int:
    """Bytes that `text` names, rounded down; raises `QuantityInvalid` if it names none.

    >>> parse_size("2 GiB"), parse_size("1.5 kB")
    (2147483648, 1500)
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise QuantityInvalid(SIZE_ALLOWED)
    return int(float(match[1]) * _SIZE_BYTES[match[2]])


def parse_percent(text: object) -> float:
    """The share, 0 to 1, that a percentage names; raises `QuantityInvalid` if it names none.

    A bare number is refused: it does not say whether 5 is five percent or everything.

    >>> parse_percent("5%")
    0.05
    """
    match = _PERCENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or float(match[1]) > 100:
        raise QuantityInvalid(PERCENT_ALLOWED)
    return float(match[1]) / 100


def parse_seconds(text: str) -> float:
    """Seconds that a playing time names; raises `QuantityInvalid` if it names none.

    >>> parse_seconds("1.5 min")
    90.0
    """
    match = _SECONDS.fullmatch(text.strip())
    if match is None:
        raise QuantityInvalid(SECONDS_ALLOWED)
    return float(match[1]) * _UNIT_S[match[2]]


def _field_reader(parse: Callable[[object], Any]) -> BeforeValidator:
    """A validator for pydantic, which reports what a ValueError says is allowed."""

    def read(value: object) -> Any:
        try:
            return parse(value)
        except QuantityInvalid as refusal:
            raise ValueError(str(refusal)) from refusal

    return BeforeValidator(read)


def _text_schema(pattern: re.Pattern[str], description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$", "description": description})


_as_text = PlainSerializer(str, return_type=str, when_used="json")

CalendarDuration = Annotated[
    Duration, _field_reader(parse_duration), _as_text, _text_schema(_DURATION, DURATION_ALLOWED)
]
"""Field of a policy: calendar time."""

WorkingDuration = Annotated[
    Duration, _field_reader(parse_working_duration), _as_text, _text_schema(_DURATION, DURATION_ALLOWED)
]
"""Field of a policy: working time of the policy's calendar."""

SizeBytes = Annotated[int, _field_reader(parse_size), _text_schema(_SIZE, SIZE_ALLOWED)]
"""Field of a policy: bytes."""

Share = Annotated[float, _field_reader(parse_percent), _text_schema(_PERCENT, PERCENT_ALLOWED)]
"""Field of a policy: a percentage, kept as a share from 0 to 1."""


def size_text(size_bytes: int) -> str:
    """A size for people, in binary units.

    >>> size_text(900), size_text(2_500_000)
    ('900 bytes', '2.4 MiB')
    """
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_SHOWN_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size_bytes} bytes" if unit == 0 else f"{size:.1f} {_SHOWN_UNITS[unit]}"
