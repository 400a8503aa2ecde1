"""Texts that conditions tell apart: every way in which they can hold together has a sample, and no sample lies."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import PolicyTooWide
from policies.predicate_tree import Pattern
from policies.predicates import atom_holds
from policies.text_classes import pattern_shape, sample_texts

PATTERNS = st.text(alphabet="ab%_", max_size=4)


def answers(patterns: list[str], text: str) -> tuple[bool, ...]:
    """What the engine says of a text, pattern by pattern."""
    return tuple(atom_holds(Pattern("key", pattern), text) for pattern in patterns)


@settings(max_examples=60, deadline=None)
@given(st.lists(PATTERNS, min_size=1, max_size=3))
def test_samples_are_all_that_the_engine_tells_apart(patterns: list[str]) -> None:
    """Each combination of answers that a short text gives is given by exactly one sample, and no other by any."""
    texts = ("".join(letters) for size in range(7) for letters in itertools.product("abx", repeat=size))
    found = [answers(patterns, sample) for sample in sample_texts(map(pattern_shape, patterns))]
    assert len(found) == len(set(found))
    assert {answers(patterns, text) for text in texts} <= set(found)


def test_the_ordinary_text_stands_for_its_class() -> None:
    """Where an ordinary text gives the same answers, it is the sample."""
    assert sample_texts([pattern_shape("image/%")], "application/pdf") == ("application/pdf", "image/")


def test_too_many_patterns_are_refused() -> None:
    """What cannot be gone through is said, not waited for."""
    with pytest.raises(PolicyTooWide, match="too many patterns"):
        sample_texts(pattern_shape(f"%{a}%{b}%{c}%{d}%") for a, b, c, d in itertools.permutations("abcdefg", 4))
