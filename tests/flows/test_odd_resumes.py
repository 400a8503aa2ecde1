"""Runs that go on without a valid answer decide nothing; reviews that lost their run are asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.park_run import DESCRIPTION, resume_run
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY = "text/slogan.txt"


@pytest.fixture
def waiting(workplace: Workplace) -> dict[str, Any]:
    """The review of one asset, as it waits."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.ingest()
    (row,) = workplace.reviews()
    return row


def force_schedule(workplace: Workplace, run_id: str) -> None:
    """What a person with the API, an automation or `prefect flow-run resume` could do."""
    state = {"type": "SCHEDULED", "name": "Resuming"}
    workplace.stack.api.call("POST", f"flow_runs/{run_id}/set_state", {"state": state, "force": True})


def test_a_run_that_goes_on_without_an_answer_decides_nothing(workplace: Workplace, waiting: dict[str, Any]) -> None:
    """No input, or scheduled by force: parked again, with the reason on top of the form and in the audit trail."""
    answer = workplace.stack.api.resume(waiting["flow_run_id"], {})
    assert not answer.accepted
    run = workplace.stack.api.read_run(waiting["flow_run_id"])
    assert run is not None
    assert run.is_parked
    force_schedule(workplace, waiting["flow_run_id"])
    workplace.go_on(waiting["flow_run_id"])
    assert workplace.states() == {KEY: "in_review"}
    assert workplace.story(KEY)["decisions"] == []
    (again,) = workplace.reviews()
    assert (again["review"], again["round"], again["status"]) == (waiting["review"], 2, "parked")
    assert again["flow_run_id"] != waiting["flow_run_id"]
    shown = workplace.stack.api.read_input(again["flow_run_id"], DESCRIPTION)
    assert "The last answer was not accepted" in (shown or "")
    assert workplace.rows("SELECT actor, action, flow_run_id FROM events WHERE action = 'refuse_answer'") == [
        ("system:decide_review", "refuse_answer", waiting["flow_run_id"])
    ]


def test_an_old_round_that_is_run_again_decides_nothing(workplace: Workplace, waiting: dict[str, Any]) -> None:
    """The run of a round that was answered is scheduled once more: it finds its round closed, which is audited."""
    workplace.decide(waiting)
    before = workplace.story(KEY)["decisions"]
    force_schedule(workplace, waiting["flow_run_id"])
    workplace.go_on(waiting["flow_run_id"])
    assert workplace.story(KEY)["decisions"] == before
    assert workplace.reviews() == []
    assert workplace.rows("SELECT count(*) FROM events WHERE action = 'refuse_answer'") == [(1,)]


def _cancel(workplace: Workplace, run_id: str) -> None:
    assert workplace.stack.api.set_state(run_id, {"type": "CANCELLED"}).accepted


def _delete(workplace: Workplace, run_id: str) -> None:
    workplace.stack.api.call("DELETE", f"flow_runs/{run_id}")


@pytest.mark.parametrize("lose", [_cancel, _delete])
def test_a_review_that_lost_its_run_is_parked_again(
    workplace: Workplace, waiting: dict[str, Any], lose: Callable[[Workplace, str], None]
) -> None:
    """Cancelled or deleted in Prefect: the sweep asks again in a new run that says why; that can be answered."""
    lose(workplace, waiting["flow_run_id"])
    workplace.enforce()
    (again,) = workplace.reviews()
    assert (again["review"], again["round"], again["status"]) == (waiting["review"], 2, "parked")
    shown = workplace.stack.api.read_input(again["flow_run_id"], DESCRIPTION)
    assert "The run before" in (shown or "")
    workplace.enforce()
    assert workplace.reviews() == [again]
    workplace.decide(again)
    assert workplace.states() == {KEY: "published"}


def test_a_run_that_fails_is_not_tried_again(
    workplace: Workplace, waiting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as failed at once, and does not wait for a retry that would lose its form; the sweep takes its answer."""
    tried, run_id = [], waiting["flow_run_id"]

    def fail(_: object, run: str) -> object:
        tried.append(run)
        raise RuntimeError("the worker's disk is full")

    answer = {"decision": "approve", "reviewer": reviewers_of(workplace.form(waiting))[0]}
    assert resume_run(workplace.stack.api, run_id, answer).accepted
    with monkeypatch.context() as patched:
        patched.setattr("flows.decide_review.record_answer", fail)
        with pytest.raises(RuntimeError, match="disk is full"):
            workplace.go_on(run_id)
    assert tried == [run_id]
    failed = workplace.stack.api.read_run(run_id)
    assert failed is not None
    assert (failed.type, failed.name) == ("FAILED", "Failed")
    workplace.enforce()
    assert workplace.reviews() == []
    workplace.sweep()
    assert workplace.states() == {KEY: "published"}
