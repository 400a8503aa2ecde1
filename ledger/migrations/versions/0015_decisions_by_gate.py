"""Decisions are found by their gate: those that count and those that came too late.

Frozen, as every migration: it creates what this release had, whatever `ledger.tables` says later.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index: the unique ones hold counted decisions only, and a query that says so differently misses them."""
    op.create_index(op.f("ix_decisions_gate_id"), "decisions", ["gate_id"])
