"""Copy every record of one ledger into another, on either database: what backups and restores are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables

BATCH: Final = 2_000
"""Rows that are in memory at a time."""
Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""
    del done, total


def copy_records(source: sa.Connection, target: sa.Connection, progress: Progress = silent) -> int:
    """Put every row of `source` into `target`, whose own records are taken out; returns how many rows.

    Both are at the same schema; `source` is one snapshot. To be called within `rules_asleep(target)`. Foreign keys of
    the target are in force on PostgreSQL; on SQLite whoever verifies the copy looks at them.
    """
    ordered = tables.metadata.sorted_tables
    for table in reversed(ordered):
        target.execute(sa.delete(table))
    total = sum(source.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in ordered)
    done = 0
    for table in ordered:
        for rows in _batches(source, table):
            _insert(target, table, rows)
            done += len(rows)
            progress(done, total)
    return done


@contextmanager
def rules_asleep(connection: sa.Connection) -> Iterator[None]:
    """Within one transaction: every trigger out of the way, and back at the end. Needs the owner of the tables.

    Raises whatever the body does; the transaction is then to be rolled back, triggers and all.
    """
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield
        for _, sql in found:
            connection.exec_driver_sql(sql)
        return
    for table in tables.metadata.sorted_tables:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
    yield
    for table in tables.metadata.sorted_tables:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")


def broken_references(connection: sa.Connection) -> list[str]:
    """Tables of SQLite in which a row refers to one that is not there; PostgreSQL has none, by its own check."""
    if connection.dialect.name != "sqlite":
        return []
    return sorted({str(row[0]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})


def _batches(source: sa.Connection, table: sa.Table) -> Iterator[Sequence[Any]]:
    """The rows as the driver gives them, ordered by their key, from a cursor on the server."""
    query = sa.select(*(sa.type_coerce(column, _plain(column)) for column in table.columns))
    result = source.execution_options(yield_per=BATCH).execute(query.order_by(*table.primary_key.columns))
    yield from result.partitions(BATCH)


def _plain(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    """Instants stay numbers; everything else is what the column says (booleans differ between the databases)."""
    return sa.BigInteger() if isinstance(column.type, tables.Instant) else column.type


def _insert(target: sa.Connection, table: sa.Table, rows: Sequence[Any]) -> None:
    mark = "?" if target.dialect.name == "sqlite" else "%s"
    names = [column.name for column in table.columns]
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608
    target.exec_driver_sql(sql, [tuple(row) for row in rows])
