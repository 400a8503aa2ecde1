"""What a run leaves in the Prefect UI: a table of what happened, and the list of reviews that wait, with links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ledger.reader import waiting_reviews
from policies.shown_text import markdown_text
from tasks.carry_out_effects import EffectsSummary
from tasks.import_grants import ContractsRead
from tasks.list_intake import IntakePlan
from tasks.park_reviews import ParkedReview
from tasks.resources import Resources
from tasks.screen_shard import ShardSummary

SUMMARY_KEY = "ingest-summary"
WAITING_KEY = "waiting-reviews"


def publish_ingest_summary(
    plan: IntakePlan,
    summaries: Sequence[ShardSummary],
    parked: Sequence[ParkedReview],
    effects: EffectsSummary,
    contracts: ContractsRead,
) -> None:
    """Write one table artifact about the run."""
    outcomes: Counter[str] = Counter()
    for one in summaries:
        outcomes.update(one.outcomes)
    rows = [
        ("objects listed", plan.listed),
        ("unchanged", plan.unchanged),
        ("vanished before they were read", sum(one.vanished for one in summaries)),
        ("versions submitted", sum(one.submitted for one in summaries)),
        ("to review", outcomes["review"]),
        ("approved by rule", outcomes["automatic"]),
        ("quarantined", outcomes["quarantine"]),
        ("reviews parked", len(parked)),
        *((f"{kind} effects done", count) for kind, count in sorted(effects.done.items())),
        ("effects held back", len(effects.held)),
        ("grants changed", _changes(contracts)),
    ]
    create_table_artifact(
        key=SUMMARY_KEY,
        table=[{"what": what, "count": count} for what, count in rows],
        description="What the last ingest did.",
    )


def publish_waiting_reviews(resources: Resources) -> None:
    """Write one markdown artifact that lists every waiting review, the next due first, with its link: an inbox.

    One call to Prefect's API, however many reviews wait.
    """
    with resources.ledger.reading() as connection:
        rows = waiting_reviews(connection)
    lines = [
        f"| [review {row['review']}]({resources.prefect.run_url(row['flow_run_id'])}) | {markdown_text(row['stage'])} "
        f"| {markdown_text(row['collection'])} | {row['assets']} | {row['due_at']:%Y-%m-%d %H:%M} UTC |"
        for row in rows
        if row["flow_run_id"]
    ]
    head = ["| review | stage | collection | assets | due |", "|---|---|---|---:|---|"]
    text = "\n".join([*head, *lines]) if lines else "No review waits."
    create_markdown_artifact(key=WAITING_KEY, markdown=text, description=f"{len(lines)} reviews wait for people.")


def _changes(contracts: ContractsRead) -> int:
    change = contracts.change
    return 0 if change is None else len(change.added) + len(change.changed) + len(change.retired)
