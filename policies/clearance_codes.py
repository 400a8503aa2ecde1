"""Statuses of a rights check, worst first, the reasons behind them, and which of those a person may waive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ClearanceStatus(StrEnum):
    """How one intended use stands, worst first; the worst finding gives the status."""

    CONFLICT = "conflict"
    RESTRICTED = "restricted"
    EMBARGOED = "embargoed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    EXPIRING = "expiring"
    CLEARED = "cleared"

    @property
    def rank(self) -> int:
        """Place in the order, 0 for the worst."""
        return _RANKS[self]


_RANKS: Final[Mapping[str, int]] = {status: rank for rank, status in enumerate(ClearanceStatus)}


class ReasonCode(StrEnum):
    """Why a use has its status. Codes are facts that predicates and waivers name: they are added to, never renamed."""

    CONTRADICTORY_GRANTS = "contradictory_grants"
    EXCLUSIVITY_CLASH = "exclusivity_clash"
    METADATA_CONFLICT = "metadata_conflict"
    PROHIBITED = "prohibited"
    PROHIBITED_BY_FILE = "prohibited_by_file"
    USES_EXHAUSTED = "uses_exhausted"
    CREDIT_LINE_MISSING = "credit_line_missing"
    MODEL_RELEASE_MISSING = "model_release_missing"
    PROPERTY_RELEASE_MISSING = "property_release_missing"
    UNDER_EMBARGO = "under_embargo"
    NOT_STARTED = "not_started"
    LICENCE_ENDED = "licence_ended"
    ENDS_TOO_EARLY = "ends_too_early"
    FILE_EXPIRED = "file_expired"
    NO_LICENCE = "no_licence"
    USES_NOT_COUNTED = "uses_not_counted"
    UNKNOWN_CODE = "unknown_code"
    METADATA_UNPARSED = "metadata_unparsed"
    LICENCE_ENDING = "licence_ending"
    FILE_EXPIRING = "file_expiring"
    LICENSED = "licensed"


_BY_STATUS: Final = {
    ClearanceStatus.CONFLICT: (
        ReasonCode.CONTRADICTORY_GRANTS,
        ReasonCode.EXCLUSIVITY_CLASH,
        ReasonCode.METADATA_CONFLICT,
    ),
    ClearanceStatus.RESTRICTED: (
        ReasonCode.PROHIBITED,
        ReasonCode.PROHIBITED_BY_FILE,
        ReasonCode.USES_EXHAUSTED,
        ReasonCode.CREDIT_LINE_MISSING,
        ReasonCode.MODEL_RELEASE_MISSING,
        ReasonCode.PROPERTY_RELEASE_MISSING,
    ),
    ClearanceStatus.EMBARGOED: (ReasonCode.UNDER_EMBARGO, ReasonCode.NOT_STARTED),
    ClearanceStatus.EXPIRED: (ReasonCode.LICENCE_ENDED, ReasonCode.ENDS_TOO_EARLY, ReasonCode.FILE_EXPIRED),
    ClearanceStatus.UNKNOWN: (
        ReasonCode.NO_LICENCE,
        ReasonCode.USES_NOT_COUNTED,
        ReasonCode.UNKNOWN_CODE,
        ReasonCode.METADATA_UNPARSED,
    ),
    ClearanceStatus.EXPIRING: (ReasonCode.LICENCE_ENDING, ReasonCode.FILE_EXPIRING),
    ClearanceStatus.CLEARED: (ReasonCode.LICENSED,),
}

STATUS_OF: Final[Mapping[ReasonCode, ClearanceStatus]] = MappingProxyType(
    {code: status for status, codes in _BY_STATUS.items() for code in codes}
)
"""The status that each reason brings; the worst of a use's reasons is its status."""

_UNMET: Final = frozenset(
    {ReasonCode.CREDIT_LINE_MISSING, ReasonCode.MODEL_RELEASE_MISSING, ReasonCode.PROPERTY_RELEASE_MISSING}
)
WAIVABLE: Final = frozenset(_BY_STATUS[ClearanceStatus.UNKNOWN]) | _UNMET
"""Findings that an approval at the rights gate can take upon itself."""

_TIMELY: Final = frozenset(_BY_STATUS[ClearanceStatus.EMBARGOED])
_HARMLESS: Final = frozenset(_BY_STATUS[ClearanceStatus.EXPIRING] + _BY_STATUS[ClearanceStatus.CLEARED])


def waivable(status: str, reasons: Iterable[str]) -> bool:
    """Whether an approval at the rights gate may stand in for everything that blocks this use.

    `reasons` are all reason codes of the use. One finding that cannot be waived (a conflict, a prohibition, an
    exhausted number of uses, an embargo, an expiry) makes the whole of it not waivable, whatever stands beside it.
    A use that nothing blocks needs no waiver, so the answer there is no; so it is for a code that nobody knows.

    >>> waivable("unknown", ["no_licence"]), waivable("restricted", ["prohibited", "no_licence"])
    (True, False)
    >>> waivable("cleared", ["licensed"])
    False
    """
    if status not in (ClearanceStatus.UNKNOWN, ClearanceStatus.RESTRICTED):
        return False
    blocking = set(reasons) - _HARMLESS
    return bool(blocking) and blocking <= WAIVABLE


def waived_codes(status: str, reasons: Collection[str]) -> tuple[str, ...]:
    """What an approval at the rights gate takes upon itself, sorted; nothing where it may not.

    >>> waived_codes("unknown", ["no_licence", "licence_ending"]), waived_codes("restricted", ["prohibited"])
    (('no_licence',), ())
    """
    return tuple(sorted(set(reasons) - _HARMLESS)) if waivable(status, reasons) else ()


def only_waits(status: str, reasons: Collection[str]) -> bool:
    """Whether time alone stands in the way: what is under embargo is approved like anything else, and kept until then.

    >>> [only_waits("embargoed", ["under_embargo", *more]) for more in ([], ["licence_ending"], ["no_licence"])]
    [True, True, False]
    """
    return status == ClearanceStatus.EMBARGOED and set(reasons) - _HARMLESS <= _TIMELY
