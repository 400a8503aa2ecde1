"""The main numbers of the warehouse in one short table, for those who want no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analytics.warehouse import open_warehouse

_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))

_QUERY: Final = """
    SELECT 'lead time: submission to outcome' AS what, versions AS items, open, p50_s, p85_s, p95_s, 0 AS part
    FROM lead_time()
    UNION ALL
    SELECT 'publication time: submission to published', published, 0, p50_s, p85_s, p95_s, 1 FROM publication_time()
    UNION ALL
    SELECT 'cycle time: gate ' || name, gates, open, p50_s, p85_s, p95_s, 2 FROM cycle_time()
    UNION ALL
    SELECT 'time in state ' || name, stays, open, p50_s, p85_s, p95_s, 3 FROM state_time()
    WHERE name IN (SELECT state::VARCHAR FROM stays)
    ORDER BY part, what"""


@dataclass(frozen=True, slots=True)
class Headline:
    """One line: what was measured, of how many items, how many of them are open, and quantiles in seconds.

    A quantile is None while too few items have ended to know it.
    """

    what: str
    items: int
    open: int
    p50_s: float | None
    p85_s: float | None
    p95_s: float | None


def read_headlines(path: Path) -> list[Headline]:
    """Lead time, publication time, cycle time by stage and time in each state, from the warehouse at `path`."""
    with open_warehouse(path) as connection:
        return [Headline(*row[:6]) for row in connection.execute(_QUERY).fetchall()]


def read_as_of(path: Path) -> str:
    """The moment of the last refresh, ISO 8601 in UTC."""
    with open_warehouse(path) as connection:
        rows = connection.execute("SELECT strftime(refreshed_at, '%Y-%m-%dT%H:%M:%SZ') FROM refresh").fetchall()
    return str(rows[0][0])


def format_length(length_s: float | None) -> str:
    """A length for people, in the largest unit that it fills; None is not known yet.

    >>> [format_length(90061.0), format_length(5400.0), format_length(12.34), format_length(None)]
    ['1.0 d', '1.5 h', '12.3 s', 'not yet known']
    """
    if length_s is None:
        return "not yet known"
    for unit_s, name in _UNITS:
        if length_s >= unit_s:
            return f"{length_s / unit_s:.1f} {name}"
    return f"{length_s:.1f} s"
