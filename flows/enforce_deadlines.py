"""A sweep over everything that waits for people: deadlines are kept, and what lost its run or people is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.errors import PinnedPolicyRefused
from tasks.fire_rungs import RungsFired, fire_rungs
from tasks.follow_absences import follow_absences
from tasks.follow_roster import RosterFollowed, follow_roster
from tasks.open_reviews import bundle_reviews, left_behind
from tasks.park_reviews import ParkedReview, park_reviews
from tasks.recover_reviews import recover_reviews
from tasks.resources import Resources, open_resources
from tasks.retries import TRANSIENT
from tasks.tag_runs import tag_runs

ACTOR = "system:enforce_deadlines"

R = TypeVar("R")


@flow(name="enforce-deadlines", persist_result=False)
def enforce_deadlines() -> None:
    """Remind, ask more people, end what nobody decided in time; park again every review that has no waiting run.

    Answers that wait to be recorded come first: a deadline is kept only where nobody has answered. What fails for good
    stops nothing else, and no other review's deadline: it is raised at the end, when all others are done. So is a
    version that is pinned to a policy that is refused today (`PinnedPolicyRefused`).
    """
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    logger = get_run_logger()
    failed: list[Exception] = []

    def sweep(function: Callable[[Resources, str, str], R], name: str, otherwise: R) -> R:
        try:
            return step(function, name)(resources, ACTOR, run_id)
        except Exception as error:  # raised at the end
            if isinstance(error, TRANSIENT):
                raise
            logger.exception("%s failed, the rest goes on", name)
            failed.append(error)
            return otherwise

    followed = sweep(follow_roster, "follow-roster", RosterFollowed(0, ()))
    for stage, key in followed.short:
        logger.warning("%s: too few people may decide at stage %s; add some to its group in the roster", key, stage)
    absent = sweep(follow_absences, "follow-absences", 0)
    lost = sweep(recover_reviews, "recover-reviews", 0)
    fired = sweep(fire_rungs, "fire-rungs", RungsFired(0, 0, 0))
    opened = sweep(bundle_reviews, "open-reviews", list[int]())
    refused = tuple({**dict(fired.refused), **dict(left_behind(resources))}.items())
    for sha256, reason in refused:
        logger.error("policy %s is refused today; what is pinned to it was left as it is: %s", sha256[:12], reason)
    parked = sweep(park_reviews, "park-reviews", list[ParkedReview]())
    step(tag_runs, "tag-runs")(resources)
    logger.info("%d reminded, %d put before more people, %d ended", fired.reminded, fired.escalated, fired.ended)
    logger.info("%d gates followed who is away", absent)
    logger.info("%d reviews had lost their run, %d opened, %d parked", lost, len(opened), len(parked))
    if refused:
        raise PinnedPolicyRefused(refused) from next(iter(failed), None)
    if failed:
        raise failed[0]
