"""What verifying the records reads: rows as a stream, what events tell in their details, and both side by side."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

_AT_ONCE: Final = 2_000
"""Rows that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A record that the audit trail does not bear out. `key` is the row's, as text."""

    table: str
    key: str
    reason: str


def streamed(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Any]:
    """The rows of a query, few of them in memory."""
    yield from connection.execute(query, execution_options={"yield_per": _AT_ONCE})


def side_by_side(*streams: tuple[str, Iterator[Any]]) -> Iterator[tuple[Any, tuple[list[Any], ...]]]:
    """Rows of several streams by a key that each is in the order of: (name of the key, rows), a list a stream.

    >>> from collections import namedtuple
    >>> Row = namedtuple("Row", "id what")
    >>> list(side_by_side(("id", iter([Row(1, "a"), Row(3, "b")])), ("id", iter([Row(3, "c")]))))
    [(1, ([Row(id=1, what='a')], [])), (3, ([Row(id=3, what='b')], [Row(id=3, what='c')]))]
    """
    merged = heapq.merge(*(_numbered(place, *stream) for place, stream in enumerate(streams)), key=itemgetter(0))
    for key, found in groupby(merged, key=itemgetter(0)):
        parts: tuple[list[Any], ...] = tuple([] for _ in streams)
        for _, place, row in found:
            parts[place].append(row)
        yield key, parts


def _numbered(place: int, name: str, rows: Iterator[Any]) -> Iterator[tuple[Any, int, Any]]:
    return ((getattr(row, name), place, row) for row in rows)


def details_of(body: Any) -> dict[str, Any]:
    """What an event tells beside its columns; nothing, where it cannot be read."""
    try:
        event = json.loads(body)
    except (ValueError, TypeError):
        return {}
    details = event.get("details") if isinstance(event, dict) else None
    return details if isinstance(details, dict) else {}


def digest_of(values: tuple[Any, ...]) -> bytes:
    """16 bytes in the place of many values."""
    return hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=16).digest()


def plain(instant: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """An instant as microseconds."""
    return sa.type_coerce(instant, sa.BigInteger)
