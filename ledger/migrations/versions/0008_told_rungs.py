"""Rungs stand beside the events that tell of them; nobody joins under the handle of somebody who was forgotten.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Replace the triggers that change; tables stay as they are."""
    connection = op.get_bind()
    script = (_TRIGGERS / f"0008_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
