"""The quick look at the chain: how far everything holds, without saying why something does not.

What it passes is what `ledger.verify` would pass event by event, at a fraction of the time; where it stops, that
module looks again and names the damage. It needs no more than a cursor of the database's driver, so that a process
which does nothing else can start at once (`ledger.chain_halves`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

import orjson

_NO_EVENT: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What is raised of a body that is no text, no JSON or no event."""
MARKS: Final = {"sqlite": "?", "postgresql": "%s"}
"""How a value is marked in a statement, by database."""
_AT_ONCE: Final = 100
"""Events that are Python objects at a time: few enough to be hashed while they are still in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be checked of events: up to number `until`, and what holds them beside their hashes and links.

    `compared`: (name in the hashed body, column) of what columns must say as well, at least two, or none. `sealed`:
    hashes by number that were put away elsewhere. `page`: events a statement.
    """

    until: int
    page: int
    compared: Sequence[tuple[str, str]] = ()
    sealed: Mapping[int, str] = field(default_factory=dict)


def sound_up_to(
    cursor: Any,
    mark: str,
    error: type[Exception],
    after: tuple[int, str],
    wanted: Wanted,
    progress: Callable[[int], None],
) -> tuple[int, str]:
    """Number and hash of an event up to which all is gap-free, hashed, linked, sealed, and told by its columns.

    It is the last one, or the last of a page: what is damaged is in the page behind it.
    `cursor`: of the driver, whose statements mark a value with `mark` and which raises `error` of what it cannot read.
    `after`: number and hash of an event that is known to hold. `progress` is told a number once a page.
    """
    columns = "".join(f", {column}" for _, column in wanted.compared)
    limits = f"seq > {mark} AND seq <= {mark} ORDER BY seq"
    sql = f"SELECT hash, body{columns} FROM events WHERE {limits}"  # noqa: S608 (our own names)
    told = itemgetter(*(name for name, _ in wanted.compared)) if wanted.compared else None
    seals = sorted(wanted.sealed)
    count, head = after
    while count < wanted.until:
        end = min(count + wanted.page, wanted.until)
        due = {seq - count: wanted.sealed[seq] for seq in seals[bisect_right(seals, count) : bisect_right(seals, end)]}
        try:
            cursor.execute(sql, (count, end))
            passed = _pass(cursor, head, told, due, end - count)
        except (error, *_NO_EVENT):
            passed = None  # unreadable, not JSON, not an event: whoever looks event by event says which
        if passed is None:
            return count, head
        count, head = end, passed
        progress(count)
    return count, head


def _pass(
    cursor: Any, head: str, told: Callable[[Any], tuple[Any, ...]] | None, due: Mapping[int, str], expected: int
) -> str | None:
    """The hash that a page of rows leads to; None: something in it does not hold.

    So many rows as there are numbers leave no gap between the numbers, as no two rows have the same. `due`: hashes by
    place in the page.
    """
    sha256, loads = hashlib.sha256, orjson.loads
    seen = 0
    while rows := cursor.fetchmany(_AT_ONCE):
        if told is None:
            for digest, body in rows:
                if sha256(body.encode()).hexdigest() != digest or f'"prev":"{head}"' not in body:
                    return None
                head = digest
        else:
            for row in rows:
                digest, body = row[0], row[1]
                if sha256(body.encode()).hexdigest() != digest:
                    return None
                event = loads(body)
                if event["prev"] != head or told(event) != row[2:]:
                    return None
                head = digest
        if due and any(rows[place - seen - 1][0] != due[place] for place in due if seen < place <= seen + len(rows)):
            return None
        seen += len(rows)
    return head if seen == expected else None
