"""Which texts a set of conditions can tell apart: one sample text for each way in which they can hold together.

A fact that is text can be anything, but a policy asks only so much about it: whether it equals some words, begins with
some prefixes, matches some patterns. All texts that give the same answers are one class. The classes are found by
walking all conditions at once, as one automaton, over the characters that they name and one that none of them names;
so the list is complete, and every class has a shortest sample that really is such a text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.errors import PolicyTooWide

ANY_TEXT: Final = "%"
ANY_CHARACTER: Final = "_"
_OTHERS: Final = "xqzjkwvyX0-~"
_MOST_STATES: Final = 40_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What one condition accepts: characters in order, `None` for any one; `loops` are the places of any text."""

    characters: tuple[str | None, ...]
    loops: frozenset[int] = frozenset()


def literal_shape(text: str) -> Shape:
    """Exactly `text`."""
    return Shape(tuple(text))


def prefix_shape(text: str) -> Shape:
    """Whatever begins with `text`."""
    return Shape(tuple(text), frozenset({len(text)}))


def pattern_shape(pattern: str) -> Shape:
    """Whatever a LIKE pattern matches."""
    characters: list[str | None] = []
    loops: set[int] = set()
    for character in pattern:
        if character == ANY_TEXT:
            loops.add(len(characters))
        else:
            characters.append(None if character == ANY_CHARACTER else character)
    return Shape(tuple(characters), frozenset(loops))


def sample_texts(shapes: Iterable[Shape], ordinary: str | None = None) -> tuple[str, ...]:
    """One shortest text for each way in which `shapes` can accept a text together; the one least accepted first.

    `ordinary` is the sample of whatever is accepted as it is. Raises `PolicyTooWide` if the conditions are too many to
    be walked together.

    >>> sample_texts([literal_shape("de"), prefix_shape("d")])
    ('x', 'd', 'de')
    """
    automaton = _Automaton(tuple(dict.fromkeys(shapes)))
    seen = {automaton.start}
    waiting = deque([(automaton.start, "")])
    samples: dict[int, str] = {}
    while waiting:
        state, text = waiting.popleft()
        for character in automaton.alphabet:
            following = automaton.step(state, character)
            samples.setdefault(following & automaton.ends, text + character)
            if following not in seen:
                if len(seen) >= _MOST_STATES:
                    raise PolicyTooWide("patterns and words that one fact is compared with")
                seen.add(following)
                waiting.append((following, text + character))
    samples.setdefault(automaton.start & automaton.ends, "")
    if ordinary is not None:
        samples[automaton.accepted(ordinary)] = ordinary
    return tuple(text for _, text in sorted(samples.items(), key=lambda one: (one[0].bit_count(), len(one[1]), one[1])))


class _Automaton:
    """All shapes side by side in one integer: a bit for each place in each shape that a text can have come to."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        named = sorted({one for shape in shapes for one in shape.characters if one is not None})
        other = next((one for one in _OTHERS if one not in named), None) or _unused(named)
        self.alphabet = (other, *named)
        self.start = self.ends = self._loops = 0
        self._moves = dict.fromkeys(self.alphabet, 0)
        offset = 0
        for shape in shapes:
            self.start |= 1 << offset
            self.ends |= 1 << offset + len(shape.characters)
            for place in shape.loops:
                self._loops |= 1 << offset + place
            for place, wanted in enumerate(shape.characters):
                for character in self.alphabet:
                    if wanted in (None, character):
                        self._moves[character] |= 1 << offset + place
            offset += len(shape.characters) + 1

    def accepted(self, text: str) -> int:
        state = self.start
        for character in text:
            state = self.step(state, character if character in self._moves else self.alphabet[0])
        return state & self.ends

    def step(self, state: int, character: str) -> int:
        return (state & self._loops) | ((state & self._moves[character]) << 1)


def _unused(named: Sequence[str]) -> str:
    return next(chr(code) for code in range(0x3B1, 0x10FFFF) if chr(code) not in named)
