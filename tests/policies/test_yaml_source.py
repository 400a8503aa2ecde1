"""YAML arrives as what it says, with lines; what is ambiguous or hostile is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.yaml_source import read_yaml


def test_plain_values_are_what_they_look_like() -> None:
    """Norway is no boolean, opening hours are no number, a date is no clock, and a leading zero is kept."""
    source, problem = read_yaml(
        "codes: [NO, ON, yes, DE]\nhours: 09:00\nfrom: 2026-12-01\nzip: 01067\nn: 5\nx: 5.5\nt: true\nnil: ~\nempty:\n",
        "f.yaml",
    )
    assert problem is None
    assert source.value == {
        "codes": ["NO", "ON", "yes", "DE"],
        "hours": "09:00",
        "from": "2026-12-01",
        "zip": "01067",
        "n": 5,
        "x": 5.5,
        "t": True,
        "nil": None,
        "empty": None,
    }


def test_every_value_knows_its_line() -> None:
    """Lines are those of keys and items; what is not in the text gets the line of what is around it."""
    source, _ = read_yaml("a:\n  - b: 1\n    c: 2\n  - {d: 3,\n     e: 4}\n", "f.yaml")
    assert [source.line_of(path) for path in (("a",), ("a", 0, "c"), ("a", 1, "e"), ("a", 1, "zz", 7), ("q",))] == [
        1,
        3,
        5,
        4,
        1,
    ]


def test_aliases_are_unfolded() -> None:
    """A deadline may be written once and named again."""
    source, problem = read_yaml("a: &d {within: 2 days}\nb: *d\n", "f.yaml")
    assert problem is None
    assert source.value == {"a": {"within": "2 days"}, "b": {"within": "2 days"}}


_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "field", "value"),
    [
        ("", 1, "document", "nothing"),
        ("# only a comment\n", 1, "document", "nothing"),
        ("a: 1\na: 2\n", 2, "a", "the key 'a' a second time"),
        ("a:\n  ? [1, 2]\n  : 3\n", 2, "a", "a key that is no text"),
        ("a: !!python/object:os.system x\n", 1, "a", "the tag tag:yaml.org,2002:python/object:os.system"),
        ("a: !secret x\n", 1, "a", "the tag !secret"),
        ("a: [\n", 2, "document", "expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2\n", 2, "document", "but found another document"),
        ("a: *nowhere\n", 1, "document", "found undefined alias 'nowhere'"),
        ("a: \x00\n", 1, "document", "the character '\\x00'"),
    ],
)
def test_what_is_no_plain_document_is_refused(text: str, line: int, field: str, value: str) -> None:
    """Broken YAML, tags and repeated keys are refused with their line."""
    _, problem = read_yaml(text, "f.yaml")
    assert problem is not None
    assert (problem.file, problem.line, problem.field, problem.value) == ("f.yaml", line, field, value)


@pytest.mark.parametrize("text", [_LAUGHS, "a: &a [*a]\n", "[" * 60 + "]" * 60])
def test_texts_that_unfold_beyond_measure_are_refused(text: str) -> None:
    """A few lines that stand for millions of values, or for endless ones, cost nothing."""
    _, problem = read_yaml(text, "f.yaml")
    assert problem is not None
    assert problem.value == "a text that unfolds too far"


@given(st.text(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"#\n ,?%@`~", max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is written, the answer is a document or a problem with a line, never another error."""
    source, problem = read_yaml(text, "f.yaml")
    assert (problem is None) != (source.lines == {})
