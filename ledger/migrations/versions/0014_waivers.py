"""An approval where rights block is a waiver that names what it waives; nothing is published past its rights.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Add the table, say of earlier approvals what they took upon themselves, and add what protects both."""
    op.create_table(
        "waivers",
        sa.Column("decision_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("fk_waivers_decision_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_waivers")),
    )
    connection = op.get_bind()
    script = (_TRIGGERS / f"0014_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
