"""Rounds have tokens: what their runs and forms are marked with, so that nobody else can make one.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Add the table; rounds that wait to be parked get a token, those that are parked already go without."""
    op.create_table(
        "round_tokens",
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_round_tokens_review_id")),
        sa.PrimaryKeyConstraint("review_id", "round", name=op.f("pk_round_tokens")),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    fresh = "lower(hex(randomblob(16)))" if sqlite else "replace(gen_random_uuid()::text, '-', '')"
    waiting = f"SELECT review_id, round, {fresh} FROM parkings WHERE status = 'to_park'"  # noqa: S608 (our own words)
    op.execute(f"INSERT INTO round_tokens (review_id, round, token) {waiting}")
    script = (_TRIGGERS / f"0012_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
