"""Notices of more kinds, about nothing but the policy too, and what their sender needs to send each of them once.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TRIGGERS = Path(__file__).parent.parent / "triggers"
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KINDS = (
    "kind IN ('remind', 'escalate', 'finally', 'opened', 'decided', 'changes_requested', 'receipt', 'security', "
    "'delegated', 'policy_broken', 'roster_short', 'expiring', 'withdrawn', 'integrity')"
)
_ABOUT = "review_id IS NULL OR version_id IS NULL"
_BEFORE = (
    "notice_id, person_id, kind, occasion, review_id, version_id, body, created_at, state, attempts, last_error, "
    "closed_at"
)


def upgrade() -> None:
    """Widen the table, on SQLite by a copy of it, and replace its triggers."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _copy_notices()
    else:
        for name, condition in (("kind", _KINDS), ("about", _ABOUT)):
            op.drop_constraint(op.f(f"ck_notices_{name}"), "notices", type_="check")
            op.create_check_constraint(op.f(f"ck_notices_{name}"), "notices", condition)
        for column in _added():
            op.add_column("notices", column)
    script = (_TRIGGERS / f"0009_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _added() -> list[sa.Column[Any]]:
    return [
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
    ]


def _copy_notices() -> None:
    """SQLite changes no check of a table that is there. The triggers go with the old table."""
    op.create_table(
        "notices_0009",
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
        *_added(),
        sa.CheckConstraint(_KINDS, name=op.f("ck_notices_kind")),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'given_up')", name=op.f("ck_notices_state")),
        sa.CheckConstraint("(state = 'waiting') = (closed_at IS NULL)", name=op.f("ck_notices_closed_at")),
        sa.CheckConstraint(_ABOUT, name=op.f("ck_notices_about")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_notices_person_id")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_notices_review_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_notices_version_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notices")),
        sa.UniqueConstraint("person_id", "occasion", name=op.f("uq_notices_person_id_occasion")),
    )
    op.execute(f"INSERT INTO notices_0009 ({_BEFORE}) SELECT {_BEFORE} FROM notices")  # noqa: S608 (our own names)
    op.drop_table("notices")
    op.rename_table("notices_0009", "notices")
    op.create_index("ix_notices_waiting", "notices", ["notice_id"], sqlite_where=sa.text("state = 'waiting'"))
