"""IPTC IIM, the older of the two metadata forms of the press, as it lies in JPEG and TIFF files (IIM 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from typing import Final

_CREATOR, _CREDIT, _COPYRIGHT, _EXPIRATION_DATE, _EXPIRATION_TIME = 80, 110, 116, 37, 38
_UTF8: Final = b"\x1b%G"
_IIM_RESOURCE: Final = 0x0404
LENGTHS_MAX: Final = {"creator": 32, "credit_line": 32, "copyright_notice": 128}  # bytes that the standard lets in


def resources_of(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (id, data) of each image resource in a Photoshop block; raises ValueError where it does not add up."""
    at = 0
    while block[at : at + 4] == b"8BIM":
        (code,) = struct.unpack_from(">H", block, at + 4)
        name_bytes = block[at + 6] + 1
        at += 6 + name_bytes + name_bytes % 2
        (size,) = struct.unpack_from(">I", block, at)
        at += 4
        if at + size > len(block):
            raise ValueError(f"image resource {code:#06x} wants {size} bytes, {len(block) - at} are left")
        yield code, block[at : at + size]
        at += size + size % 2
    if block[at:].strip(b"\0"):
        raise ValueError("image resources end in bytes that are none")


def iim_of_resources(block: bytes) -> bytes:
    """Give the IIM records within a Photoshop image resource block, empty if it has none; raises ValueError."""
    try:
        return b"".join(data for code, data in resources_of(block) if code == _IIM_RESOURCE)
    except (struct.error, IndexError) as problem:
        raise ValueError("image resources are cut off") from problem


def read_iim(block: bytes) -> dict[str, str | datetime]:
    """Give the rights fields of IIM records (`creator`, `credit_line`, `copyright_notice`, `expires_at`).

    Raises ValueError where the records do not add up: what is cut off is never taken for absent.
    """
    datasets: dict[tuple[int, int], list[bytes]] = {}
    for record, number, value in _datasets(block):
        datasets.setdefault((record, number), []).append(value)
    encoding = "utf-8" if datasets.get((1, 90)) == [_UTF8] else None
    found: dict[str, str | datetime] = {}
    for field, number in (("creator", _CREATOR), ("credit_line", _CREDIT), ("copyright_notice", _COPYRIGHT)):
        if values := datasets.get((2, number)):
            found[field] = "; ".join(_decode(value, encoding) for value in values)
    if expires_at := _read_expiration(datasets):
        found["expires_at"] = expires_at
    return found


def _datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(block) and block[at] == 0x1C:
        header = block[at : at + 5]
        if len(header) < 5:
            raise ValueError("an IIM dataset is cut off")
        record, number, size = header[1], header[2], int.from_bytes(header[3:], "big")
        at += 5
        if size & 0x8000:  # an extended dataset: the low bits count the bytes of the length
            width = size & 0x7FFF
            size = int.from_bytes(block[at : at + width], "big") if width <= 4 else len(block)
            at += width
        if at + size > len(block):
            raise ValueError(f"IIM dataset {record}:{number} wants {size} bytes, {max(0, len(block) - at)} are left")
        yield record, number, block[at : at + size]
        at += size
    if block[at:].strip(b"\0"):
        raise ValueError("IIM records end in bytes that are none")


def _decode(value: bytes, encoding: str | None) -> str:
    value = value.rstrip(b"\0")
    if encoding:
        return value.decode(encoding, "replace")
    try:
        return value.decode("utf-8")  # many writers use it without saying so
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def _read_expiration(datasets: Mapping[tuple[int, int], list[bytes]]) -> datetime | None:
    dates = [value.decode("ascii", "replace") for value in datasets.get((2, _EXPIRATION_DATE), [])]
    if not dates or not dates[0].strip(" \0") or dates[0] == "00000000":
        return None
    day = datetime.strptime(dates[0], "%Y%m%d").replace(tzinfo=UTC)
    times = [value.decode("ascii", "replace") for value in datasets.get((2, _EXPIRATION_TIME), [])]
    if not times:
        return datetime.combine(day, time.max, UTC)  # a date alone ends with its day
    spoken = times[0] if len(times[0]) > 6 else times[0] + "+0000"
    return datetime.strptime(f"{dates[0]} {spoken}", "%Y%m%d %H%M%S%z").astimezone(UTC)
