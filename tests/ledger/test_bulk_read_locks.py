"""A bulk read brings a second SQLite into the process; the ledger's own connections must not lose their locks by it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from ledger.bulk_read import open_snapshot
from ledger.engine import Ledger
from ledger.schema import upgrade_ledger
from ledger.transaction import Draft, Origin

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
COUNT = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM events').fetchone()[0])"


def test_what_is_committed_after_a_bulk_read_is_not_lost(tmp_path: Path) -> None:
    """Read in bulk, let another process come and go, then commit: every other process sees the commit."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    upgrade_ledger(ledger)
    with open_snapshot(str(ledger.url)) as snapshot:
        assert snapshot.head().seq == 0
    assert counted_elsewhere(path) == 0
    with ledger.writing(Origin("system:test", NOW)) as tx:
        tx.append([Draft("told")])
    assert counted_elsewhere(path) == 1
    ledger.close()


def counted_elsewhere(path: Path) -> int:
    """How many events another process finds, which opens the ledger and closes it again."""
    answer = subprocess.run([sys.executable, "-c", COUNT, str(path)], check=True, capture_output=True, text=True)
    return int(answer.stdout)
