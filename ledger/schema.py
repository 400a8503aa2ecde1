"""Bringing a database to the schema of this version of Signoff, and refusing one that is newer."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.engine import Ledger
from ledger.errors import LedgerSchemaMismatch

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade_ledger(ledger: Ledger) -> tuple[str | None, str]:
    """Run the missing migrations in one transaction; returns the revision before and after.

    Two starts at once: one migrates, the other waits and finds nothing to do. Raises `LedgerSchemaMismatch` when the
    database was written by a newer Signoff, and `LedgerBusy` (transient).
    """
    with ledger.migrating() as connection:
        if not ledger.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7306012019)"))
        before = _present(connection)
        script = ScriptDirectory.from_config(_config())
        if before is not None and before not in {revision.revision for revision in script.walk_revisions()}:
            raise LedgerSchemaMismatch(
                f"the ledger is at schema {before}, which this version of Signoff does not know "
                f"(it knows up to {script.get_current_head()}). Use the newer Signoff that wrote it."
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        after = _present(connection)
    if after is None:
        raise LedgerSchemaMismatch("the migrations left no revision behind; the database was not changed")
    return before, after


def check_ledger(ledger: Ledger) -> None:
    """Raise `LedgerSchemaMismatch` unless the database is at exactly this version's schema."""
    with ledger.reading() as connection:
        present = _present(connection)
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if present != head:
        raise LedgerSchemaMismatch(
            f"the ledger is at schema {present or 'none'}, this version of Signoff needs {head}. Run `signoff up`, "
            "which upgrades it."
        )


def _present(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
