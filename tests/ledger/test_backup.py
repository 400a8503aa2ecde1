"""Backups: one moment of the ledger in one verified file, put back whole into either database or not at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import backup, tables
from ledger.backup import Holding, back_up, hold, opened_backup, restore
from ledger.engine import Ledger
from ledger.errors import BackupUnusable, FileInTheWay, LedgerInUse, LedgerSchemaMismatch
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import REFUSED, RawSql, asleep


def records(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with ledger.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key))]
            for table in tables.metadata.sorted_tables
        }


def furnish(ledger: Ledger) -> ApprovalWorld:
    """A ledger in which much has happened."""
    world = ApprovalWorld(ledger)
    world.published("spring/a.jpg", "one")
    world.turned_down("spring/b.jpg", "two", "reject")
    world.withdrawn("spring/c.jpg", "three")
    world.in_review("spring/d.jpg", "four – ünï\N{FACE WITH TEARS OF JOY}")
    return world


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, new_ledger: Callable[[str], Ledger]) -> Ledger:
    """An empty ledger on either database, to restore into."""
    return new_ledger(request.param)


def test_what_is_backed_up_comes_back(ledger: Ledger, target: Ledger, tmp_path: Path) -> None:
    """From either database into either: every row, the rules in force, and work goes on."""
    world = furnish(ledger)
    before = records(ledger)
    told: list[tuple[int, int]] = []
    made = back_up(ledger, tmp_path / "ledger.backup", lambda *step: told.append(step))
    assert told[-1][0] == told[-1][1] > 0
    with ledger.reading() as connection:
        assert made.holding == hold(connection)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.backup"]
    with opened_backup(made.path) as (held, holding):
        assert holding == made.holding
        assert restore(held, target) == made.holding
    assert records(target) == before == records(ledger)
    with RawSql(target.url) as raw, pytest.raises(REFUSED, match="signoff: rule 1"):
        raw.execute("UPDATE events SET actor = 'system:attacker'")
    moved = ApprovalWorld(target, furnish=False)
    moved.now, moved.put_at = world.now, world.put_at
    moved.published("spring/e.jpg", "five")
    with target.reading() as connection:
        assert (verify_chain(connection).damage, verify_records(connection)) == (None, [])


def test_it_is_one_moment_while_others_write(ledger: Ledger, tmp_path: Path) -> None:
    """Backups taken while a writer is at it each verify, and the writer is not stopped."""
    world = furnish(ledger)
    stop, written = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 500:
            number += 1
            written.append(world.submitted(f"spring/more/{number}.jpg", str(number)))

    writer = threading.Thread(target=write)
    writer.start()
    counts = [back_up(ledger, tmp_path / f"{number}.backup").holding.events for number in range(4)]
    stop.set()
    writer.join()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] <= verified(ledger)
    assert written


def verified(ledger: Ledger) -> int:
    """How many events hold."""
    with ledger.reading() as connection:
        found = verify_chain(connection)
    assert found.damage is None
    return found.events


def test_a_ledger_in_use_is_not_replaced_unasked(ledger: Ledger, target: Ledger, tmp_path: Path) -> None:
    """It says what it holds and stays; told to, it is replaced."""
    made = back_up(furnish(ledger).ledger, tmp_path / "a.backup")
    ApprovalWorld(target).submitted("spring/z.jpg", "its own")
    before = records(target)
    with opened_backup(made.path) as (held, _):
        with pytest.raises(LedgerInUse, match=r"holds \d+ events and 1 versions already; nothing was changed"):
            restore(held, target)
        assert records(target) == before
        restore(held, target, replace=True)
    assert records(target) == records(ledger)


@pytest.mark.parametrize("kept", ["events", "versions", "policies", "people"])
def test_a_head_that_was_put_back_hides_nothing(ledger: Ledger, target: Ledger, tmp_path: Path, kept: str) -> None:
    """A ledger with rows in any of these is in use, even where its head says that nothing has happened."""
    made = back_up(furnish(ledger).ledger, tmp_path / "a.backup")
    ApprovalWorld(target).submitted("spring/z.jpg", "its own")
    with RawSql(target.url) as raw:
        triggers = raw.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'") if target.is_sqlite else []
        asleep(raw)
        raw.execute("UPDATE chain_head SET seq = 0, hash = ?", "0" * 64)
        for table in reversed(tables.metadata.sorted_tables):
            if table.name not in (kept, "chain_head", "lifecycle"):
                raw.execute(f"DELETE FROM {table.name}")
        for (sql,) in triggers:
            raw.execute(sql)
    before = records(target)
    with opened_backup(made.path) as (held, _):
        with pytest.raises(LedgerInUse, match="nothing was changed"):
            restore(held, target)
        assert records(target) == before
        restore(held, target, replace=True)
    assert records(target) == records(ledger)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE events SET body = replace(body, '/a.jpg', '/x.jpg') WHERE action = 'submit'", "does not hold"),
        ("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)", "does not hold"),
        ("UPDATE versions SET state = 'published' WHERE version_id = 2", "versions 2"),
        ("DELETE FROM people WHERE handle = 'lea'", "an event tells of a person who is not recorded"),
        ("UPDATE custody SET version_id = 77", "refer to others that are not there"),
        ("UPDATE events SET body = CAST(body AS BLOB) WHERE seq = 5", "event 5 does not hold"),
        ("UPDATE notes SET body = CAST(x'ff00fe' AS TEXT)", "a record cannot be read"),
        ("DROP TABLE alembic_version", "it holds no ledger"),
    ],
)
@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_a_damaged_backup_is_refused(ledger: Ledger, tmp_path: Path, damage: str, problem: str) -> None:
    """Before anything is touched, with what is wrong."""
    made = back_up(furnish(ledger).ledger, tmp_path / "a.backup")
    connection = sqlite3.connect(made.path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(damage)
    connection.close()
    with pytest.raises(BackupUnusable, match=problem), opened_backup(made.path):
        pass


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    """A missing file, another file, a cut one."""
    (tmp_path / "text").write_text("no ledger")
    for name in ("missing", "text"):
        with pytest.raises(BackupUnusable, match="is no SQLite file"), opened_backup(tmp_path / name):
            pass
    (tmp_path / "cut").write_bytes(b"SQLite format 3\0" + b"\0" * 100)
    with pytest.raises(BackupUnusable, match=r"SQLite says|holds no ledger"), opened_backup(tmp_path / "cut"):
        pass


def test_a_backup_of_a_newer_signoff_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """It is not guessed what its records mean."""
    made = back_up(furnish(ledger).ledger, tmp_path / "a.backup")
    connection = sqlite3.connect(made.path, isolation_level=None)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerSchemaMismatch, match="at schema 9999"), opened_backup(made.path):
        pass


def test_no_file_is_overwritten_and_none_is_left(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing file stays; a copy that does not verify leaves nothing behind."""
    furnish(ledger)
    (tmp_path / "mine").write_text("something else")
    with pytest.raises(FileInTheWay, match="is not overwritten"):
        back_up(ledger, tmp_path / "mine")

    def fails(_copy: Path) -> Holding:
        raise BackupUnusable(tmp_path, "it does not verify")

    monkeypatch.setattr(backup, "_verified", fails)
    with pytest.raises(BackupUnusable):
        back_up(ledger, tmp_path / "other")
    assert {one.name: one.read_text() for one in tmp_path.iterdir() if one.is_file()} == {"mine": "something else"}
