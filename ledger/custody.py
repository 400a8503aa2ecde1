"""Where the bytes of a version are at present: the last place of custody that was not released."""

from __future__ import annotations

import sqlalchemy as sa

from ledger import tables


def present_custody_id(version_id: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    """The row of `custody` that holds for a version, as a subquery correlated to `version_id`.

    Correlated on purpose: grouped over the whole table it would make every small question as dear as the ledger is
    large.
    """
    held = tables.custody.alias("held")
    return (
        sa.select(sa.func.max(held.c.custody_id))
        .where(held.c.version_id == version_id, held.c.released_at.is_(None))
        .correlate_except(held)
        .scalar_subquery()
    )
