"""What a look at the ledger finds: the clock of its database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ledger.engine import Ledger
from ledger.examine import database_now


def test_the_clock_of_the_database(ledger: Ledger) -> None:
    """PostgreSQL has one, aware and near this machine's; SQLite has none."""
    with ledger.reading() as connection:
        there = database_now(connection)
    if ledger.is_sqlite:
        assert there is None
    else:
        assert there is not None
        assert there.tzinfo is UTC
        assert abs(there - datetime.now(UTC)) < timedelta(seconds=5)
