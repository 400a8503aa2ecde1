"""Doubted approvals: a decision that its person disowned publishes nothing, whoever else has approved."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ledger import tables
from ledger.transaction import batches


def doubted_versions(connection: sa.Connection, version_ids: Sequence[int]) -> frozenset[int]:
    """Those of these versions of whose present round a decision was disowned."""
    events, versions = tables.events, tables.versions
    found: set[int] = set()
    for batch in batches(version_ids):
        query = (
            sa.select(events.c.version_id)
            .join(versions, sa.and_(versions.c.version_id == events.c.version_id, versions.c.round == events.c.round))
            .where(events.c.version_id.in_(batch), events.c.action == "disown")
        )
        found.update(connection.scalars(query))
    return frozenset(found)
