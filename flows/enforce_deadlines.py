"""A sweep over everything that waits for people: deadlines are kept, and what lost its run or people is asked again."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.errors import PinnedPolicyRefused
from tasks.fire_rungs import fire_rungs
from tasks.follow_absences import follow_absences
from tasks.follow_roster import follow_roster
from tasks.open_reviews import bundle_reviews, left_behind
from tasks.park_reviews import park_reviews
from tasks.recover_reviews import recover_reviews
from tasks.resources import open_resources
from tasks.tag_runs import tag_runs

ACTOR = "system:enforce_deadlines"


@flow(name="enforce-deadlines", persist_result=False)
def enforce_deadlines() -> None:
    """Remind, ask more people, end what nobody decided in time; park again every review that has no waiting run.

    Answers that wait to be recorded come first: a deadline is kept only where nobody has answered. Fails at the end,
    when all others are done, where a version is pinned to a policy that is refused today (`PinnedPolicyRefused`).
    """
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    logger = get_run_logger()
    followed = step(follow_roster, "follow-roster")(resources, ACTOR, run_id)
    for stage, key in followed.short:
        logger.warning("%s: too few people may decide at stage %s; add some to its group in the roster", key, stage)
    absent = step(follow_absences, "follow-absences")(resources, ACTOR, run_id)
    lost = step(recover_reviews, "recover-reviews")(resources, ACTOR, run_id)
    fired = step(fire_rungs, "fire-rungs")(resources, ACTOR, run_id)
    opened = step(bundle_reviews, "open-reviews")(resources, ACTOR, run_id)
    refused = tuple({**dict(fired.refused), **dict(left_behind(resources))}.items())
    for sha256, reason in refused:
        logger.error("policy %s is refused today; what is pinned to it was left as it is: %s", sha256[:12], reason)
    parked = step(park_reviews, "park-reviews")(resources, ACTOR, run_id)
    step(tag_runs, "tag-runs")(resources)
    logger.info("%d reminded, %d put before more people, %d ended", fired.reminded, fired.escalated, fired.ended)
    logger.info("%d gates followed who is away", absent)
    logger.info("%d reviews had lost their run, %d opened, %d parked", lost, len(opened), len(parked))
    if refused:
        raise PinnedPolicyRefused(refused)
