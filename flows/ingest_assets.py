"""A scheduled batch: list what is new, screen it in shards, route it, park the reviews, publish what is approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefect import flow, get_run_logger, runtime

from flows.artifacts import publish_ingest_summary, publish_waiting_reviews
from flows.errors import ShardsFailed
from flows.shard_runner import run_shards
from flows.steps import step
from tasks.carry_out_effects import carry_out
from tasks.import_grants import import_contracts
from tasks.list_intake import list_intake
from tasks.open_reviews import bundle_reviews
from tasks.park_reviews import park_reviews
from tasks.resources import Resources, open_resources
from tasks.screen_shard import ACTOR, ShardSummary


@flow(name="ingest-assets", persist_result=False)
def ingest_assets() -> None:
    """Bring everything that is new in the source to where it has to wait for a person, or to publication.

    Run twice, it finds nothing to do the second time. A shard that fails for good fails the run at its end: the others
    are carried on first, and the next run takes the failed one up where it stopped. Raises `ShardsFailed`.
    """
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    logger = get_run_logger()
    contracts = step(import_contracts, "import-contracts")(resources, ACTOR, run_id)
    plan = step(list_intake, "list-intake")(resources)
    logger.info("%d objects listed, %d unchanged, %d shards", plan.listed, plan.unchanged, len(plan.shards))
    summaries, failures = run_shards(plan.shards, resources.settings.ingest, run_id)
    step(bundle_reviews, "open-reviews")(resources, ACTOR, run_id)
    parked = step(park_reviews, "park-reviews")(resources, ACTOR, run_id)
    effects = step(carry_out, "carry-out-effects")(resources, ACTOR, run_id)
    publish_ingest_summary(plan, summaries, parked, effects, contracts)
    publish_waiting_reviews(resources)
    if summaries or effects.done:
        refresh_warehouse(resources)
    logger.info("%s", in_words(summaries, len(parked), effects.done.get("publish", 0)))
    if failures:
        raise ShardsFailed(failures)


def refresh_warehouse(resources: Resources) -> None:
    """Let analysts see what this run did, without waiting for the hourly refresh."""
    from tasks.refresh_metrics import refresh_metrics_task  # DuckDB is only loaded by runs that changed something

    settings = resources.settings
    refresh_metrics_task(settings.database_url, settings.analytics_path, resources.clock.now())


def in_words(summaries: Sequence[ShardSummary], parked: int, published: int) -> str:
    """What a run did, in one line."""
    outcomes: Counter[str] = Counter()
    for one in summaries:
        outcomes.update(one.outcomes)
    return (
        f"{sum(one.submitted for one in summaries)} versions submitted: {outcomes['review']} to review, "
        f"{outcomes['automatic']} approved by rule, {outcomes['quarantine']} quarantined; "
        f"{parked} reviews parked, {published} published"
    )
