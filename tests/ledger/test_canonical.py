"""Canonical JSON: the vectors of RFC 8785, and agreement with Python's own reading of any value."""

from __future__ import annotations

import json
import math
import re
import struct
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical_json

SAMPLE = r"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
SAMPLE_BYTES = """
7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73 22 3a
5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37
5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d
"""

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


def test_the_sample_of_the_rfc() -> None:
    """Sections 3.2.2 and 3.2.4: the parsed sample, byte for byte."""
    assert canonical_json(json.loads(SAMPLE)) == bytes.fromhex(SAMPLE_BYTES)


def test_keys_are_sorted_by_utf16() -> None:
    """Section 3.2.3: a face outside the basic plane comes before a Hebrew letter inside it."""
    names = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    written = canonical_json({"nested": names})
    assert list(json.loads(written)["nested"].values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    ("bits", "written"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_the_rfc(bits: str, written: str) -> None:
    """Appendix B: doubles by their bits."""
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number) == written.encode()


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, 2**53 + 1, -(2**53) - 1, "\ud800", {"\udfff": 1}, {1: 2}, {None: 1}, b"x",
        Decimal(1), {1, 2}, object(), [math.nan], {"a": {"b": 2**60}},
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    """Not a number, integers beyond the doubles, lone surrogates, other keys and other types."""
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical_json(value)


def test_words_and_tuples_are_plain() -> None:
    """Members of a StrEnum are written as their text, tuples as arrays."""

    class State(StrEnum):
        OPEN = "open"

    assert canonical_json({"state": State.OPEN, "pair": (1, 2.0)}) == b'{"pair":[1,2],"state":"open"}'


@given(values)
def test_python_reads_the_same_value(value: Any) -> None:
    """Read back with every number a double, as the RFC means them, it is equal, and written again the same bytes."""
    written = canonical_json(value)
    read = json.loads(written, parse_int=float)
    assert read == value
    assert canonical_json(read) == written


@given(values)
def test_a_slow_and_simple_writer_agrees(value: Any) -> None:
    """Strings and structure as Python's json writes them, keys by UTF-16, numbers apart."""
    assert canonical_json(value) == _write(value).encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_the_shortest_that_read_back(number: float) -> None:
    """As many digits as Python's shortest form, and an exponent only outside 1e-6 to 1e21."""
    written = canonical_json(number).decode()
    assert float(written) == number
    assert _digits(written) == _digits(repr(number))
    assert ("e" in written) == (number != 0 and not 1e-6 <= abs(number) < 1e21)
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?(e[+-][1-9]\d*)?", written)


def _digits(written: str) -> str:
    return re.sub(r"[-.]", "", written.lower().split("e")[0]).strip("0")


def _write(value: Any) -> str:
    if isinstance(value, dict):
        ordered = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_write(key)}:{_write(value[key])}" for key in ordered) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, float):
        return canonical_json(value).decode()  # held against the shortest form in a test of its own
    return json.dumps(value, ensure_ascii=False)
