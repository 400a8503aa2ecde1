"""What a check-up says: each finding with why it matters and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

SKEW: Final = timedelta(seconds=5)
"""How far clocks may be from each other."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    `part` is where: ledger, prefect, worker, reviews, store, notices or clock. `repairable`: `signoff doctor --fix`
    sees to it.
    """

    part: str
    what: str
    why: str
    do: str
    repairable: bool = False


def some(things: list[str] | list[int], limit: int = 5) -> str:
    """The first few of many, for a sentence.

    >>> some([1, 2, 3], limit=2)
    '1, 2, …'
    """
    return ", ".join(map(str, things[:limit])) + (", …" if len(things) > limit else "")


def skewed(whose: str, skew: timedelta) -> list[Finding]:
    """That a clock is too far from this machine's, if it is.

    >>> [one.what for one in skewed("Prefect", timedelta(seconds=-9))], skewed("Prefect", timedelta(seconds=2))
    (["the clock of Prefect is -9 s from this machine's"], [])
    """
    if abs(skew) <= SKEW:
        return []
    what = f"the clock of {whose} is {skew.total_seconds():+.0f} s from this machine's"
    return [
        Finding("clock", what, "Links, codes of authenticators and deadlines go wrong.", "Let both keep time by NTP.")
    ]
