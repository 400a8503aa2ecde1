"""What a check-up says: each finding with why it matters and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    `part` is where: ledger, prefect, worker, reviews, store or clock. `repairable`: `signoff doctor --fix` sees to it.
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
