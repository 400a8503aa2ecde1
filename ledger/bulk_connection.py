"""Connections to the ledger that hand out Arrow (ADBC), and their errors in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import adbc_driver_manager
import pyarrow as pa  # type: ignore[import-untyped]
from adbc_driver_manager import dbapi
from sqlalchemy.engine import URL

from ledger.errors import LedgerSchemaMismatch, LedgerUnreachable

_TRANSIENT: Final = frozenset(
    {
        adbc_driver_manager.AdbcStatusCode.IO,
        adbc_driver_manager.AdbcStatusCode.TIMEOUT,
        adbc_driver_manager.AdbcStatusCode.CANCELLED,
    }
)


def connect_in_bulk(address: URL) -> dbapi.Connection:
    """Open a connection that hands out Arrow, read-only on SQLite. Raises `LedgerSchemaMismatch` where no ledger is."""
    if address.get_backend_name() == "postgresql":
        import adbc_driver_postgresql.dbapi as server  # type: ignore[import-untyped]

        uri = address.set(drivername="postgresql").render_as_string(hide_password=False)
        connection: dbapi.Connection = server.connect(uri)
        return connection
    if address.get_backend_name() != "sqlite":
        raise LedgerSchemaMismatch(f"The ledger is on {address.drivername!r}; allowed are sqlite and postgresql.")
    path = Path(address.database or ":memory:")
    if not path.is_file():
        raise LedgerSchemaMismatch(f"There is no ledger at {path}; create it with `signoff up` first.")
    import adbc_driver_sqlite.dbapi as embedded

    return embedded.connect(f"{path.absolute().as_uri()}?mode=ro")


@contextmanager
def in_our_words(address: URL) -> Iterator[None]:
    """Turn the driver's errors into ours, transient and permanent told apart; the password is in none of them."""
    where = address.render_as_string(hide_password=True)
    try:
        yield
    except dbapi.Error as error:
        if error.status_code in _TRANSIENT or "locked" in str(error):
            raise LedgerUnreachable(f"The ledger at {where} did not answer: {error}") from error
        raise LedgerSchemaMismatch(
            f"The ledger at {where} cannot be read: {error}. Bring its schema up to date with `signoff up`."
        ) from error
    except pa.ArrowInvalid as error:
        raise LedgerSchemaMismatch(f"The ledger at {where} holds a value of another type: {error}") from error
