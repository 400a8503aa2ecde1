"""A sweep over everything that waits for people: whatever lost its run, or its people, is asked again."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.follow_roster import follow_roster
from tasks.open_reviews import bundle_reviews
from tasks.park_reviews import park_reviews
from tasks.recover_reviews import recover_reviews
from tasks.resources import open_resources

ACTOR = "system:enforce_deadlines"


@flow(name="enforce-deadlines", persist_result=False)
def enforce_deadlines() -> None:
    """Park again every review that no longer has a waiting run, and those that a crash left unparked."""
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    logger = get_run_logger()
    followed = step(follow_roster, "follow-roster")(resources, ACTOR, run_id)
    for stage, key in followed.short:
        logger.warning("%s: too few people may decide at stage %s; add some to its group in the roster", key, stage)
    lost = step(recover_reviews, "recover-reviews")(resources, ACTOR, run_id)
    opened = step(bundle_reviews, "open-reviews")(resources, ACTOR, run_id)
    parked = step(park_reviews, "park-reviews")(resources, ACTOR, run_id)
    logger.info("%d reviews had lost their run, %d opened, %d parked", lost, len(opened), len(parked))
