"""What a file says about its own rights: it may restrict a use, never clear it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policies.channels import UseAction
from policies.clearance import ReasonCode

_STATUSES: Final = ("none", "read", "unparsed")
_ACTIONS: Final = {
    str(UseAction.PUBLISH): "publishing",
    str(UseAction.DISTRIBUTE): "distribution",
    str(UseAction.DERIVE): "derived works",
    str(UseAction.ARCHIVE): "archiving",
    str(UseAction.AI_INFER): "AI processing",
    str(UseAction.AI_TRAIN): "AI training",
    str(UseAction.DATA_MINE): "data mining",
}


def embedded_findings(cases: pl.DataFrame, now: datetime, expiring_within: timedelta) -> pl.DataFrame:
    """Findings of each case's own file: `case`, `code`, `text`, and no `grant_id`."""
    expires = pl.col("expires_at")
    on_day = expires.dt.strftime("%-d %B %Y at %H:%M (UTC)")
    prohibits = cases.select("case", "action", pl.col("embedded_prohibits").alias("word")).explode("word").drop_nulls()
    forbidden = prohibits.filter(pl.col("word") == pl.col("action"))
    return pl.concat(
        [
            _said(
                cases.filter(pl.col("embedded_conflicts").list.len() > 0),
                ReasonCode.METADATA_CONFLICT,
                pl.format(
                    "The file's XMP and IPTC metadata disagree on {}",
                    pl.col("embedded_conflicts").list.sort().list.join(", "),
                ),
            ),
            _said(
                forbidden,
                ReasonCode.PROHIBITED_BY_FILE,
                pl.format("The file's own metadata forbids {}", pl.col("word").replace_strict(_ACTIONS, default=None)),
            ),
            _said(
                prohibits.filter(~pl.col("word").is_in(list(_ACTIONS))),
                ReasonCode.UNKNOWN_CODE,
                pl.format("The file's own metadata forbids {}, which is no action that is known here", "word"),
            ),
            _said(
                cases.filter(expires < pl.col("stops_at")),
                ReasonCode.FILE_EXPIRED,
                pl.when(expires <= now)
                .then(pl.format("By the file's own metadata its licence ended on {}", on_day))
                .otherwise(pl.format("By the file's own metadata its licence ends on {}, before the use does", on_day)),
            ),
            _said(
                cases.filter((expires >= pl.col("stops_at")) & (expires - pl.lit(now) <= expiring_within)),
                ReasonCode.FILE_EXPIRING,
                pl.format("By the file's own metadata its licence ends on {}", on_day),
            ),
            _said(
                cases.filter(pl.col("embedded_status") == "unparsed"),
                ReasonCode.METADATA_UNPARSED,
                pl.lit("The file carries rights metadata that could not be read"),
            ),
            _said(
                cases.filter(~pl.col("embedded_status").is_in(_STATUSES).fill_null(value=False)),
                ReasonCode.UNKNOWN_CODE,
                pl.format(
                    "{} is no state of embedded metadata that is known here",
                    pl.col("embedded_status").fill_null("(none)"),
                ),
            ),
        ]
    )


def _said(rows: pl.DataFrame, code: ReasonCode, text: pl.Expr) -> pl.DataFrame:
    return rows.select("case", code=pl.lit(str(code)), text=text, grant_id=pl.lit(None, dtype=pl.String))


def embedded_text() -> pl.Expr:
    """The embedded facts of a case as one text, equal when and only when the facts are."""
    texts = ("embedded_status", "model_release", "property_release", "credit_line")
    flags = ("people_detected", "property_detected")
    lists = ("embedded_prohibits", "embedded_conflicts")
    return pl.concat_str(
        *(_sealed(pl.col(name)) for name in texts),
        *(_sealed(pl.col(name).cast(pl.String)) for name in flags),
        _sealed(pl.col("expires_at").dt.epoch("us").cast(pl.String)),
        *(_sealed(pl.col(name).list.eval(_sealed(pl.element())).list.sort().list.join("")) for name in lists),
    )


def _sealed(text: pl.Expr) -> pl.Expr:
    """`text` with its length before it, so that no two lists of texts read alike when joined."""
    return pl.when(text.is_null()).then(pl.lit("-")).otherwise(pl.format("{}:{}", text.str.len_bytes(), text))
