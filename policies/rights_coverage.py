"""Which grants bear on a question, and where and when permits leave a use uncovered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from policies.grant import CLEARING_SOURCES, Effect
from policies.rights_questions import CELL, INSTANT

ALWAYS: Final = pl.lit(datetime(1, 1, 1, tzinfo=UTC), dtype=INSTANT)
FOREVER: Final = pl.lit(datetime(9999, 12, 31, tzinfo=UTC), dtype=INSTANT)


def match_grants(questions: pl.DataFrame, cells: pl.DataFrame, grants: pl.DataFrame) -> pl.DataFrame:
    """One row a cell and grant that speaks of it, at whatever time: the cell, the grant, and how it bears.

    `begins_at` and `ends_at` bound when the grant holds (a permit not before its embargo), `in_force` says whether
    that touches the use; `ours` whether it is open to the licensee who asks, else it is somebody else's exclusive
    right; `clears` whether it is a permit that can clear.
    """
    pairs = _pairs(questions, grants)
    areas = grants.select("countries").unique().with_row_index("area")
    area_countries = areas.select("area", pl.col("countries").str.split(" ").alias("country")).explode("country")
    grant_channels = grants.select("grant", pl.col("channels").alias("channel")).explode("channel")
    begins_at = pl.max_horizontal(pl.col("start_at").fill_null(ALWAYS), pl.col("embargo_at"))
    return (
        cells.join(pairs, on="question")
        .join(grant_channels, on=["grant", "channel"], how="semi")
        .join(grants.join(areas, on="countries").drop("channels", "countries", "actions"), on="grant")
        .join(area_countries, on=["area", "country"], how="semi")
        .with_columns(begins_at=begins_at, ends_at=pl.col("end_at").fill_null(FOREVER))
        .with_columns(
            in_force=(pl.col("begins_at") < pl.col("stops_at")) & (pl.col("ends_at") > pl.col("starts_at")),
            permit=pl.col("effect") == Effect.PERMIT,
        )
        .with_columns(clears=pl.col("permit") & pl.col("ours") & pl.col("source").is_in(list(CLEARING_SOURCES)))
    )


def _pairs(questions: pl.DataFrame, grants: pl.DataFrame) -> pl.DataFrame:
    """Each question with the grants that name its asset or collection, its action, and its licensee or nobody."""
    terms = grants.select(
        "grant", "asset", "collection", "actions", "exclusive", pl.col("licensee").alias("grant_licensee")
    )
    asking = questions.select("question", "asset", "collection", "action", "licensee")
    ours = pl.col("grant_licensee").is_null() | pl.col("grant_licensee").eq_missing(pl.col("licensee"))
    found = pl.concat(
        [
            asking.join(terms.drop("collection"), on="asset").drop("collection", "asset"),
            asking.drop("asset").join(terms.drop("asset"), on="collection").drop("collection"),
        ]
    )
    return (
        found.filter(pl.col("actions").list.contains(pl.col("action")))
        .with_columns(ours=ours)
        .filter(pl.col("ours") | pl.col("exclusive"))
        .select("question", "grant", "ours")
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """How permits cover cells over their whole interval; each frame has the cell's columns.

    `opening`: a gap that the permits `grant` end by beginning, now or later. `lapsed`: a gap after the permits `grant`
    ended, with none to follow. `never`: no permit at any time. `covered`: no gap, unbroken until `covered_until`.
    """

    opening: pl.DataFrame
    lapsed: pl.DataFrame
    never: pl.DataFrame
    covered: pl.DataFrame


def cover_cells(cells: pl.DataFrame, permits: pl.DataFrame) -> Coverage:
    """How `permits` (rows of `match_grants`) together cover `cells`.

    Permits are walked in the order of their beginning; `reach` is how far the earlier ones cover without a break. A
    permit that begins beyond it leaves a gap, which matters while the use has not ended before.
    """
    needed = cells.select(*CELL, "starts_at", "stops_at")
    cell = list(CELL)
    walked = (
        permits.select(*CELL, "grant", "grant_id", "begins_at", "ends_at")
        .join(needed, on=cell)
        .sort(*CELL, "begins_at", "ends_at", "grant")
        .with_columns(
            reach=pl.max_horizontal("starts_at", pl.col("ends_at").cum_max().shift(1).over(cell)),
            furthest=pl.col("ends_at").max().over(cell),
        )
        .with_columns(gap=pl.col("begins_at") > pl.col("reach"), last=pl.max_horizontal("starts_at", "furthest"))
        .with_columns(opens=pl.col("gap") & (pl.col("reach") < pl.col("stops_at")))
    )
    opening = walked.filter(pl.col("opens").any().over([*cell, "begins_at"]))
    lapsed = walked.filter((pl.col("last") < pl.col("stops_at")) & (pl.col("ends_at") == pl.col("furthest")))
    covered = (
        walked.filter(~pl.col("opens").any().over(cell) & (pl.col("last") >= pl.col("stops_at")))
        .group_by(cell)
        .agg(covered_until=pl.min_horizontal(pl.col("reach").filter("gap").min(), pl.col("furthest").first()))
    )
    return Coverage(opening, lapsed, needed.join(walked, on=cell, how="anti"), covered)
