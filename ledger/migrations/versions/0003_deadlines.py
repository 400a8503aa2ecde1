"""Deadlines: the rungs of ladders as they fired, the outbox of notices, and the triggers that keep both true.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TRIGGERS = Path(__file__).parent.parent / "triggers"
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both tables and what protects them."""
    _create_rungs()
    _create_notices()
    connection = op.get_bind()
    script = (_TRIGGERS / f"0003_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _create_rungs() -> None:
    op.create_table(
        "rungs",
        sa.Column("rung_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("gate_id", sa.BigInteger(), nullable=True),
        sa.Column("since_seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column("fired_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('remind', 'escalate', 'finally')", name=op.f("ck_rungs_kind")),
        sa.CheckConstraint("(kind = 'escalate') = (group_name IS NOT NULL)", name=op.f("ck_rungs_group_name")),
        sa.CheckConstraint(
            "(kind = 'finally') = (outcome IS NOT NULL) "
            "AND (outcome IS NULL OR outcome IN ('reject', 'request_changes'))",
            name=op.f("ck_rungs_outcome"),
        ),
        sa.CheckConstraint("planned_at <= fired_at", name=op.f("ck_rungs_fired_at")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_rungs_version_id")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.gate_id"], name=op.f("fk_rungs_gate_id")),
        sa.PrimaryKeyConstraint("rung_id", name=op.f("pk_rungs")),
    )
    _create_partial_index("uq_rungs_gate", "rungs", ["gate_id", "number"], "gate_id IS NOT NULL", unique=True)
    _create_partial_index(
        "uq_rungs_version", "rungs", ["version_id", "since_seq", "number"], "gate_id IS NULL", unique=True
    )


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("notice_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("review_id", sa.BigInteger(), nullable=True),
        sa.Column("version_id", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('remind', 'escalate', 'finally')", name=op.f("ck_notices_kind")),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'given_up')", name=op.f("ck_notices_state")),
        sa.CheckConstraint("(state = 'waiting') = (closed_at IS NULL)", name=op.f("ck_notices_closed_at")),
        sa.CheckConstraint("(review_id IS NULL) <> (version_id IS NULL)", name=op.f("ck_notices_about")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_notices_person_id")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_notices_review_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_notices_version_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notices")),
        sa.UniqueConstraint("person_id", "occasion", name=op.f("uq_notices_person_id_occasion")),
    )
    _create_partial_index("ix_notices_waiting", "notices", ["notice_id"], "state = 'waiting'", unique=False)


def _create_partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool) -> None:
    only = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=only, postgresql_where=only)
