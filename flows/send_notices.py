"""Tell people what waits for them, by their own channels."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.errors import PermanentError, TransientError
from tasks.resources import open_resources
from tasks.send_notices import send_notices as send_what_waits
from tasks.tell_prefect import tell_prefect

ACTOR = "system:send_notices"


@flow(name="send-notices", persist_result=False)
def send_notices() -> None:
    """Send what is due in the outbox, one message a person or room; what does not go out is tried again later.

    What happened to reviews becomes events of Prefect, for automations; where that fails, the next run makes up for it.
    """
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    logger = get_run_logger()
    done = step(send_what_waits, "send-notices")(resources, ACTOR, run_id)
    for trouble in sorted(done.troubles):
        logger.warning("%s", trouble)
    logger.info(
        "%d messages with %d notices sent, %d not taken, %d given up, %d for people without a channel",
        done.messages,
        done.sent,
        done.failed,
        done.given_up,
        done.unreachable,
    )
    try:
        logger.info("%d events told to Prefect", step(tell_prefect, "tell-prefect")(resources))
    except (TransientError, PermanentError) as error:
        logger.warning("Prefect was not told what happened to reviews: %s", error)
