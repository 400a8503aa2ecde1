"""Who was taken out of a group by mistake, and back into it, may decide again where they might before.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Let eligibility return with a membership that is younger than its end."""
    connection = op.get_bind()
    script = (_TRIGGERS / f"0019_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
