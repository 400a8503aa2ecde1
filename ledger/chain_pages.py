"""The quick look at the chain: how far everything holds, without saying why something does not.

What it passes is what `ledger.verify` would pass event by event, at a fraction of the time; where it stops, that
module looks again and names the damage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa

_NO_EVENT = (ValueError, KeyError, TypeError, AttributeError)
"""What is raised of a body that is no text, no JSON or no event."""


def sound_up_to(
    connection: sa.Connection,
    after: tuple[int, str],
    page: int,
    compared: Sequence[tuple[str, str]],
    sealed: Mapping[int, str],
    progress: Callable[[int], None],
) -> tuple[int, str]:
    """Number and hash of the last event up to which all is gap-free, hashed, linked, sealed, and told by its columns.

    `after`: number and hash of an event that is known to hold. `compared`: (name in the hashed body, column) of what
    columns must say as well, at least two, or none. `progress` is told a number once a page.
    """
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    columns = "".join(f", {column}" for _, column in compared)
    sql = f"SELECT seq, hash, body{columns} FROM events WHERE seq > {mark} ORDER BY seq LIMIT {mark}"  # noqa: S608 (our own names)
    told = itemgetter(*(name for name, _ in compared)) if compared else None
    count, head = after
    while True:
        try:
            cursor: Any = connection.exec_driver_sql(sql, (count, page)).cursor
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            passed, next_head = _pass(rows, count, head, told)
        except (connection.dialect.loaded_dbapi.Error, sa.exc.DBAPIError, *_NO_EVENT):
            return count, head  # unreadable, not JSON, not an event: whoever looks event by event says which
        for seq in sealed.keys() & range(count + 1, count + passed + 1) if sealed else ():
            if rows[seq - count - 1][1] != sealed[seq]:
                return count, head
        count, head = count + passed, next_head
        progress(count)
        if passed < len(rows) or len(rows) < page:
            return count, head


def _pass(
    rows: Sequence[tuple[Any, ...]], count: int, head: str, told: Callable[[Any], tuple[Any, ...]] | None
) -> tuple[int, str]:
    """How many of the rows hold from the first on, and the hash that they lead to."""
    sha256, loads = hashlib.sha256, orjson.loads
    passed = 0
    for row in rows:
        seq, digest, body = row[0], row[1], row[2]
        if seq != count + passed + 1 or sha256(body.encode()).hexdigest() != digest:
            break
        if told is None:
            if f'"prev":"{head}"' not in body:
                break
        else:
            event = loads(body)
            if event["prev"] != head or told(event) != row[3:]:
                break
        passed += 1
        head = digest
    return passed, head
