"""Quantiles of lengths of which some are still growing, as SQL: the Kaplan–Meier estimate.

An item that has not ended is not left out, which would make everything look faster than it is; it counts as "at least
this long". With no open items the estimate is the plain quantile: the shortest length that a share p of the items do
not exceed. It is NULL while too few items have ended to know it. Source: Kaplan and Meier, J. Amer. Statist. Assoc. 53
(1958) 457–481.
"""

from __future__ import annotations

from typing import Final

QUANTILES: Final = (50, 85, 95, 99)
"""Percentages that every duration macro gives, as columns p50_s, …, in seconds."""

_ROUNDING: Final = "1e-9"  # the product of up to millions of factors is exact to about 1e-10


def quantile_query(observed: str, counts: str) -> str:
    """SQL that gives, per `name`, the `counts` (aggregates over the observed rows) and the quantiles in seconds.

    `observed` is a SELECT with at least name, length_us (BIGINT, up to the end or up to now) and ended (BOOLEAN).
    """
    columns = ",\n        ".join(
        f"min(length_us) FILTER (survival <= {1 - percent / 100:.2f} + {_ROUNDING}) / 1e6 AS p{percent}_s"
        for percent in QUANTILES
    )
    shown = ", ".join(f"p{percent}_s" for percent in QUANTILES)
    return f"""WITH observed AS ({observed}),
    at_risk AS (
        SELECT name, length_us, count(*) FILTER (ended) AS ends,
            (sum(count(*)) OVER (PARTITION BY name ORDER BY length_us DESC))::DOUBLE AS running
        FROM observed GROUP BY name, length_us),
    curve AS (
        SELECT name, length_us, product(1 - ends / running) OVER (PARTITION BY name ORDER BY length_us) AS survival
        FROM at_risk),
    quantiles AS (SELECT name, {columns} FROM curve GROUP BY name),
    counted AS (SELECT name, {counts} FROM observed GROUP BY name)
    SELECT counted.*, {shown} FROM counted JOIN quantiles ON counted.name IS NOT DISTINCT FROM quantiles.name
    ORDER BY counted.name"""  # noqa: S608 (assembled from this package's own text)
