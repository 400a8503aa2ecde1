"""Parked reviews on a real Prefect server: exactly once, complete, answered through one door, closed without trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from policies.review_form import (
    Answer,
    Decision,
    GateDecision,
    Reviewer,
    ReviewItem,
    ReviewSheet,
    form_description,
    form_schema,
    read_answer,
)
from tasks.errors import PrefectRefused, ReviewRunLost
from tasks.park_run import Form, ParkedRun, close_run, delete_inputs, park_run, park_runs, read_response, resume_run
from tasks.prefect_api import PrefectApi, RunState, StateChange

if TYPE_CHECKING:
    from tests.conftest import PrefectServer

pytestmark = pytest.mark.stack

ITEM = ReviewItem(
    1, 41, "spring/hero.jpg", 1, "image", "image/jpeg", 9, "other", 0.5, 0.1, None, "cleared", (), None, "b1"
)
OTHER = ReviewItem(
    2, 42, "spring/side.jpg", 1, "image", "image/jpeg", 9, "other", 0.5, 0.1, None, "cleared", (), None, "b2"
)
LEA = Reviewer(7, "lea", "Lea Brandt")
SHEET = ReviewSheet(5, 1, "brand", "spring", "signoff", None, None, None, (LEA,), (ITEM, OTHER), b"\xff\xd8 picture")
SCHEMA, DESCRIPTION = form_schema(SHEET), form_description(SHEET)
APPROVAL = {"decision": "approve", "reviewer": LEA.choice}


class Crash(Exception):
    """Stands for the end of the process: nothing catches it."""


class CrashAt(httpx.BaseTransport):
    """A real transport that ends with `crash` before or after it has sent request number `request`."""

    def __init__(self, request: int, when: str, crash: Callable[[], Exception] = Crash) -> None:
        self._real, self._at, self._when, self._crash, self._sent = httpx.HTTPTransport(), request, when, crash, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, unless the process ends first."""
        self._sent += 1
        if self._sent == self._at and self._when == "before":
            raise self._crash()
        response = self._real.handle_request(request)
        if self._sent == self._at:
            response.read()
            raise self._crash()
        return response


def park(api: PrefectApi, deployment: str, key: str, **changed: Any) -> ParkedRun:
    """Park the sample review under `key`."""
    arguments = {"schema": SCHEMA, "description": DESCRIPTION} | changed
    return park_run(api, deployment, Form(key, SHEET.title, ["review"], **arguments))


@pytest.fixture
def key() -> str:
    """An idempotency key of its own for each test."""
    return f"review-{uuid4()}"


def runs_of(api: PrefectApi, key: str) -> list[dict[str, Any]]:
    """Every flow run that the server holds under an idempotency key."""
    found = api.post("flow_runs/filter", {"flow_runs": {"idempotency_key": {"any_": [key]}}})
    return list(found)


def history(api: PrefectApi, flow_run_id: str) -> list[str]:
    """The names of all states that a run ever had, oldest first."""
    states = api.call("GET", f"flow_run_states/?flow_run_id={flow_run_id}").json()
    return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]


def inputs_of(api: PrefectApi, flow_run_id: str) -> dict[str, Any]:
    """All inputs of a run."""
    found = api.post(f"flow_runs/{flow_run_id}/input/filter", {"prefix": "", "limit": 50})
    return {row["key"]: json.loads(row["value"]) for row in found}


def offered_to_workers(api: PrefectApi) -> set[str]:
    """The runs that a worker of the test's pool would take now."""
    offered = api.post("work_pools/unserved/get_scheduled_flow_runs", {})
    return {row["flow_run"]["id"] for row in offered}


