"""What somebody could send who has the application's database role, and none of its code."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import psycopg
import sqlalchemy as sa

from ledger.canonical import canonical_json

REFUSED = (sqlite3.Error, psycopg.Error)
"""What the drivers raise when the database refuses a statement."""
_EVENT_COLUMNS = (
    "seq", "at", "actor", "action", "version_id", "from_state", "to_state", "round", "policy_sha256", "rule", "reason",
    "effect_id",
)  # fmt: skip


def driver_address(url: sa.URL) -> str:
    """The address of a PostgreSQL database as libpq takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


class RawSql:
    """One connection by `sqlite3` or `psycopg`, autocommitting; parameters are written as `?`."""

    def __init__(self, url: sa.URL, **options: Any) -> None:
        """Connect to the database of a ledger."""
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.connection: Any = (
            sqlite3.connect(url.database or "", isolation_level=None, **options)
            if self.is_sqlite
            else psycopg.connect(driver_address(url), autocommit=True)
        )

    def __enter__(self) -> RawSql:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Send one statement; returns its rows."""
        if not self.is_sqlite:
            sql = sql.replace("%", "%%").replace("?", "%s")
        cursor = self.connection.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []

    def insert(self, table: str, *, how: str = "INSERT", **values: Any) -> None:
        """Insert one row; `how` may be `INSERT OR REPLACE` and the like."""
        marks = ", ".join("?" * len(values))
        self.execute(f"{how} INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())

    def event(
        self,
        action: str,
        version_id: int | None = None,
        *,
        how: str = "INSERT",
        details: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Append an event whose body and hash are well made, as an attacker who knows the format would."""
        seq, previous = self.last_event()
        row = {"at": 1_800_000_000_000_000, "actor": "system:attacker", "round": 1, **columns}
        row = {"seq": seq + 1, "action": action, "version_id": version_id, **row}
        body = canonical_json({**row, **({"details": details} if details else {}), "prev": previous}).decode()
        self.insert("events", how=how, **row, body=body, hash=hashlib.sha256(body.encode()).hexdigest())

    def chained(self, *events: dict[str, Any]) -> tuple[str, list[Any]]:
        """One statement that appends several well made events, and its values."""
        seq, previous = self.last_event()
        values: list[Any] = []
        for number, columns in enumerate(events, start=seq + 1):
            row = {"at": 1_800_000_000_000_000, "actor": "system:attacker", "round": 1, **columns, "seq": number}
            body = canonical_json({**row, "prev": previous}).decode()
            previous = hashlib.sha256(body.encode()).hexdigest()
            values += [row.get(name) for name in _EVENT_COLUMNS] + [body, previous]
        marks = ", ".join([f"({', '.join('?' * (len(_EVENT_COLUMNS) + 2))})"] * len(events))
        return f"INSERT INTO events ({', '.join(_EVENT_COLUMNS)}, body, hash) VALUES {marks}", values

    def last_event(self) -> tuple[int, str]:
        """Number and hash of the last event."""
        found = self.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")
        return (found[0][0], found[0][1]) if found else (0, "0" * 64)

    def begin(self) -> None:
        """Begin a transaction."""
        self.execute("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")

    def rollback(self) -> None:
        """Forget everything since `begin`, unless a refusal did so already."""
        if not self.is_sqlite or self.connection.in_transaction:
            self.execute("ROLLBACK")

    def attempt(self, *steps: tuple[str, Sequence[Any]] | Any) -> str:
        """Run steps (callables without arguments) in one transaction that is rolled back; the refusal's first line.

        An empty string means that nothing refused them: the door is open.
        """
        self.begin()
        try:
            for step in steps:
                step()
        except REFUSED as error:
            return str(error).splitlines()[0]
        finally:
            self.rollback()
        return ""


def asleep(raw: RawSql) -> RawSql:
    """The connection, with every trigger out of the way: what only DDL or the file's owner can do."""
    if raw.is_sqlite:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            raw.execute(f"DROP TRIGGER {name}")
    else:
        raw.execute("SET session_replication_role = replica")
    return raw
