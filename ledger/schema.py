"""Bringing a database to the schema of this version of Signoff, and refusing one that is newer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.engine import Ledger
from ledger.errors import LedgerSchemaMismatch

_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """What an upgrade would do: the revision now (None: no tables yet), that of this Signoff, and the steps between."""

    before: str | None
    after: str
    steps: tuple[tuple[str, str], ...]
    """(revision, what it changes), in order."""


def plan_upgrade(ledger: Ledger) -> UpgradePlan:
    """What `upgrade_ledger` would do; nothing is changed, and no file is made where there is none.

    Raises `LedgerSchemaMismatch` when the database was written by a newer Signoff.
    """
    before = None
    if not ledger.is_sqlite or Path(ledger.url.database or "").is_file():
        with ledger.reading() as connection:
            before = _present(connection)
    script = ScriptDirectory.from_config(_config())
    _refuse_newer(script, before)
    missing = [one for one in script.iterate_revisions("head", before or "base") if one.revision != before]
    steps = tuple((one.revision, (one.doc or "").splitlines()[0]) for one in reversed(missing))
    return UpgradePlan(before, script.get_current_head() or "", steps)


def upgrade_ledger(ledger: Ledger) -> tuple[str | None, str]:
    """Run the missing migrations in one transaction; returns the revision before and after.

    Two starts at once: one migrates, the other waits and finds nothing to do. Raises `LedgerSchemaMismatch` when the
    database was written by a newer Signoff, and `LedgerBusy` (transient).
    """
    with ledger.migrating() as connection:
        if not ledger.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7306012019)"))
        before = _present(connection)
        _refuse_newer(ScriptDirectory.from_config(_config()), before)
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
            f"the ledger is at schema {present or 'none'}, this version of Signoff needs {head}. Run "
            "`signoff ledger upgrade`, or `signoff up`, which does it too."
        )


def _refuse_newer(script: ScriptDirectory, present: str | None) -> None:
    if present is not None and present not in {revision.revision for revision in script.walk_revisions()}:
        raise LedgerSchemaMismatch(
            f"the ledger is at schema {present}, which this version of Signoff does not know "
            f"(it knows up to {script.get_current_head()}). Use the newer Signoff that wrote it."
        )


def _present(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
