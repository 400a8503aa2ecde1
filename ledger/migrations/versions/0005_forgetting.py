"""People can be forgotten; on PostgreSQL a statement appends many events, and the head moves twice a transaction.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Add the head's mark of the transaction that moves it, and replace the triggers that change."""
    op.add_column("chain_head", sa.Column("touched_by", sa.BigInteger(), server_default="0", nullable=False))
    connection = op.get_bind()
    script = (_TRIGGERS / f"0005_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
