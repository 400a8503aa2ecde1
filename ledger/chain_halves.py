"""A long chain is checked by two processes: each link needs no more than the recorded hash before it.

The other process starts behind an event in the middle, whose recorded hash it takes for granted; it counts only if
this process, coming from the front, has found that event to hold and to have that very hash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import sqlalchemy as sa

from ledger.chain_pages import MARKS, Wanted, sound_up_to

LONG: Final = 100_000
"""Events from which on a second process takes less time than it costs."""
_WHILE_IT_STARTS: Final = 40_000
"""Events that this process has checked, about, when the other one has started."""
_WAIT_S: Final = 0.2
_ROOT: Final = Path(__file__).resolve().parent.parent


def sound_in_halves(
    connection: sa.Connection, after: tuple[int, str], wanted: Wanted, progress: Callable[[int], None], long: int = LONG
) -> tuple[int, str]:
    """What `sound_up_to` says of the chain behind `after`; with two processes where `long` events are to be checked.

    The other process has a snapshot of its own, a little younger: an event is never changed, and if one is, the
    caller's own look at what does not hold decides. It is not used where this transaction may have written what is to
    be checked, nor on a machine with one core. `progress` is told how far it would be, were all looked at in order.
    """

    def check(start: tuple[int, str], until: int, tell: Callable[[int], None]) -> tuple[int, str]:
        cursor: Any = connection.connection.cursor()
        with closing(cursor):
            error = connection.dialect.loaded_dbapi.Error
            return sound_up_to(cursor, MARKS[connection.dialect.name], error, start, replace(wanted, until=until), tell)

    count, last = after[0], wanted.until
    middle = (count + last) // 2 + min(_WHILE_IT_STARTS, (last - count) // 2) // 2
    border = _hash_at(connection, middle) if last - count >= max(long, 2) and _may_halve(connection) else None
    if border is None:
        return check(after, last, progress)
    with _second_half(connection, (middle, border), wanted) as half:
        found = check(after, middle, lambda done: progress(done + half.checked))
        if found != (middle, border):
            return found
        return half.found(progress) or check(found, last, progress)


def _may_halve(connection: sa.Connection) -> bool:
    reads_only = connection.get_execution_options().get("signoff_reads_only", False)
    in_memory = connection.dialect.name == "sqlite" and connection.engine.url.database in (None, "", ":memory:")
    return bool(reads_only) and not in_memory and _cores() > 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hash_at(connection: sa.Connection, seq: int) -> str | None:
    """The recorded hash of an event, None where there is none that could be relied on."""
    try:
        found = connection.exec_driver_sql(f"SELECT hash FROM events WHERE seq = {seq:d}").scalar()  # noqa: S608 (a number)
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    return found if isinstance(found, str) else None


class _Half:
    """What the other process says: a number a page, and at the end the number and the hash up to which all holds."""

    def __init__(self, answers: IO[str], first: int) -> None:
        self.checked = 0
        self._first = first
        self._found: tuple[int, str] | None = None
        self._listener = threading.Thread(target=self._listen, args=(answers,), name="second half", daemon=True)
        self._listener.start()

    def found(self, progress: Callable[[int], None]) -> tuple[int, str] | None:
        """Wait for its end; None: it was lost."""
        while self._listener.is_alive():
            self._listener.join(_WAIT_S)
            progress(self._first + self.checked)
        return self._found

    def _listen(self, answers: IO[str]) -> None:
        for line in answers:
            count, _, head = line.strip().partition(" ")
            self.checked = int(count) - self._first
            if head:
                self._found = (int(count), head)


@contextmanager
def _second_half(connection: sa.Connection, after: tuple[int, str], wanted: Wanted) -> Iterator[_Half]:
    paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "ledger.chain_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        process_group=0,  # an interrupt typed at the terminal is for this process, which ends that one
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 (asked for above)
        try:
            with suppress(BrokenPipeError):  # lost already: it will have found nothing
                process.stdin.write(_request(connection, after, wanted))
                process.stdin.close()
            yield _Half(process.stdout, after[0])
        finally:
            process.kill()


def _request(connection: sa.Connection, after: tuple[int, str], wanted: Wanted) -> str:
    """What `ledger.chain_process` is to do; through a pipe, since it may hold a password."""
    arguments, options = connection.dialect.create_connect_args(connection.engine.url)
    return json.dumps(
        {
            "database": connection.dialect.name,
            "arguments": list(arguments),
            "options": {name: value for name, value in options.items() if isinstance(value, str | int | float)},
            "after": after,
            "until": wanted.until,
            "page": wanted.page,
            "compared": wanted.compared,
            "sealed": [(seq, digest) for seq, digest in wanted.sealed.items() if seq > after[0]],
        }
    )
