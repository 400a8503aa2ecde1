"""No answer is lost and no review stalls: runs that died, got stuck, were answered early or were left waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tasks.errors import PrefectAway
from tasks.park_run import RESPONSE, SCHEMA, resume_run
from tests.workplace import MakeWorkplace, Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY = "text/one.txt"
WORDS = "Plain words, long enough to be taken for text."


def resume(workplace: Workplace, row: dict[str, Any], **answer: str) -> None:
    """Fill the form as its first person, and let nobody run what follows."""
    said = {"decision": "approve", "reviewer": reviewers_of(workplace.form(row))[0]} | answer
    assert resume_run(workplace.stack.api, row["flow_run_id"], said).accepted


def test_an_answer_that_a_run_did_not_live_to_record_counts(workplace: Workplace) -> None:
    """Crashed after the resume: the sweep records what the reviewer said, and nobody is asked again."""
    workplace.put(KEY, WORDS)
    workplace.ingest()
    (row,) = workplace.reviews()
    resume(workplace, row)
    crashed = {"state": {"type": "CRASHED", "message": "the machine went away"}, "force": True}
    workplace.stack.api.post(f"flow_runs/{row['flow_run_id']}/set_state", crashed)
    workplace.enforce()
    assert workplace.states() == {KEY: "approved"}
    assert workplace.reviews() == []
    assert workplace.stack.api.read_input(row["flow_run_id"], RESPONSE) is None


def test_an_answer_that_no_worker_takes_up_counts(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed, and still scheduled long after; a worker that comes late finds it decided and deletes nothing."""
    workplace.put(KEY, WORDS)
    workplace.ingest()
    (row,) = workplace.reviews()
    resume(workplace, row)
    workplace.enforce()
    assert workplace.states() == {KEY: "in_review"}  # its worker may be on the way
    monkeypatch.setattr("tasks.recover_reviews.STUCK_AFTER", timedelta(0))
    workplace.enforce()
    assert workplace.states() == {KEY: "approved"}
    workplace.go_on(row["flow_run_id"])
    assert workplace.rows("SELECT verdict, counted FROM decisions") == [("approve", True)]


def test_an_answer_given_before_the_round_was_marked_counts(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parking died after it had written the form; the reviewer was faster than the next sweep."""
    workplace.put(KEY, WORDS)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.park_reviews.mark_parked", _prefect_is_away)
        patched.setattr("flows.steps.RETRY_DELAYS_S", [])
        with pytest.raises(PrefectAway):
            workplace.ingest()
    (row,) = workplace.reviews()
    assert (row["status"], row["flow_run_id"]) == ("to_park", None)
    waiting = {"flow_runs": {"name": {"like_": f"review {row['review']} "}, "state": {"type": {"any_": ["PAUSED"]}}}}
    runs = workplace.stack.api.post("flow_runs/filter", waiting | {"sort": "START_TIME_DESC", "limit": 200})
    mine = [run["id"] for run in runs if KEY.rpartition("/")[2] in str(workplace.form({"flow_run_id": run["id"]}))]
    resume(workplace, {"flow_run_id": mine[0]})
    workplace.go_on(mine[0])
    assert workplace.library() == {KEY: workplace.put(KEY, WORDS)}
    assert workplace.reviews() == []


def test_a_run_that_was_left_waiting_is_closed(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect went away while an emptied review was closed: the run is closed by the next sweep."""
    workplace.put(KEY, WORDS)
    workplace.ingest()
    (row,) = workplace.reviews()
    workplace.put(KEY, f"{WORDS} Only better.")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.park_reviews.close_run", _prefect_is_away)
        patched.setattr("flows.steps.RETRY_DELAYS_S", [])
        with pytest.raises(PrefectAway):
            workplace.ingest()
    run = workplace.stack.api.read_run(row["flow_run_id"])
    assert run is not None
    assert run.is_parked
    workplace.enforce()
    run = workplace.stack.api.read_run(row["flow_run_id"])
    assert run is not None
    assert run.type == "CANCELLED"
    assert workplace.stack.api.read_input(row["flow_run_id"], SCHEMA) is None


def test_links_are_renewed_before_they_end(make_workplace: MakeWorkplace) -> None:
    """A review that waits for a week gets a new round with new links and the same due time, once."""
    workplace = make_workplace(editor_deadline="{within: 3 weeks, finally: reject}")
    workplace.put(KEY, WORDS)
    workplace.ingest()
    (row,) = workplace.reviews()
    workplace.enforce(CLOCK="+5d")
    assert [one["round"] for one in workplace.reviews()] == [1]
    for _ in range(2):
        workplace.enforce(CLOCK="+6.5d")
        (again,) = workplace.reviews()
        assert (again["round"], again["status"], again["due_at"]) == (2, "parked", row["due_at"])
    run = workplace.stack.api.read_run(row["flow_run_id"])
    assert run is not None
    assert run.type == "CANCELLED"
    assert link_to_the_next(workplace, row) == again["url"]


def test_what_a_strange_answer_quotes_stays_out_of_the_audit_trail(workplace: Workplace) -> None:
    """The refusal names the people that the form offers: for the next form, not for the chain, which keeps it."""
    workplace.put(KEY, WORDS)
    workplace.ingest()
    (row,) = workplace.reviews()
    workplace.stack.api.write_input(row["flow_run_id"], RESPONSE, '{"decision": "approve", "reviewer": "Mallory"}')
    forced = {"state": {"type": "SCHEDULED"}, "force": True}
    workplace.stack.api.post(f"flow_runs/{row['flow_run_id']}/set_state", forced)
    workplace.go_on(row["flow_run_id"])
    assert workplace.rows("SELECT reason FROM events WHERE action = 'refuse_answer'") == [("not acceptable: reviewer",)]
    (again,) = workplace.reviews()
    assert again["round"] == 2
    assert link_to_the_next(workplace, row) == again["url"]
    run = workplace.stack.api.read_run(row["flow_run_id"])
    assert run is not None
    assert (run.type, run.message) == (
        "COMPLETED",
        "The last answer was not accepted: reviewer is nobody of this form: choose yourself from the list of the form.",
    )


def link_to_the_next(workplace: Workplace, row: dict[str, Any]) -> str:
    """Where the artifact of a run that is over leads."""
    of_run = {"artifacts": {"flow_run_id": {"any_": [row["flow_run_id"]]}}}
    (artifact,) = workplace.stack.api.post("artifacts/filter", of_run)
    assert artifact["data"].startswith(f"Review {row['review']} is asked again, in round {row['round'] + 1}: [open it")
    return str(artifact["data"]).partition("(<")[2].partition(">)")[0]


def _prefect_is_away(*_arguments: Any, **_options: Any) -> Any:
    raise PrefectAway("the server is away")