def test_a_worker_is_offered_a_review_only_once_it_is_answered(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """A parked run needs no process: workers see it after the resume, not before."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    assert run not in offered_to_workers(prefect_api)
    resume_run(prefect_api, run, APPROVAL)
    assert run in offered_to_workers(prefect_api)


def test_a_review_is_parked_in_three_calls(prefect_server: PrefectServer, review_deployment: str, key: str) -> None:
    """Parking takes a run and two inputs, and leaves one suspended run that never ran."""
    calls: list[str] = []
    with PrefectApi(prefect_server.api_url, on_call=lambda method, path: calls.append(f"{method} {path}")) as api:
        deployment = api.deployment_id(review_deployment)
        calls.clear()
        parked = park(api, deployment, key)
        run = parked.flow_run_id
        assert calls == [f"POST deployments/{deployment}/create_flow_run"] + [f"POST flow_runs/{run}/input"] * 2
        assert parked == ParkedRun(run, f"{prefect_server.ui_url}/v2/runs/flow-run/{run}", True, SCHEMA)
        assert api.read_run(run) == RunState(run, "PAUSED", "Suspended")
        assert inputs_of(api, run) == {"schema": SCHEMA, "description": DESCRIPTION}
        (stored,) = runs_of(api, key)
        assert (stored["name"], stored["tags"], stored["run_count"]) == (SHEET.title, ["review"], 0)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_a_crash_anywhere_leaves_nothing_that_parking_again_does_not_complete(
    prefect_server: PrefectServer,
    review_deployment: str,
    prefect_api: PrefectApi,
    key: str,
    request_number: int,
    when: str,
) -> None:
    """Wherever the process ends, the second attempt finds the same run, which was suspended once, and completes it."""
    deployment = prefect_api.deployment_id(review_deployment)
    with PrefectApi(prefect_server.api_url, transport=CrashAt(request_number, when)) as api, pytest.raises(Crash):
        park(api, deployment, key)
    parked = park(prefect_api, deployment, key)
    assert [run["id"] for run in runs_of(prefect_api, key)] == [parked.flow_run_id]
    assert parked.created == (request_number == 1 and when == "before")
    assert history(prefect_api, parked.flow_run_id) == ["Suspended"]
    assert inputs_of(prefect_api, parked.flow_run_id) == {"schema": SCHEMA, "description": DESCRIPTION}
    assert resume_run(prefect_api, parked.flow_run_id, APPROVAL) == StateChange(accepted=True, reason=None)


@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_an_answer_lost_on_the_way_is_asked_for_again(
    prefect_server: PrefectServer, review_deployment: str, prefect_api: PrefectApi, key: str, request_number: int
) -> None:
    """A call whose acknowledgement gets lost is sent again inside the same attempt and changes nothing."""
    deployment = prefect_api.deployment_id(review_deployment)
    lost = CrashAt(request_number, "after", lambda: httpx.ReadError("connection reset"))
    with PrefectApi(prefect_server.api_url, transport=lost, wait=lambda _: None) as api:
        parked = park(api, deployment, key)
    assert [run["id"] for run in runs_of(prefect_api, key)] == [parked.flow_run_id]
    assert inputs_of(prefect_api, parked.flow_run_id) == {"schema": SCHEMA, "description": DESCRIPTION}


def test_a_form_without_its_schema_cannot_be_answered(
    prefect_server: PrefectServer, review_deployment: str, prefect_api: PrefectApi, key: str
) -> None:
    """Between the calls of parking, the server refuses to resume: no half form is ever answered."""
    deployment = prefect_api.deployment_id(review_deployment)
    with PrefectApi(prefect_server.api_url, transport=CrashAt(3, "before")) as api, pytest.raises(Crash):
        park(api, deployment, key)
    (run,) = runs_of(prefect_api, key)
    refused = resume_run(prefect_api, run["id"], APPROVAL)
    assert refused == StateChange(accepted=False, reason="Run input schema not found.")


def test_parking_again_tells_which_form_is_really_there(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """A complete form of an earlier attempt stays, and is what the second attempt reports as shown."""
    park(prefect_api, review_deployment, key)
    changed = SCHEMA | {"x-signoff": {"basis": {"41": "changed"}}}
    again = park(prefect_api, review_deployment, key, schema=changed, description="changed")
    assert (again.created, again.schema) == (False, SCHEMA)
    assert inputs_of(prefect_api, again.flow_run_id) == {"schema": SCHEMA, "description": DESCRIPTION}


def test_the_server_refuses_what_the_form_does_not_allow(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """A form that breaks its schema leaves the run parked, with a reason."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    wrong: list[dict[str, Any]] = [
        {},
        {"decision": "approve"},
        APPROVAL | {"decision": "publish"},
        APPROVAL | {"reviewer": "mallory"},
        APPROVAL | {"decision": "reject"},
        APPROVAL | {"decision": "request_changes", "comment": ""},
        APPROVAL | {"exceptions": [{"asset": "3 · other.jpg", "decision": "approve"}]},
        APPROVAL | {"exceptions": [{"asset": ITEM.choice, "decision": "reject"}]},
        APPROVAL | {"comment": "x" * 4_001},
        APPROVAL | {"approved_by": "me"},
    ]
    for answer in wrong:
        change = resume_run(prefect_api, run, answer)
        assert not change.accepted, answer
        assert change.reason, answer
    assert prefect_api.read_run(run) == RunState(run, "PAUSED", "Suspended")
    assert read_response(prefect_api, run) is None


