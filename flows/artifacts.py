"""What a run leaves in the Prefect UI: a table of what happened, and a link to each review that waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefect.artifacts import create_link_artifact, create_table_artifact

from tasks.carry_out_effects import EffectsSummary
from tasks.import_grants import ContractsRead
from tasks.list_intake import IntakePlan
from tasks.park_reviews import ParkedReview
from tasks.screen_shard import ShardSummary


def publish_ingest_summary(
    plan: IntakePlan,
    summaries: Sequence[ShardSummary],
    parked: Sequence[ParkedReview],
    effects: EffectsSummary,
    contracts: ContractsRead,
) -> None:
    """Write one table about the run and one link for each review that it parked."""
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
        key="ingest-summary",
        table=[{"what": what, "count": count} for what, count in rows],
        description="What the last ingest did.",
    )
    for review in parked:
        create_link_artifact(
            key=f"review-{review.review_id}",
            link=review.url,
            link_text=f"Review {review.review_id}: {review.stage}, {review.collection}, {review.assets} assets",
            description=f"Due {review.due_at:%Y-%m-%d %H:%M} UTC.",
        )


def _changes(contracts: ContractsRead) -> int:
    change = contracts.change
    return 0 if change is None else len(change.added) + len(change.changed) + len(change.retired)
