"""Find reviews whose run in Prefect was cancelled, failed, lost or got stuck: take up its answer, or ask again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.decide import note_lost_run
from ledger.rounds import close_round, ended_runs, is_waiting, parked_before, parked_runs
from tasks.draw_review import LINK_VALID_S
from tasks.errors import PrefectAway
from tasks.park_reviews import DEPLOYMENT
from tasks.park_run import KEYSET, close_run, read_response
from tasks.prefect_api import NO_STATE, RunState
from tasks.record_answer import record_answer
from tasks.resources import Resources

STUCK_AFTER: Final = timedelta(minutes=15)
"""A resumed run takes seconds. One that is not done by then lost its worker, and its answer is taken up without it."""

LINKS_RENEWED_AFTER: Final = timedelta(seconds=LINK_VALID_S) - timedelta(days=1)

_ENDS: Final = {
    "CANCELLED": "was cancelled in Prefect",
    "CANCELLING": "was cancelled in Prefect",
    "CRASHED": "crashed without an answer",
    "FAILED": "failed without an answer",
    "COMPLETED": "was marked as completed without an answer",
    NO_STATE: "never got a state",
}
"""What is said of a run that ended; the name of its state is anybody's words."""

_CUT_OFF: Final = "had lost its deployment in Prefect"
_NEW_LINKS: Final = "The links to the originals had grown old; these are new ones."
_LEFTOVERS_FOR: Final = timedelta(days=1)
_PAGE: Final = 200


def recover_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> int:
    """See to it that every parked review waits for its reviewers; returns how many had lost their run or their links.

    An answer that a run did not live to record is recorded now, though its round may have ended. Without one the review
    is noted as `to park` in its next round, and so is one whose links to the originals are about to end: with Prefect's
    whole database lost, every waiting review is. Runs of rounds that have ended, and still wait because Prefect was
    away then, are closed. One call to Prefect's API for 200 waiting reviews, and one more. What keeps one review from
    being looked at stops no other: it is raised at the end. Raises `PrefectAway` (transient).
    """
    with resources.ledger.reading() as connection:
        parked = parked_runs(connection)
        ended = ended_runs(connection, resources.clock.now() - _LEFTOVERS_FOR)
        fading = parked_before(connection, resources.clock.now() - LINKS_RENEWED_AFTER)
    states = _states(resources, [*parked, *ended])
    cut_off = _cut_off(resources, [states[one] for one in parked if one in states])
    lost, errors = 0, list[Exception]()
    for run_id, this_round in parked.items():
        try:
            state, reason = states.get(run_id), _CUT_OFF if run_id in cut_off else None
            lost += _recover(resources, run_id, this_round, state, run_id in fading, reason, actor, flow_run_id)
        except PrefectAway:
            raise
        except Exception as error:  # noqa: BLE001 — raised when the other reviews were looked at
            error.add_note(f"while review {this_round[0]} was looked at")
            errors.append(error)
    for run_id in ended:
        if _left_an_answer(resources, states.get(run_id)) and read_response(resources.prefect, run_id) is not None:
            record_answer(resources, run_id)
    for run_id in [*ended, *fading, *cut_off, *(one for one in parked if _is_strange(states.get(one)))]:
        if run_id in states and states[run_id].is_parked:
            close_run(resources.prefect, run_id, "This round has ended: nothing is left to decide in it.")
    if errors:
        raise errors[0]
    return lost


def _recover(
    resources: Resources,
    run_id: str,
    this_round: tuple[int, int],
    state: RunState | None,
    fades: bool,
    reason: str | None,
    actor: str,
    flow_run_id: str | None,
) -> bool:
    """Take up the answer of one parked round, or end the round and note the next; False if it just waits or works."""
    if _left_an_answer(resources, state):
        record_answer(resources, run_id)
        return True
    became = _lost_because(state) or reason
    if became is None and not (fades and state is not None and state.is_parked):
        return False
    words = f"The run before {became}; nothing was decided in it." if became else _NEW_LINKS
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        if became is not None and is_waiting(tx.connection, *this_round):
            note_lost_run(tx, *this_round, run_id, became)
        return close_round(tx, *this_round, "replaced", words) is not None


def _states(resources: Resources, run_ids: Sequence[str]) -> dict[str, RunState]:
    found: dict[str, RunState] = {}
    for start in range(0, len(run_ids), _PAGE):
        page = run_ids[start : start + _PAGE]
        found.update({one.flow_run_id: one for one in resources.prefect.read_runs(page)})
    return found


def _cut_off(resources: Resources, states: Sequence[RunState]) -> frozenset[str]:
    """Runs that wait and were made from a deployment that was deleted: no worker could run them when they are answered.

    While there is none in its place they are left as they are, for nothing could be parked instead; what is answered
    in them all the same is taken up like the answers of workers that died.
    """
    waiting = [one for one in states if one.is_parked]
    present = resources.prefect.find(f"deployments/name/{DEPLOYMENT}") if waiting else None
    if present is None:
        return frozenset()
    return frozenset(one.flow_run_id for one in waiting if one.deployment_id != str(present["id"]))


def _left_an_answer(resources: Resources, state: RunState | None) -> bool:
    """Whether a run was resumed and will not record its answer any more. Who cancelled one did not mean it to count."""
    if state is None:
        return False
    if state.type in {"FAILED", "CRASHED", "COMPLETED"}:
        return read_response(resources.prefect, state.flow_run_id) is not None
    going_on = state.type in {"SCHEDULED", "PENDING", "RUNNING"}
    # Prefect's own instants follow the machine's clock, whatever the workflow's clock says
    return going_on and state.since is not None and datetime.now(UTC) - state.since > STUCK_AFTER


def _lost_because(state: RunState | None) -> str | None:
    """What became of a run that can bring no answer any more, or None while it waits or works."""
    if state is None:
        return "was deleted in Prefect"
    if _is_strange(state):
        return "was suspended anew by somebody else"
    return _ENDS.get(state.type)


def _is_strange(state: RunState | None) -> bool:
    """Whether a run waits for other inputs than the form that it was given."""
    return state is not None and state.is_parked and state.inputs != KEYSET