def test_an_answer_travels_from_the_resume_to_the_reader(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """What is resumed with is what is read, once; then nothing of form and answer stays in Prefect."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    answer = APPROVAL | {"exceptions": [{"asset": OTHER.choice, "decision": "reject", "comment": "blurred"}]}
    assert resume_run(prefect_api, run, answer) == StateChange(accepted=True, reason=None)
    state = prefect_api.read_run(run)
    assert state == RunState(run, "SCHEDULED", "Resuming")
    assert read_answer(read_response(prefect_api, run), SHEET) == Answer(
        7, 7, (GateDecision(41, Decision.APPROVE, None), GateDecision(42, Decision.REJECT, "blurred"))
    )
    late = resume_run(prefect_api, run, APPROVAL)
    assert late == StateChange(accepted=False, reason="Cannot resume a flow run that is not paused.")
    delete_inputs(prefect_api, run)
    delete_inputs(prefect_api, run)
    assert (inputs_of(prefect_api, run), read_response(prefect_api, run)) == ({}, None)


def test_parking_again_leaves_a_resumed_run_alone(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """After the reviewer has answered, parking the same round again changes nothing."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    resume_run(prefect_api, run, APPROVAL)
    again = park(prefect_api, review_deployment, key)
    assert again == ParkedRun(run, prefect_api.run_url(run), False, SCHEMA)
    assert history(prefect_api, run) == ["Suspended", "Resuming"]
    assert read_response(prefect_api, run) == APPROVAL
    delete_inputs(prefect_api, run)
    assert park(prefect_api, review_deployment, key) == ParkedRun(run, prefect_api.run_url(run), False, None)
    assert inputs_of(prefect_api, run) == {}


def test_a_resume_whose_acknowledgement_got_lost_counts(
    prefect_server: PrefectServer, review_deployment: str, prefect_api: PrefectApi, key: str
) -> None:
    """Sent again, the accepted answer is recognised as our own; another answer is not."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    lost = CrashAt(1, "after", lambda: httpx.ReadError("connection reset"))
    with PrefectApi(prefect_server.api_url, transport=lost, wait=lambda _: None) as api:
        assert resume_run(api, run, APPROVAL).accepted
    assert not resume_run(prefect_api, run, APPROVAL | {"comment": "me too"}).accepted


def test_of_many_resumes_at_once_one_is_taken(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """Eight people who press Resume together: one answer is accepted, and it is the one that is stored."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    answers = [APPROVAL | {"comment": f"number {number}"} for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        changes = list(pool.map(lambda answer: resume_run(prefect_api, run, answer), answers))
    taken = [answer for answer, change in zip(answers, changes, strict=True) if change.accepted]
    assert taken == [read_response(prefect_api, run)]
    assert history(prefect_api, run) == ["Suspended", "Resuming"]


def test_a_forced_run_has_no_answer(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """Whoever schedules the run past the form leaves no response to read."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    assert prefect_api.set_state(run, {"type": "SCHEDULED", "name": "Scheduled"}).accepted
    assert read_response(prefect_api, run) is None


def test_a_planted_answer_that_is_no_json_is_refused(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """Text planted as a response is read as text, which no form accepts."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    prefect_api.write_input(run, "response", "approve!")
    assert read_response(prefect_api, run) == "approve!"


def test_a_superseded_round_is_closed_with_its_reason(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """Closing ends the run with the reason, removes its form, and happens once."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    assert close_run(prefect_api, run, "round 2 takes its place")
    (stored,) = runs_of(prefect_api, key)
    state = stored["state"]
    assert (state["type"], state["name"], state["message"]) == ("CANCELLED", "Closed", "round 2 takes its place")
    assert inputs_of(prefect_api, run) == {}
    assert not close_run(prefect_api, run, "again")
    assert not resume_run(prefect_api, run, APPROVAL).accepted


def test_a_resumed_run_and_an_unknown_run_are_not_closed(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """An answer on its way is left to the flow, and a run that is gone needs no end."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    resume_run(prefect_api, run, APPROVAL)
    assert not close_run(prefect_api, run, "too late")
    assert read_response(prefect_api, run) == APPROVAL
    assert not close_run(prefect_api, str(uuid4()), "unknown")


def test_a_cancelled_run_is_lost(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """A run that somebody cancelled cannot be parked again: the review needs a new round."""
    run = park(prefect_api, review_deployment, key).flow_run_id
    prefect_api.set_state(run, {"type": "CANCELLED", "name": "Cancelled"})
    with pytest.raises(ReviewRunLost) as lost:
        park(prefect_api, review_deployment, key)
    assert (lost.value.flow_run_id, lost.value.state) == (run, "Cancelled")


def test_a_contact_sheet_of_megabytes_is_parked(prefect_api: PrefectApi, review_deployment: str, key: str) -> None:
    """A description of 4 MB arrives whole."""
    large = DESCRIPTION + "x" * 4_000_000
    run = park(prefect_api, review_deployment, key, description=large).flow_run_id
    assert inputs_of(prefect_api, run)["description"] == large


def forms(*keys: str) -> list[Form]:
    """The sample review under several keys, each with a description of its own."""
    return [Form(key, SHEET.title, ["review"], SCHEMA, f"{DESCRIPTION} {key}") for key in keys]


def test_reviews_are_parked_together_in_two_calls_each_and_two_more(
    prefect_server: PrefectServer, review_deployment: str, key: str
) -> None:
    """Three reviews: one call makes their runs, one looks at them, and each gets its own form."""
    calls: list[str] = []
    keys = [f"{key}-{number}" for number in range(3)]
    with PrefectApi(prefect_server.api_url, on_call=lambda method, path: calls.append(f"{method} {path}")) as api:
        deployment = api.deployment_id(review_deployment)
        calls.clear()
        parked = park_runs(api, deployment, forms(*keys))
        runs = [one.flow_run_id for one in parked if isinstance(one, ParkedRun)]
        inputs = [f"POST flow_runs/{run}/input" for run in runs for _ in range(2)]
        assert calls == [f"POST deployments/{deployment}/create_flow_run/bulk", "POST flow_runs/filter", *inputs]
        assert [runs_of(api, one)[0]["id"] for one in keys] == runs
        assert [inputs_of(api, run)["description"] for run in runs] == [f"{DESCRIPTION} {one}" for one in keys]
        assert [history(api, run) for run in runs] == [["Suspended"]] * 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", range(1, 7))
def test_a_crash_among_reviews_parked_together_is_completed_by_parking_again(
    prefect_server: PrefectServer,
    review_deployment: str,
    prefect_api: PrefectApi,
    key: str,
    request_number: int,
    when: str,
) -> None:
    """Wherever the process ends, each key has one run in the end, suspended once, with its own form."""
    deployment = prefect_api.deployment_id(review_deployment)
    keys = [f"{key}-{number}" for number in range(2)]
    with PrefectApi(prefect_server.api_url, transport=CrashAt(request_number, when)) as api, pytest.raises(Crash):
        park_runs(api, deployment, forms(*keys))
    for one, parked in zip(keys, park_runs(prefect_api, deployment, forms(*keys)), strict=True):
        assert isinstance(parked, ParkedRun)
        assert [run["id"] for run in runs_of(prefect_api, one)] == [parked.flow_run_id]
        assert history(prefect_api, parked.flow_run_id) == ["Suspended"]
        assert inputs_of(prefect_api, parked.flow_run_id) == {"schema": SCHEMA, "description": f"{DESCRIPTION} {one}"}
        assert parked.schema == SCHEMA


def test_a_lost_run_among_others_concerns_itself_alone(
    prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """Of three reviews parked together one was cancelled and one answered before: the third is parked all the same."""
    cancelled, answered, fresh = keys = [f"{key}-{name}" for name in ("cancelled", "answered", "fresh")]
    lost = park(prefect_api, review_deployment, cancelled).flow_run_id
    prefect_api.set_state(lost, {"type": "CANCELLED", "name": "Cancelled"})
    run = park(prefect_api, review_deployment, answered).flow_run_id
    resume_run(prefect_api, run, APPROVAL)
    first, second, third = park_runs(prefect_api, review_deployment, forms(*keys))
    assert isinstance(first, ReviewRunLost)
    assert (first.flow_run_id, first.state) == (lost, "Cancelled")
    assert second == ParkedRun(run, prefect_api.run_url(run), False, SCHEMA)
    assert isinstance(third, ParkedRun)
    assert third == ParkedRun(runs_of(prefect_api, fresh)[0]["id"], third.url, True, SCHEMA)


def test_a_form_that_the_server_refuses_concerns_its_review_alone(
    prefect_server: PrefectServer, prefect_api: PrefectApi, review_deployment: str, key: str
) -> None:
    """The run of the first of two reviews is deleted before its form is written: the second is parked all the same."""
    first, second = forms(f"{key}-1", f"{key}-2")

    class DeletesTheFirst(httpx.BaseTransport):
        """A real transport; once the runs were looked at, somebody deletes the first one."""

        def __init__(self) -> None:
            self._real = httpx.HTTPTransport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = self._real.handle_request(request)
            if request.url.path.endswith("flow_runs/filter"):
                response.read()
                prefect_api.call("DELETE", f"flow_runs/{runs_of(prefect_api, first.idempotency_key)[0]['id']}")
            return response

    with PrefectApi(prefect_server.api_url, transport=DeletesTheFirst()) as api:
        refused, parked = park_runs(api, review_deployment, [first, second])
    assert isinstance(refused, PrefectRefused)
    assert isinstance(parked, ParkedRun)
    assert inputs_of(prefect_api, parked.flow_run_id)["schema"] == SCHEMA


def test_a_server_that_makes_runs_one_by_one_is_asked_so(
    prefect_server: PrefectServer, review_deployment: str, key: str
) -> None:
    """Without the call that makes runs together, each is made by its own."""

    class Older(httpx.BaseTransport):
        """A real transport to a server that does not know that call."""

        def __init__(self) -> None:
            self._real = httpx.HTTPTransport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/bulk"):
                return httpx.Response(404, json={"detail": "Not Found"}, request=request)
            return self._real.handle_request(request)

    with PrefectApi(prefect_server.api_url, transport=Older()) as api:
        parked = park_runs(api, review_deployment, forms(f"{key}-1", f"{key}-2"))
    assert all(isinstance(one, ParkedRun) and one.schema == SCHEMA for one in parked)
