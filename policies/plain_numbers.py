"""Numbers that are pleasant to read: of all that a policy cannot tell apart, the one that a story should name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from policies.facts import Fact


def plain_number(found: Fraction, literals: Iterable[Any], ordinary: Any, fact: Fact) -> int | float:
    """A value of `fact` that compares with every one of `literals` as `found` does; the ordinary one if it does.

    >>> from policies.facts import FACTS
    >>> plain_number(Fraction(7, 9), [0.5, 0.8], None, FACTS["score"])
    0.7
    >>> plain_number(Fraction(10**9), [1], 1, FACTS["version"])
    2
    """
    marks = sorted({Fraction(one) for one in literals})
    wanted = _compared(found, marks)
    chosen = next((one for one in _candidates(marks, ordinary, fact) if _compared(one, marks) == wanted), found)
    return float(chosen) if fact.dtype.is_float() else int(chosen)


def _compared(number: Fraction, marks: Sequence[Fraction]) -> tuple[int, ...]:
    return tuple((number > mark) - (number < mark) for mark in marks)


def _candidates(marks: Sequence[Fraction], ordinary: Any, fact: Fact) -> Iterator[Fraction]:
    """Numbers within the range of the fact, the plainest first."""
    low, high = fact.range or (0, max([*marks, Fraction(1000)]) + 1)
    tried = [] if ordinary is None else [Fraction(ordinary)]
    tried += marks
    if fact.dtype.is_float():
        tried += [
            Fraction(round(float((below + above) / 2), digits))
            for below, above in pairwise([Fraction(low), *marks, Fraction(high)])
            for digits in (1, 2, 3, 6)
        ]
    else:
        tried += [mark + step for mark in marks for step in (1, -1)]
        tried += [Fraction(0), Fraction(1), Fraction(1000)]
    yield from (one for one in tried if low <= one <= high)
