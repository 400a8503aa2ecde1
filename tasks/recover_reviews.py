"""Find reviews whose run in Prefect was cancelled, failed, lost or got stuck: take up its answer, or ask again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.rounds import close_round, ended_runs, parked_before, parked_runs
from tasks.draw_review import LINK_VALID_S
from tasks.park_run import close_run, read_response
from tasks.prefect_api import RunState
from tasks.record_answer import record_answer
from tasks.resources import Resources

STUCK_AFTER: Final = timedelta(minutes=15)
"""A resumed run takes seconds. One that is not done by then lost its worker, and its answer is taken up without it."""

LINKS_RENEWED_AFTER: Final = timedelta(seconds=LINK_VALID_S) - timedelta(days=1)

_LEFTOVERS_FOR: Final = timedelta(days=1)
_PAGE: Final = 200


def recover_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> int:
    """See to it that every parked review waits for its reviewers; returns how many had lost their run or their links.

    An answer that a run did not live to record is recorded now, though its round may have ended. Without one the review
    is noted as `to park` in its next round, and so is one whose links to the originals are about to end. Runs of rounds
    that have ended, and still wait because Prefect was away then, are closed. One call to Prefect's API for 200 waiting
    reviews. Raises `PrefectAway` (transient).
    """
    with resources.ledger.reading() as connection:
        parked = parked_runs(connection)
        ended = ended_runs(connection, resources.clock.now() - _LEFTOVERS_FOR)
        fading = parked_before(connection, resources.clock.now() - LINKS_RENEWED_AFTER)
    states = _states(resources, [*parked, *ended])
    lost = 0
    for run_id, (review_id, round_number) in parked.items():
        state = states.get(run_id)
        if _left_an_answer(resources, state):
            record_answer(resources, run_id)
            lost += 1
            continue
        reason = _lost_because(state)
        if reason is None and run_id in fading and state is not None and state.is_parked:
            reason = "The links to the originals had grown old; these are new ones."
        if reason is None:
            continue
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            lost += close_round(tx, review_id, round_number, "replaced", reason) is not None
    for run_id in ended:
        if _left_an_answer(resources, states.get(run_id)) and read_response(resources.prefect, run_id) is not None:
            record_answer(resources, run_id)
    for run_id in [*ended, *fading]:
        if run_id in states and states[run_id].is_parked:
            close_run(resources.prefect, run_id, "This round has ended: nothing is left to decide in it.")
    return lost


def _states(resources: Resources, run_ids: Sequence[str]) -> dict[str, RunState]:
    found: dict[str, RunState] = {}
    for start in range(0, len(run_ids), _PAGE):
        page = run_ids[start : start + _PAGE]
        found.update({one.flow_run_id: one for one in resources.prefect.read_runs(page)})
    return found


def _left_an_answer(resources: Resources, state: RunState | None) -> bool:
    """Whether a run was resumed and will not record its answer any more. Who cancelled one did not mean it to count."""
    if state is None:
        return False
    if state.type in {"FAILED", "CRASHED"}:
        return read_response(resources.prefect, state.flow_run_id) is not None
    going_on = state.type in {"SCHEDULED", "PENDING", "RUNNING"}
    # Prefect's own instants follow the machine's clock, whatever the workflow's clock says
    return going_on and state.since is not None and datetime.now(UTC) - state.since > STUCK_AFTER


def _lost_because(state: RunState | None) -> str | None:
    """Why a round must be asked again, or None while its run waits or works."""
    if state is None:
        return "The run before was deleted in Prefect; nothing was decided in it."
    if state.is_lost:
        return f"The run before ended as {state.name} without a decision."
    if state.type == "COMPLETED":
        return "The run before was marked as completed without a decision."
    return None
