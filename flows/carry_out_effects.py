"""A sweep: carry out whatever was decided and is still open, large objects too."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.carry_out_effects import carry_out
from tasks.resources import open_resources

ACTOR = "system:carry_out_effects"


@flow(name="carry-out-effects", persist_result=False)
def carry_out_effects() -> None:
    """Publish, withdraw and archive what is open. What is held back says why, and is looked at again next time."""
    summary = step(carry_out, "carry-out-effects")(open_resources(), ACTOR, str(runtime.flow_run.id))
    logger = get_run_logger()
    logger.info("done: %s", dict(summary.done) or "nothing was open")
    for key, reason in summary.held.items():
        logger.warning("%s: %s", key, reason)
