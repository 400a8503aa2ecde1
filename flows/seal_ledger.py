"""A sweep: sign where the audit trail leads to and put the seal away, when anything has happened since the last one."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.resources import open_resources
from tasks.seal_ledger import seal_ledger as seal

ACTOR = "system:seal_ledger"


@flow(name="seal-ledger", persist_result=False)
def seal_ledger() -> None:
    """Seal what has happened. It fails where the audit trail is not the one that was sealed before."""
    done = step(seal, "seal-ledger")(open_resources(), ACTOR, str(runtime.flow_run.id))
    logger = get_run_logger()
    if done.caught_up:
        logger.info("recorded %s seals that an earlier run had put away", done.caught_up)
    if done.seal is None or not done.is_new:
        logger.info("nothing has happened since the last seal")
    else:
        logger.info("seal %s: %s events, up to event %s", done.seal.number, done.events, done.seal.seq)
