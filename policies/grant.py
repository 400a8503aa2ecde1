"""A grant: one permission or prohibition, as a contract or a person gives it, with every value checked.

Dates are kept as they stand in the source, together with its time zone: a date-only start or embargo is the beginning
of that day there, a date-only end the end of it. `start_at`, `end_at` and `embargo_at` are the instants; a grant holds
in `[start_at, end_at)`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationInfo
from pydantic import field_validator as check

from policies.channels import CHANNELS, UseAction
from policies.territories import ALLOWED, TERRITORIES, expand_territories, meant_territory, territory_code
from policies.validation import nearest_word


class Effect(StrEnum):
    """Whether a grant gives or takes."""

    PERMIT = "permit"
    PROHIBIT = "prohibit"


class Source(StrEnum):
    """Where a grant comes from. Contracts and people clear; what a file says about itself only restricts."""

    CONTRACT = "contract"
    MANUAL = "manual"
    EMBEDDED = "embedded"
    C2PA = "c2pa"


CLEARING_SOURCES: Final = frozenset({Source.CONTRACT, Source.MANUAL})
"""Sources whose permits clear a use; their grants have equal authority, above that of what files carry."""


class Release(StrEnum):
    """Whose consent a licence brings along."""

    MODEL = "model"
    PROPERTY = "property"


class NotAllowed(ValueError):
    """A value that a grant cannot have: what was found, what is allowed, the nearest right word."""

    def __init__(self, found: str, allowed: str, nearest: str | None = None) -> None:
        super().__init__(f"found {found}; allowed: {allowed}")
        self.found = found
        self.allowed = allowed
        self.nearest = nearest


WHEN_ALLOWED: Final = (
    "a date such as 2027-03-12 or an instant such as 2027-03-12T18:00+01:00, from 1900 to 2999; empty means no limit"
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def _words(value: object) -> list[str]:
    words = value.split(";") if isinstance(value, str) else value
    if not isinstance(words, (list, tuple, set, frozenset)):
        raise NotAllowed(repr(value), "a list; in a table, words with ; between them")
    return sorted({str(word).strip() for word in words} - {""})


def _one_of(allowed: Iterable[str]) -> Callable[[object], list[str]]:
    listed = [str(word) for word in allowed]

    def read(value: object) -> list[str]:
        found = [word.lower() for word in _words(value)]
        for word in found:
            if word not in listed:
                raise NotAllowed(repr(word), ", ".join(listed), nearest_word(word, listed))
        return sorted(set(found))

    return read


def _territories(value: object) -> list[str]:
    codes = sorted({territory_code(code) for code in _words(value)})
    for code in expand_territories(codes).unknown:
        raise NotAllowed(repr(code), ALLOWED, meant_territory(code) or nearest_word(code, TERRITORIES))
    return codes


def _when(value: object) -> date | datetime | None:
    if value is None:
        return None
    try:
        when = value if isinstance(value, date) else _read_when(str(value).strip())  # a datetime is a date, too
    except ValueError:
        when = None
    if when is None or not 1900 <= when.year < 3000:
        raise NotAllowed(repr(str(value)), WHEN_ALLOWED)
    return when


def _read_when(text: str) -> date | datetime:
    return date.fromisoformat(text) if _DATE.fullmatch(text) else datetime.fromisoformat(text)


def _iso(when: date | datetime | None) -> str | None:
    return None if when is None else when.isoformat()


When = Annotated[date | datetime | None, PlainValidator(_when), PlainSerializer(_iso)]
Actions = Annotated[tuple[UseAction, ...], BeforeValidator(_one_of(UseAction)), Field(min_length=1)]
Channels = Annotated[tuple[str, ...], BeforeValidator(_one_of(CHANNELS)), Field(min_length=1)]
Territories = Annotated[tuple[str, ...], BeforeValidator(_territories)]
Releases = Annotated[tuple[Release, ...], BeforeValidator(_one_of(Release))]
Name = Annotated[str, Field(min_length=1, max_length=1024)]

_OF_PERMITS: Final = ("embargo", "exclusive", "credit_line", "releases", "max_uses")


class Grant(BaseModel):
    """One permission or prohibition for one asset (by its key) or one collection.

    `territories` without `excluded_territories` is where it holds. An `embargo` forbids the use before that time, to
    whomever the grant is open and whatever else permits it. An `exclusive` grant shuts out everybody but its
    `licensee`. `credit_line` is the duty to carry that line; `max_uses` counts the assets used under the grant;
    `releases` says whose consent the licence brings along. Only the highest `revision` of an id counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=200)]
    revision: Annotated[int, Field(ge=1)] = 1
    source: Source = Source.CONTRACT
    effect: Effect
    asset: Name | None = None
    collection: Annotated[Name | None, Field(validate_default=True)] = None
    actions: Actions
    channels: Channels
    territories: Annotated[Territories, Field(min_length=1)]
    excluded_territories: Territories = ()
    timezone: str = "UTC"
    start: When = None
    end: When = None
    embargo: When = None
    licensee: Name | None = None
    exclusive: bool = False
    credit_line: Name | None = None
    releases: Releases = ()
    max_uses: Annotated[int, Field(ge=1)] | None = None
    evidence_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @check("collection")
    @classmethod
    def _asset_or_collection(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "asset" in info.data and (value is None) == (info.data["asset"] is None):
            found = "neither an asset nor a collection" if value is None else "an asset and a collection"
            raise NotAllowed(found, "exactly one of the two")
        return value

    @check("excluded_territories")
    @classmethod
    def _something_left(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and not expand_territories(info.data.get("territories", ["WORLD"]), value).countries:
            raise NotAllowed("; ".join(value), "exclusions that leave at least one country of the territories")
        return value

    @check("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise NotAllowed(repr(value), "an IANA time zone such as Europe/Berlin") from None

    @check("end", "embargo")
    @classmethod
    def _in_order(cls, value: date | datetime | None, info: ValidationInfo) -> date | datetime | None:
        zone, start, end = (info.data.get(name) for name in ("timezone", "start", "end"))
        if value is None or zone is None:
            return value
        ends_at = _instant(value if info.field_name == "end" else end, zone, ends=True)
        begins_at = _instant(start if info.field_name == "end" else value, zone)
        if begins_at is not None and ends_at is not None and begins_at >= ends_at:
            allowed = "a time after the start" if info.field_name == "end" else "a time before the end"
            raise NotAllowed(value.isoformat(), allowed)
        return value

    @check(*_OF_PERMITS)
    @classmethod
    def _permits_only(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("effect") is Effect.PROHIBIT:
            raise NotAllowed(repr(value), "nothing: a prohibition has none")
        if info.field_name == "exclusive" and value and info.data.get("licensee", "") is None:
            raise NotAllowed("exclusive without a licensee", "a licensee, to whom the right belongs alone")
        return value

    @property
    def start_at(self) -> datetime | None:
        """First instant at which the grant holds; None: always did."""
        return _instant(self.start, self.timezone)

    @property
    def end_at(self) -> datetime | None:
        """First instant at which the grant no longer holds; None: no end."""
        return _instant(self.end, self.timezone, ends=True)

    @property
    def embargo_at(self) -> datetime | None:
        """First instant at which the embargo is over; None: none."""
        return _instant(self.embargo, self.timezone)

    def sha256(self) -> str:
        """Digest of everything the grant says, which changes when and only when the grant does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _instant(when: date | datetime | None, zone: str, *, ends: bool = False) -> datetime | None:
    """UTC instant of a date or time of `zone`; a date-only end is the beginning of the next day there."""
    if when is None:
        return None
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    day = when + timedelta(days=1) if ends else when
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def when_in_words(when: date | datetime, zone: str) -> str:
    """A date or time of `zone` as a reviewer reads it, whatever the language of the machine.

    >>> when_in_words(date(2027, 3, 12), "Europe/Berlin")
    '12 March 2027'
    >>> when_in_words(datetime(2027, 3, 12, 17, 0, tzinfo=UTC), "Europe/Berlin")
    '12 March 2027 at 18:00 (Europe/Berlin)'
    """
    if not isinstance(when, datetime):
        return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"
    local = when.astimezone(ZoneInfo(zone)) if when.tzinfo else when
    seconds = f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"
    return f"{when_in_words(local.date(), zone)} at {seconds} ({zone})"
