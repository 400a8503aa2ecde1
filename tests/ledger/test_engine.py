"""What the ledger says when its database is away, empty, or refuses: in our words, and never with what people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ledger import tables
from ledger.engine import Ledger
from ledger.errors import LedgerSchemaMismatch, LedgerUnreachable
from tests.ledger.approval_world import ApprovalWorld


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/ledger.db", "postgresql://ada:s3cret@127.0.0.1:1/x?sslpassword=s3"]
)
def test_a_database_that_is_away_is_transient(url: str) -> None:
    """Said without the password, and what to look at."""
    with pytest.raises(LedgerUnreachable, match="does not answer") as refused, Ledger(url).reading():
        pass
    assert "s3" not in str(refused.value)


def test_a_database_without_tables_says_who_makes_them(tmp_path: Path) -> None:
    """A command before the first `signoff up` gets a sentence, not a traceback."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(LedgerSchemaMismatch, match="signoff up"), ledger.reading() as connection:
        connection.execute(sa.select(tables.events))
    ledger.close()


def test_a_full_disk_is_transient(world: ApprovalWorld) -> None:
    """Nothing of the transaction is kept, and the next try may succeed."""
    if not world.ledger.is_sqlite:
        pytest.skip("only SQLite can be told how large its file may become")
    rows = [{"note_id": number, "salt": "s", "body": "x" * 4_000} for number in range(100)]
    with world.writing() as tx:
        pages = tx.connection.scalar(sa.text("PRAGMA page_count"))
        tx.connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(LedgerUnreachable, match="disk is full"), world.writing() as tx:
        tx.insert(tables.notes, rows)
    assert world.ask("SELECT count(*) FROM notes") == [(0,)]


def test_an_error_of_the_driver_does_not_tell_what_people_wrote(world: ApprovalWorld) -> None:
    """Its text ends in the logs of Prefect; PostgreSQL's own detail is the one exception."""
    if not world.ledger.is_sqlite:
        pytest.skip("PostgreSQL tells the failing row itself")
    with pytest.raises(IntegrityError) as refused, world.writing() as tx:
        tx.insert(tables.notes, [{"note_id": 1, "salt": None, "body": "a private word"}])
    assert "a private word" not in str(refused.value)
