"""Canonical JSON (RFC 8785) of what is hashed, on orjson's speed."""

from __future__ import annotations

import math
from typing import Any

import orjson

_EXACT = 2**53  # beyond it JSON's numbers (IEEE 754 doubles) lose integers


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of plain data: dicts with string keys, lists, strings, bools, None, ints, finite floats.

    Raises `ValueError` for what has no canonical form: NaN, infinities, integers beyond 2**53, other types.

    >>> canonical_json({"b": 1.0, "a": [True, None, 1e21]})
    b'{"a":[true,null,1e+21],"b":1}'
    """
    try:
        return orjson.dumps(value if _is_plain(value) else _canonical(value), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"no canonical JSON for this value: {error}") from error


def _is_plain(value: Any) -> bool:
    """Whether orjson writes the canonical form of this by itself: nothing in it but what needs no second look."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_EXACT <= value <= _EXACT)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or (type(item) is not str and not _is_plain(item)):
                return False
        return True
    return kind is list and all(map(_is_plain, value))


def _canonical(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        if -_EXACT <= value <= _EXACT:
            return value
        raise ValueError(f"no canonical JSON for {value}: integers go to 2**53, write larger ones as strings")
    if kind is float:
        return orjson.Fragment(_number(value))
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            raise ValueError("no canonical JSON for a mapping whose keys are not strings")
        plain = {key: _canonical(item) for key, item in value.items()}
        if all(key.isascii() for key in plain):
            return plain
        return _sorted_by_utf16(plain)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, str):
        return str(value)  # StrEnum
    raise ValueError(f"no canonical JSON for {kind.__name__}")


def _sorted_by_utf16(plain: dict[str, Any]) -> orjson.Fragment:
    """RFC 8785 orders keys by UTF-16 code units; orjson by code points, which differs beyond the basic plane."""
    ordered = sorted(plain.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
    members = (orjson.dumps(key) + b":" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for key, item in ordered)
    return orjson.Fragment(b"{" + b",".join(members) + b"}")


def _number(value: float) -> bytes:
    """ECMAScript's Number.prototype.toString, as RFC 8785 section 3.2.2.3 asks."""
    if not math.isfinite(value):
        raise ValueError(f"no canonical JSON for {value}: numbers are finite")
    if value == 0:
        return b"0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent_text = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent_text or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return (sign + _placed(digits, point)).encode()


def _placed(digits: str, point: int) -> str:
    """Significant `digits` with the decimal point after `point` of them, in ECMAScript's notation."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{tail}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
