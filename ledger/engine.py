"""Opening the ledger: one engine for SQLite and PostgreSQL, short transactions, errors in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerBusy, LedgerSchemaMismatch, LedgerUnreachable, RuleBroken, StaleVersion
from ledger.transaction import Origin, Transaction

LOCK_WAIT_S = 60
"""How long a writer waits for another one before it gives up with `LedgerBusy`."""


class Ledger:
    """The system of record behind one database URL. Cheap to make; give it up with `close`."""

    def __init__(self, url: str) -> None:
        """`url`: `sqlite:///path/to/ledger.db` or `postgresql+psycopg://…` (any SQLAlchemy URL of the two)."""
        self.url = sa.make_url(url)
        if self.url.drivername == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def writing(self, origin: Origin) -> Iterator[Transaction]:
        """One write transaction, alone from its first statement on: writers wait for each other, readers for nobody.

        Commits at the end of the block, rolls everything back if it raises. Raises `LedgerBusy` and `LedgerUnreachable`
        (transient), `StaleVersion` and `RuleBroken` (the database's own refusals).
        """
        with _in_our_words(self.url), self.engine.begin() as connection:
            yield Transaction(connection, origin)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent read-only snapshot; it neither waits for writers nor makes them wait."""
        with _in_our_words(self.url), self.engine.connect() as connection:
            snapshot = connection.execution_options(signoff_reads_only=True)
            if not self.is_sqlite:
                snapshot = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with snapshot.begin():
                yield snapshot

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """One transaction that may change the schema: all of it or nothing. Raises `LedgerBusy` (transient)."""
        with _in_our_words(self.url), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def autocommitting(self) -> Iterator[sa.Connection]:
        """A connection whose statements are each on their own, for upkeep that no transaction may hold."""
        options: dict[str, Any] = {"signoff_autocommits": True}
        if not self.is_sqlite:  # there the driver is in that mode always, and says BEGIN only as told below
            options["isolation_level"] = "AUTOCOMMIT"
        with _in_our_words(self.url), self.engine.connect() as connection:
            yield connection.execution_options(**options)

    def close(self) -> None:
        """Return every connection."""
        self.engine.dispose()


def close_idle_connections() -> None:
    """Close every connection to SQLite that waits in a pool of this process; those in use stay.

    To be called before and after another copy of the SQLite library opens the same file in this process, as the driver
    of bulk reads does. When one copy closes a file, the system drops all locks of the process on it (POSIX), those of
    the other copy included. A connection that stays open then holds a log which other processes take for abandoned and
    remove, and whatever it commits is lost.
    """
    for engine in list(_SQLITE_ENGINES):
        engine.dispose()


_SQLITE_ENGINES: Final[WeakSet[sa.Engine]] = WeakSet()


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_S}, hide_parameters=True)
    _SQLITE_ENGINES.add(engine)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "cache_size=-32000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("signoff_autocommits", False):
            return
        reads_only = options.get("signoff_reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)  # no names or comments in logs

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("postgresql_readonly", False) and not options.get("signoff_autocommits", False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'")

    return engine


@contextmanager
def _in_our_words(url: sa.URL) -> Iterator[None]:
    """Turn the drivers' errors into ours: busy, away, empty, stale, a broken rule. Others pass as they are."""
    try:
        yield
    except DBAPIError as error:
        message = str(error.orig)
        if "signoff: rule 2: stale" in message:
            raise StaleVersion((), "the state that it had read") from error
        if "signoff:" in message:
            raise RuleBroken(message.partition("signoff: ")[2].splitlines()[0]) from error
        if _is_busy(error, message):
            raise LedgerBusy(
                f"another writer held the ledger for over {LOCK_WAIT_S} s ({message.strip()}); nothing was written, "
                "run the same again"
            ) from error
        if _is_away(error, message):
            raise LedgerUnreachable(
                f"the ledger at {_shown(url)} does not answer ({_first_line(message)}); nothing was written. "
                "Is its database up, its folder there, its disk not full? `signoff up` creates the embedded one"
            ) from error
        if "no such table" in message or getattr(error.orig, "sqlstate", None) == "42P01":
            raise LedgerSchemaMismatch(
                f"the ledger at {_shown(url)} has no tables of Signoff; `signoff up` creates them"
            ) from error
        raise


def _is_busy(error: DBAPIError, message: str) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None)
    return "database is locked" in message or sqlstate in {"40P01", "40001", "55P03"} or error.connection_invalidated


def _is_away(error: DBAPIError, message: str) -> bool:
    """No connection, or none any more; a full disk too: all of it passes without a change of what is asked."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:
        full_or_gone = ("unable to open database file", "database or disk is full", "disk I/O error")
        return "connection failed" in message or any(one in message for one in full_or_gone)
    return sqlstate.startswith(("08", "57P")) or sqlstate in {"53100", "53300"}


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason was given"


def _shown(url: sa.URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)
