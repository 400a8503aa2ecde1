"""The DuckDB file that analysts open: refreshed aside and swapped in whole, opened read-only, asked in SQL.

A reader keeps the file that it opened; whoever opens the path later sees the new one. A refresh never waits for a
reader, and nobody sees half of one. The file is derived: deleting it loses nothing that a refresh does not bring back.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

from analytics.build import WarehouseBuild
from analytics.errors import QueryRefused, RefreshRunning, WarehouseMissing
from analytics.schema import TABLES

_READ_ONLY: Final = 0o444


@contextmanager
def build_aside(path: Path, now: datetime) -> Iterator[WarehouseBuild]:
    """Give a private copy of the warehouse at `path` to build on, and swap it in when the block ends without error.

    After an error the published file is as it was. Raises `RefreshRunning` when another process builds already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.next")
    with _locked(path):
        _discard(aside)  # what a killed refresh may have left
        build = WarehouseBuild(aside, now, _copy_aside(path, aside))
        try:
            yield build
            build.finish()
            _swap_in(aside, path)
        finally:
            build.close()
            _discard(aside)


@contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for reading only, without access to other files. Raises `WarehouseMissing`."""
    if not path.is_file():
        raise WarehouseMissing(f"There is no warehouse at {path}; make it with `signoff metrics refresh`.")
    with closing(duckdb.connect(str(path), read_only=True, config={"enable_external_access": False})) as connection:
        yield connection


def answer_query(path: Path, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of a question in SQL. Raises `QueryRefused` with DuckDB's own words, `WarehouseMissing`."""
    with open_warehouse(path) as connection:
        try:
            cursor = connection.execute(query)
            return [str(column[0]) for column in cursor.description or ()], cursor.fetchall()
        except duckdb.Error as error:
            raise QueryRefused(f"{error}\n`signoff metrics macros` lists what can be asked.") from error


def content_hash(path: Path) -> str:
    """A number that two warehouses share if every table holds the same rows, whatever their order or history."""
    with open_warehouse(path) as connection:
        rows = [
            connection.execute(f"SELECT count(*), sum(hash(t::VARCHAR)::HUGEINT) FROM {table} AS t").fetchall()[0]  # noqa: S608
            for table in TABLES
        ]
    return " ".join(f"{table}:{count}:{total or 0}" for table, (count, total) in zip(TABLES, rows, strict=True))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of this warehouse's refresh; the system lets go of it when the process ends, however it ends."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefreshRunning(f"Another process is refreshing {path}; it will be up to date in a moment.") from error
        yield


def _copy_aside(path: Path, aside: Path) -> str | None:
    """Copy the published file to `aside`, or say why it is no base to build on."""
    if not path.is_file():
        return "there was no warehouse yet"
    if _wal_of(path).exists():
        return "somebody wrote into the published file"
    shutil.copyfile(path, aside)
    return None


def _swap_in(aside: Path, path: Path) -> None:
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.chmod(_READ_ONLY)  # whoever opens it for writing is told so at once, instead of losing the work at a refresh
    _wal_of(path).unlink(missing_ok=True)  # a write-ahead log of the old file would make the new one unreadable
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _discard(aside: Path) -> None:
    aside.unlink(missing_ok=True)
    _wal_of(aside).unlink(missing_ok=True)
    shutil.rmtree(f"{aside}.tmp", ignore_errors=True)
