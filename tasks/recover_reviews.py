"""Find reviews whose run in Prefect was cancelled, failed or lost, and note them to be parked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.reviews import close_round, parked_runs
from tasks.prefect_api import RunState
from tasks.resources import Resources

_PAGE: Final = 200


def recover_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> int:
    """Note every review whose run no longer waits or works as `to park` in its next round; returns how many.

    One call to Prefect's API for 200 waiting reviews. Raises `PrefectAway` (transient).
    """
    with resources.ledger.reading() as connection:
        parked = parked_runs(connection)
    states = _states(resources, list(parked))
    lost = 0
    for run_id, (review_id, round_number) in parked.items():
        state = states.get(run_id)
        reason = _lost_because(state)
        if reason is None:
            continue
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            lost += close_round(tx, review_id, round_number, "replaced", reason) is not None
    return lost


def _states(resources: Resources, run_ids: Sequence[str]) -> dict[str, RunState]:
    found: dict[str, RunState] = {}
    for start in range(0, len(run_ids), _PAGE):
        page = run_ids[start : start + _PAGE]
        found.update({one.flow_run_id: one for one in resources.prefect.read_runs(page)})
    return found


def _lost_because(state: RunState | None) -> str | None:
    """Why a round must be asked again, or None while its run waits or works."""
    if state is None:
        return "The run before was deleted in Prefect; nothing was decided in it."
    if state.is_lost:
        return f"The run before ended as {state.name} without a decision."
    if state.type == "COMPLETED":
        return "The run before was marked as completed without a decision."
    return None
