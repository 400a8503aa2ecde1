"""What a rights check returns: its statuses and reasons (`policies.clearance_codes`), and the columns of its frame."""

from __future__ import annotations

from typing import Final

import polars as pl

from policies.clearance_codes import STATUS_OF, WAIVABLE, ClearanceStatus, ReasonCode, waivable

__all__ = [
    "CLEARANCE_SCHEMA",
    "REASON_DTYPE",
    "STATUS_OF",
    "WAIVABLE",
    "ClearanceStatus",
    "ReasonCode",
    "waivable",
]

REASON_DTYPE: Final = pl.Struct({"code": pl.String, "text": pl.String})
CLEARANCE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version_id": pl.Int64(),
    "status": pl.String(),
    "reasons": pl.List(REASON_DTYPE),
    "deciding": pl.List(pl.String()),
    "digest": pl.String(),
    "next_change_at": pl.Datetime("us", "UTC"),
}
"""Columns of what `check_rights` returns, one row a query."""
