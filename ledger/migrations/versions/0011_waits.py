"""Reviews of what was sent back for changes, and delegations that hold: parts handed over for a time.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TRIGGERS = Path(__file__).parent.parent / "triggers"
_WIDENED = (
    ("held_decisions", "verdict", "verdict IN ('release', 'reject')", "verdict IN ('release', 'reject', 'reopen')"),
    (
        "review_versions",
        "outcome",
        "outcome IS NULL OR outcome IN ('released', 'rejected')",
        "outcome IS NULL OR outcome IN ('released', 'rejected', 'reopened')",
    ),
)


def upgrade() -> None:
    """Widen what may become of a version that waits by itself, and replace the triggers that change."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _copy_widened(connection)
    else:
        for table, name, _, condition in _WIDENED:
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    script = (_TRIGGERS / f"0011_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _copy_widened(connection: sa.Connection) -> None:
    """SQLite changes no check of a table that is there: each is copied as it is, with its indexes and triggers.

    The triggers go first, all of them: one that names a table which is away for a moment stops its renaming.
    """
    kept = []
    for table, *_ in _WIDENED:
        beside = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? AND type <> 'table' AND sql IS NOT NULL"
        for kind, name, sql in connection.exec_driver_sql(beside, (table,)).all():
            connection.exec_driver_sql(f"DROP {kind} {name}")
            kept.append(sql)
    for table, _, before, after in _WIDENED:
        whole = "SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'"
        (made,) = connection.exec_driver_sql(whole, (table,)).one()
        head, body = made.split("(", 1)
        if body.count(before) != 1:
            raise RuntimeError(
                f"{table} has no check of {before!r}: the ledger is not as the migrations before made it"
            )
        connection.exec_driver_sql(f"{head.replace(table, f'{table}_0011')}({body.replace(before, after)}")
        connection.exec_driver_sql(f"INSERT INTO {table}_0011 SELECT * FROM {table}")  # noqa: S608 (our own names)
        connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql(f"ALTER TABLE {table}_0011 RENAME TO {table}")
    for sql in kept:
        connection.exec_driver_sql(sql)
