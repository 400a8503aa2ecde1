"""A review, resumed by its reviewer: judge the answer, ask again where needed, carry out what is small."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.open_reviews import bundle_reviews
from tasks.park_reviews import park_reviews
from tasks.record_answer import ACTOR, record_answer
from tasks.resources import open_resources

SMALL_BYTES = 64 * 1024**2
"""Effects up to this size are carried out at once; larger ones are left to the sweep, so that this run stays short."""


# a run that is born suspended counts as run for the 0th time when it is resumed, so that `retries=0` allows one retry:
# Prefect asks whether the count is above the retries
@flow(name="decide-review", retries=-1, persist_result=False)
def decide_review() -> State[None]:
    """Record the reviewer's answer, open and park what follows from it, publish what was approved.

    What came of the answer is the message of the final state: the UI shows it to who answered.

    No retries: they would clear the keys of the suspension. What a crash leaves undone, the sweeps do.
    """
    resources = open_resources()
    run_id = str(runtime.flow_run.id)
    recorded = record_answer(resources, run_id)
    get_run_logger().info(recorded.words)
    if recorded.decided.approved:
        from tasks.carry_out_effects import carry_out

        carry_out(resources, ACTOR, run_id, version_ids=recorded.decided.approved, max_bytes=SMALL_BYTES)
    bundle_reviews(resources, ACTOR, run_id)
    park_reviews(resources, ACTOR, run_id)
    return Completed(message=recorded.words)
