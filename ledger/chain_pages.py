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
    """Number and hash of the last event up to which all is gap-free, hashed, linked, sealed, and told by its columns.

    `cursor`: of the driver, whose statements mark a value with `mark` and which raises `error` of what it cannot read.
    `after`: number and hash of an event that is known to hold. `progress` is told a number once a page.
    """
    columns = "".join(f", {column}" for _, column in wanted.compared)
    limits = f"seq > {mark} AND seq <= {mark} ORDER BY seq LIMIT {mark}"
    sql = f"SELECT seq, hash, body{columns} FROM events WHERE {limits}"  # noqa: S608 (our own names)
    told = itemgetter(*(name for name, _ in wanted.compared)) if wanted.compared else None
    seals = sorted(wanted.sealed)
    count, head = after
    while count < wanted.until:
        end = min(count + wanted.page, wanted.until)
        try:
            cursor.execute(sql, (count, wanted.until, end - count))
            while count < end:
                rows: Sequence[tuple[Any, ...]] = cursor.fetchmany(_AT_ONCE)
                passed, next_head = _pass(rows, count, head, told)
                for seq in seals[bisect_right(seals, count) : bisect_right(seals, count + passed)]:
                    if rows[seq - count - 1][1] != wanted.sealed[seq]:
                        return count, head
                count, head = count + passed, next_head
                if passed < len(rows) or not rows:
                    return count, head
        except (error, *_NO_EVENT):
            return count, head  # unreadable, not JSON, not an event: whoever looks event by event says which
        progress(count)
    return count, head


def _pass(
    rows: Sequence[tuple[Any, ...]], count: int, head: str, told: Callable[[Any], tuple[Any, ...]] | None
) -> tuple[int, str]:
    """How many of the rows hold from the first on, and the hash that they lead to."""
    sha256, loads = hashlib.sha256, orjson.loads
    passed = 0
    if told is None:
        for seq, digest, body in rows:
            if seq != count + passed + 1 or sha256(body.encode()).hexdigest() != digest:
                break
            if f'"prev":"{head}"' not in body:
                break
            passed += 1
            head = digest
        return passed, head
    for row in rows:
        seq, digest, body = row[0], row[1], row[2]
        if seq != count + passed + 1 or sha256(body.encode()).hexdigest() != digest:
            break
        event = loads(body)
        if event["prev"] != head or told(event) != row[3:]:
            break
        passed += 1
        head = digest
    return passed, head
