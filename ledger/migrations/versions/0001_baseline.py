"""Baseline: tables, the lifecycle as data, the chain's head, and the triggers that enforce the rules."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from ledger import tables
from policies.lifecycle import TRANSITIONS

revision = "0001"
down_revision = None

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Create everything in an empty database."""
    connection = op.get_bind()
    tables.metadata.create_all(connection)
    connection.execute(
        tables.lifecycle.insert(),
        [
            {"from_state": str(t.from_state), "action": str(t.action), "to_state": str(t.to_state), "guard": t.guard}
            for t in TRANSITIONS
        ],
    )
    connection.execute(tables.chain_head.insert(), {"one": 1, "seq": 0, "hash": "0" * 64})
    script = (_TRIGGERS / f"0001_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
