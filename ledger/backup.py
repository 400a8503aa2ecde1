"""Back a ledger up into one file, and read such a file back: a SQLite ledger, whatever database it came from."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger import tables
from ledger.copy_records import Progress, broken_references, copy_records, rules_asleep, silent
from ledger.engine import Ledger
from ledger.errors import BackupUnusable, FileInTheWay, LedgerInUse
from ledger.schema import check_ledger, plan_upgrade, upgrade_ledger
from ledger.verify import last_event, verify_chain
from ledger.verify_records import verify_records

_PAGES: Final = 2_000
_IN_USE: Final = (tables.events, tables.versions, tables.policies, tables.people)
"""A ledger with rows in any of these is in use."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a ledger or a backup holds: its schema, its events, the hash of the last one, and its versions."""

    schema: str | None
    events: int
    head: str
    versions: int


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup file."""

    path: Path
    size_bytes: int
    sha256: str
    holding: Holding


def back_up(ledger: Ledger, path: Path, progress: Progress = silent) -> Backup:
    """Write all of the ledger as it is at one moment to `path`, verify the copy, and only then let it appear there.

    Others go on writing meanwhile. Raises `FileInTheWay` when `path` exists, `LedgerSchemaMismatch`, `BackupUnusable`
    when the copy does not verify (then the ledger itself is damaged: `signoff audit verify` says where).
    """
    if path.exists():
        raise FileInTheWay(path)
    check_ledger(ledger)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds names and comments
        if ledger.is_sqlite:
            _copy_file(Path(ledger.url.database or ""), partial, progress)
        else:
            _copy_rows(ledger, partial, progress)
        holding = _verified(partial)
        _close_file(partial)
        digest = _sha256(partial)
        os.link(partial, path)  # unlike a rename, it refuses a file that came into being meanwhile
    except FileExistsError as error:
        raise FileInTheWay(path) from error
    finally:
        for tail in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + tail).unlink(missing_ok=True)
    return Backup(path, path.stat().st_size, digest, holding)


@contextmanager
def opened_backup(path: Path) -> Iterator[tuple[Ledger, Holding]]:
    """A verified copy of a backup at this version's schema, and what the backup holds; the file itself stays as it is.

    Raises `BackupUnusable` when it is none or does not verify, `LedgerSchemaMismatch` when a newer Signoff wrote it.
    """
    with tempfile.TemporaryDirectory(prefix="signoff-restore-") as folder:
        copy = Path(folder) / "ledger.db"
        _check_format(path)
        shutil.copy(path, copy)
        made = Ledger(f"sqlite:///{copy}")
        try:
            schema = plan_upgrade(made).before
            if schema is None:
                raise BackupUnusable(path, "it holds no ledger")
            upgrade_ledger(made)
            holding = _verified(copy, path)
        except DBAPIError as error:
            made.close()
            raise BackupUnusable(path, f"SQLite says: {error.orig}") from error
        try:
            yield made, Holding(schema, holding.events, holding.head, holding.versions)
        finally:
            made.close()


def restore(backup: Ledger, target: Ledger, *, replace: bool = False, progress: Progress = silent) -> Holding:
    """Put everything a backup holds into `target`, verify it there, and commit only if it is whole.

    `target` is upgraded first if it is empty or older. Raises `LedgerInUse` when it holds events, versions, policies or
    people, whatever its head says, and `replace` is not set, `BackupUnusable` when what was put in does not verify;
    then nothing has changed.
    """
    upgrade_ledger(target)
    with backup.reading() as source, target.migrating() as connection:
        if not target.is_sqlite:  # there the transaction has begun with the lock of the whole file
            names = ", ".join(table.name for table in (tables.chain_head, *_IN_USE))
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        if not replace and _is_in_use(connection):
            events = connection.scalar(sa.select(sa.func.max(tables.events.c.seq))) or 0
            raise LedgerInUse(events, hold(connection).versions)
        with rules_asleep(connection):
            copy_records(source, connection, progress)
        return _sound(connection, Path(backup.url.database or ""))


def what_it_holds(ledger: Ledger) -> Holding:
    """What a ledger holds, also where there is none yet; nothing is created by asking.

    Raises `LedgerSchemaMismatch` when a newer Signoff wrote it.
    """
    if plan_upgrade(ledger).before is None:
        return Holding(None, 0, "0" * 64, 0)
    with ledger.reading() as connection:
        return hold(connection)


def hold(connection: sa.Connection) -> Holding:
    """What a ledger holds; nothing of it is verified."""
    head = connection.execute(sa.select(tables.chain_head.c.seq, tables.chain_head.c.hash)).first()
    versions = connection.scalar(sa.select(sa.func.count()).select_from(tables.versions)) or 0
    schema = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    events = max(head.seq if head else 0, last_event(connection))  # a false head hides none that are there
    return Holding(schema, events, head.hash if head else "0" * 64, versions)


def _is_in_use(connection: sa.Connection) -> bool:
    return any(connection.execute(sa.select(sa.literal(1)).select_from(one).limit(1)).first() for one in _IN_USE)


def _copy_file(source: Path, target: Path, progress: Progress) -> None:
    """SQLite's online backup, held to one moment by a read transaction of its own, so that writers never restart it."""

    def tell(_status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as one,
        closing(sqlite3.connect(target)) as other,
    ):
        one.execute("BEGIN")
        one.execute("SELECT seq FROM chain_head").fetchone()
        one.backup(other, pages=_PAGES, progress=tell)


def _copy_rows(ledger: Ledger, path: Path, progress: Progress) -> None:
    """Rows of one snapshot, into a SQLite ledger of the same schema."""
    made = Ledger(f"sqlite:///{path}")
    try:
        upgrade_ledger(made)
        with ledger.reading() as source, made.migrating() as target, rules_asleep(target):
            copy_records(source, target, progress)
    finally:
        made.close()


def _verified(copy: Path, named: Path | None = None) -> Holding:
    ledger = Ledger(f"sqlite:///{copy}")
    try:
        with ledger.reading() as connection:
            return _sound(connection, named or copy)
    finally:
        ledger.close()


def _sound(connection: sa.Connection, path: Path) -> Holding:
    found = verify_chain(connection)
    if found.damage is not None:
        raise BackupUnusable(path, f"event {found.damage.seq} does not hold ({found.damage.reason})")
    try:
        wrong = verify_records(connection, 1)
    except DBAPIError as error:
        raise BackupUnusable(path, f"a record cannot be read: {error.orig}") from error
    if wrong:
        raise BackupUnusable(path, f"{wrong[0].table} {wrong[0].key}: {wrong[0].reason}")
    if broken := broken_references(connection):
        raise BackupUnusable(path, f"rows of {', '.join(broken)} refer to others that are not there")
    return hold(connection)


def _close_file(path: Path) -> None:
    """Make it one file that can be read from anywhere, and have it on the disk."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _check_format(path: Path) -> None:
    start = b""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(16)
    if start != b"SQLite format 3\0":
        raise BackupUnusable(path, "it is not there, cannot be read, or is no SQLite file")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
