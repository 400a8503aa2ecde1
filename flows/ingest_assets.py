"""A scheduled batch: list what is new, screen it in shards, route it, park the reviews, publish what is approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefect import flow, get_run_logger, runtime

from flows.artifacts import publish_ingest_summary, publish_waiting_reviews
from flows.errors import ShardsFailed
from flows.shard_runner import run_shards
from flows.steps import step
from tasks.carry_out_effects import EffectsSummary, carry_out, has_open_effects
from tasks.import_grants import import_contracts
from tasks.list_intake import list_intake
from tasks.open_reviews import bundle_reviews
from tasks.park_reviews import ParkedReview, park_reviews
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
    forward = _Forward(resources, run_id)
    summaries, failures = run_shards(plan.shards, resources.settings.ingest, run_id, forward.take_what_is_ready)
    forward.take_everything()
    publish_ingest_summary(plan, summaries, forward.parked, forward.effects, contracts)
    publish_waiting_reviews(resources)
    if summaries or forward.effects.done:
        refresh_warehouse(resources)
    logger.info("%s", in_words(summaries, len(forward.parked), forward.effects.done.get("publish", 0)))
    if failures:
        raise ShardsFailed(failures)


class _Forward:
    """Takes screened versions on: to their reviewers, or into the library. While shards are screened, and after it."""

    def __init__(self, resources: Resources, run_id: str) -> None:
        self._resources, self._run_id = resources, run_id
        self._put_off = False
        self.parked: list[ParkedReview] = []
        self.effects = EffectsSummary()

    def take_what_is_ready(self) -> None:
        """Park the reviews that are full and publish what was approved, while other shards are still under way.

        Whatever goes wrong stops this, not the shards: `take_everything` meets it again, and raises it.
        """
        if self._put_off:
            return
        import tasks.refresh_metrics  # noqa: F401 (DuckDB: loaded while there is something else to wait for)

        try:
            if bundle_reviews(self._resources, ACTOR, self._run_id, only_full=True):
                self._park()
            if has_open_effects(self._resources):
                self._carry_out()
        except Exception:  # noqa: BLE001 (see above)
            get_run_logger().warning("put off until all shards are screened", exc_info=True)
            self._put_off = True

    def take_everything(self) -> None:
        """Open reviews for all that wait for people, park them, carry out every effect."""
        step(bundle_reviews, "open-reviews")(self._resources, ACTOR, self._run_id)
        try:
            self._park()
        finally:
            self._carry_out()

    def _park(self) -> None:
        self.parked += step(park_reviews, "park-reviews")(self._resources, ACTOR, self._run_id)

    def _carry_out(self) -> None:
        done = step(carry_out, "carry-out-effects")(self._resources, ACTOR, self._run_id)
        self.effects = self.effects.followed_by(done)


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
