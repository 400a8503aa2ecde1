"""The ledger's part in `signoff up`: bring it up to date, and notice quickly when it already is."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.prepare_ledger import LedgerReady

_MIGRATIONS: Final = Path(__file__).parents[2] / "ledger" / "migrations"


def ready_ledger(settings: Settings, report: Callable[[str], None]) -> None:
    """Bring schema, roster and policy into the ledger, unless the last `up` did so with exactly the same files.

    The check needs neither SQLAlchemy nor polars, whose imports would be most of the time of a second `up`. Another
    database than the embedded one is always looked into: others may have changed it.
    """
    stamp = settings.home / "run" / "ledger.json"
    wanted = _fingerprint(settings)
    if _recorded(stamp) == {"files": wanted, "schema": _embedded_schema(settings)}:
        return
    from tasks.prepare_ledger import prepare_ledger

    ready = prepare_ledger(settings)
    report(_words(ready))
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"files": wanted, "schema": ready.after}), encoding="utf-8")


def _fingerprint(settings: Settings) -> str:
    """Hash what decides the outcome: the migrations, the policy and the roster."""
    digest = hashlib.sha256(settings.database_url.encode())
    chosen = [path for path in (settings.policy, settings.roster) if path is not None]
    for path in (*sorted(_MIGRATIONS.rglob("*.py")), *sorted(_MIGRATIONS.rglob("*.sql")), *chosen):
        digest.update(f"\0{path}\0".encode())
        digest.update(path.read_bytes() if path.is_file() else b"absent")
    return digest.hexdigest()


def _embedded_schema(settings: Settings) -> str | None:
    """Return the schema version that the embedded ledger really has; None: no such ledger."""
    path = settings.home / "ledger.db"
    if settings.database.url is not None or not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:  # locked, or no ledger yet: the long way finds out and says so
        return None
    return None if row is None else str(row[0])


def _recorded(stamp: Path) -> object:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _words(ready: LedgerReady) -> str:
    schema = f"ledger at schema {ready.after}"
    if ready.activation is None:
        return f"{schema}; no policy is named in the settings"
    active = ready.activation.policy_sha256[:12]
    return f"{schema}; policy {active} {'activated' if ready.activation.activated else 'is active'}"
