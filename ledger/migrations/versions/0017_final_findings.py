"""What a publication rests on is final: screenings, rights checks and grants; and what the reviews ask about.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Add what protects them."""
    connection = op.get_bind()
    script = (_TRIGGERS / f"0017_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
