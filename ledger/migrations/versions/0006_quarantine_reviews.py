"""Reviews of the quarantine: which versions each is about, and what was said of them.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Add both tables and what protects them."""
    op.create_table(
        "review_versions",
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("since_seq", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('released', 'rejected')", name=op.f("ck_review_versions_outcome")
        ),
        sa.CheckConstraint("(outcome IS NULL) = (closed_at IS NULL)", name=op.f("ck_review_versions_closed_at")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_review_versions_review_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_review_versions_version_id")),
        sa.PrimaryKeyConstraint("review_id", "position", name=op.f("pk_review_versions")),
        sa.UniqueConstraint("version_id", "since_seq", name=op.f("uq_review_versions_version_id_since_seq")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held_decisions",
        sa.Column("decision_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("note_id", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("verdict IN ('release', 'reject')", name=op.f("ck_held_decisions_verdict")),
        sa.CheckConstraint("signature IN ('totp', 'none')", name=op.f("ck_held_decisions_signature")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_held_decisions_review_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_held_decisions_version_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_held_decisions_person_id")),
        sa.ForeignKeyConstraint(["note_id"], ["notes.note_id"], name=op.f("fk_held_decisions_note_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_held_decisions")),
    )
    op.create_index("ix_held_decisions_version_id", "held_decisions", ["version_id"])
    connection = op.get_bind()
    script = (_TRIGGERS / f"0006_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)
