"""Nightly: put away what the archive rules are due for."""

from __future__ import annotations

from prefect import flow, get_run_logger, runtime

from flows.steps import step
from tasks.apply_archive_rules import ACTOR, open_archive_effects, plan_archive
from tasks.carry_out_effects import carry_out
from tasks.resources import open_resources


@flow(name="apply-archive-policy", persist_result=False)
def apply_archive_policy() -> None:
    """Copy due versions to the archive, read them back, record it, and free the working copies."""
    resources, run_id = open_resources(), str(runtime.flow_run.id)
    due = step(plan_archive, "plan-archive")(resources)
    opened = step(open_archive_effects, "open-archive-effects")(resources, due, run_id)
    summary = step(carry_out, "carry-out-effects")(resources, ACTOR, run_id)
    logger = get_run_logger()
    logger.info("%d due, %d opened, done: %s", len(due), opened, dict(summary.done))
    waiting = [one for one in due if one.action == "dispose"]
    if waiting:
        logger.warning(
            "%d versions are due for disposal, which needs a plan that a second person approves", len(waiting)
        )
