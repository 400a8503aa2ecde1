"""The other process of `ledger.chain_halves`: it checks a part of a chain, says how far it is, and ends.

It imports no more than a driver, and so has begun after a tenth of a second.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

from ledger.chain_pages import MARKS, Wanted, sound_up_to


def check(request: dict[str, Any], answers: IO[str]) -> None:
    """Write a line with a number a page, and at last one with the number and the hash up to which all holds."""
    wanted = Wanted(
        until=request["until"],
        page=request["page"],
        compared=request["compared"],
        sealed=dict(request["sealed"]),
    )
    number, digest = request["after"]
    with _snapshot(request["database"], request["arguments"], request["options"]) as (cursor, error):
        found = sound_up_to(
            cursor,
            MARKS[request["database"]],
            error,
            (number, digest),
            wanted,
            lambda count: print(count, file=answers, flush=True),
        )
    print(*found, file=answers, flush=True)


@contextmanager
def _snapshot(database: str, arguments: list[Any], options: dict[str, Any]) -> Iterator[tuple[Any, type[Exception]]]:
    """A cursor that sees one moment and writes nothing, and what its driver raises."""
    if database == "sqlite":
        import sqlite3

        connect: Any = sqlite3.connect
        with closing(connect(*arguments, **options | {"isolation_level": None})) as file:
            file.execute("PRAGMA query_only = ON")
            file.execute("BEGIN")
            yield file.cursor(), sqlite3.Error
        return
    import psycopg

    with psycopg.connect(*arguments, **options) as server:
        server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        server.read_only = True
        yield server.cursor(), psycopg.Error


if __name__ == "__main__":
    check(json.load(sys.stdin), sys.stdout)
