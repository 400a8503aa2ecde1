"""What is held is decided by those who are asked, or who stand in for them, and signed where its policy says so.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from alembic import op

revision = "0018"
down_revision = "0017"

_OFFERED = ("review_id", "round", "person_id", "on_behalf_of")
_TRIGGERS = Path(__file__).parent.parent / "triggers"


def upgrade() -> None:
    """Note which stored policies sign the quarantine, let decisions say on whose behalf, and add what protects both."""
    signed = op.create_table(
        "policy_signatures",
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.CheckConstraint("place IN ('quarantine')", name=op.f("ck_policy_signatures_place")),
        sa.ForeignKeyConstraint(
            ["policy_sha256"], ["policies.sha256"], name=op.f("fk_policy_signatures_policy_sha256")
        ),
        sa.PrimaryKeyConstraint("policy_sha256", "place", name=op.f("pk_policy_signatures")),
        sqlite_with_rowid=False,
    )
    op.add_column("held_decisions", sa.Column("on_behalf_of", sa.BigInteger(), nullable=True))
    op.create_table(
        "offered_people",
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _OFFERED),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_offered_people_review_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_offered_people_person_id")),
        sa.ForeignKeyConstraint(["on_behalf_of"], ["people.person_id"], name=op.f("fk_offered_people_on_behalf_of")),
        sa.PrimaryKeyConstraint(*_OFFERED, name=op.f("pk_offered_people")),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for sha256, body in connection.exec_driver_sql("SELECT sha256, body FROM policies").all():
        if _signs_quarantine(body):
            connection.execute(signed.insert().values(policy_sha256=sha256, place="quarantine"))
    script = (_TRIGGERS / f"0018_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _signs_quarantine(body: str) -> bool:
    """Whether a policy of before says that its quarantine is signed; what is no policy (any more) says nothing."""
    try:
        found: Any = yaml.safe_load(body)
    except yaml.YAMLError:
        return False
    for name in ("screening", "quarantine", "signature"):
        found = found.get(name) if isinstance(found, dict) else None
    return bool(found == "totp")
