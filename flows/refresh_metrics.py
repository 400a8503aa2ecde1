"""Refresh the analysts' warehouse and show its main numbers in Prefect."""

from __future__ import annotations

from typing import Final

from prefect import flow
from prefect.artifacts import create_table_artifact

from analytics.headlines import Headline, format_length, read_as_of, read_headlines
from tasks.refresh_metrics import MetricsRefreshed, refresh_metrics_task
from tasks.settings import load_settings

ARTIFACT_KEY: Final = "signoff-metrics"
"""Key of the table artifact; each refresh adds a version of it."""


@flow
def refresh_metrics() -> MetricsRefreshed:
    """Bring `analytics.duckdb` up to what the ledger holds, and publish the main numbers as a table artifact.

    Run twice, the second run adds no event and changes no number but the ages of what is open.
    """
    settings = load_settings()
    refreshed = refresh_metrics_task(settings.database_url, settings.analytics_path, settings.make_clock().now())
    create_table_artifact(
        key=ARTIFACT_KEY,
        table=[artifact_row(headline) for headline in read_headlines(settings.analytics_path)],
        description=f"As of {read_as_of(settings.analytics_path)}, event {refreshed.watermark_seq}. Open items count.",
    )
    return refreshed


def artifact_row(headline: Headline) -> dict[str, str | int]:
    """One line of the artifact.

    >>> artifact_row(Headline("cycle time: gate brand", 3, 1, 3600.0, None, None))["p50"]
    '1.0 h'
    """
    return {
        "what": headline.what,
        "items": headline.items,
        "open": headline.open,
        "p50": format_length(headline.p50_s),
        "p85": format_length(headline.p85_s),
        "p95": format_length(headline.p95_s),
    }
