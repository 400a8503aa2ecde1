"""People sign: their secrets, the codes that were used up, wrong codes in a row.

Frozen, as every migration: it changes what this release changed, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TRIGGERS = Path(__file__).parent.parent / "triggers"
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PRESENT = sa.text("state <> 'ended'")


def upgrade() -> None:
    """Add the tables and what protects them."""
    _secrets()
    _codes()
    connection = op.get_bind()
    script = (_TRIGGERS / f"0010_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _secrets() -> None:
    op.create_table(
        "signing_secrets",
        sa.Column("secret_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_for", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'active', 'ended')", name=op.f("ck_signing_secrets_state")),
        sa.CheckConstraint("(state = 'ended') = (sealed IS NULL)", name=op.f("ck_signing_secrets_sealed")),
        sa.CheckConstraint("(sealed IS NULL) = (key_id IS NULL)", name=op.f("ck_signing_secrets_key_id")),
        sa.CheckConstraint(
            "(state = 'ended') = (ended_at IS NOT NULL AND ended_for IS NOT NULL)",
            name=op.f("ck_signing_secrets_ended"),
        ),
        sa.CheckConstraint(
            "state <> 'active' OR confirmed_at IS NOT NULL", name=op.f("ck_signing_secrets_confirmed_at")
        ),
        sa.CheckConstraint(
            "ended_for IS NULL OR ended_for IN "
            "('replaced', 'unenrolled', 'recovered', 'disowned', 'forgotten', 'dropped')",
            name=op.f("ck_signing_secrets_ended_for"),
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_signing_secrets_person_id")),
        sa.PrimaryKeyConstraint("secret_id", name=op.f("pk_signing_secrets")),
    )
    op.create_index(
        "uq_signing_secrets_present",
        "signing_secrets",
        ["person_id", "state"],
        unique=True,
        sqlite_where=_PRESENT,
        postgresql_where=_PRESENT,
    )
    op.create_table(
        "ledger_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ledger_secrets")),
        sqlite_with_rowid=False,
    )


def _codes() -> None:
    op.create_table(
        "used_codes",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("review_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(purpose = 'answer') = (review_id IS NOT NULL)", name=op.f("ck_used_codes_review_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_used_codes_person_id")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_used_codes_review_id")),
        sa.PrimaryKeyConstraint("person_id", "step", name=op.f("pk_used_codes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "code_failures",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("looks_again_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_code_failures_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_code_failures")),
        sqlite_with_rowid=False,
    )
