"""Every wrong way in through Prefect's API: nothing is published, the review asks again, and the trail tells of it.

Wrong and used codes are tried in `test_signed_reviews`, Prefect's lost database in `tests/cli/test_doctor`, which has a
second server to put in its place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from markdown_it import MarkdownIt

from tasks.park_reviews import DEPLOYMENT, park_reviews
from tasks.park_run import DESCRIPTION, KEYSET, RESPONSE, SCHEMA, resume_run
from tasks.prefect_api import PrefectApi
from tasks.record_answer import ACTOR, record_answer
from tasks.recover_reviews import recover_reviews
from tasks.resources import open_resources
from tests.running_stack import RunningStack
from tests.workplace import Workplace, assets_of, open_workplaces, reviewers_of

pytestmark = pytest.mark.stack

KEY, OTHER = "text/slogan.txt", "text/claim.txt"
HELD = "text/held.jpg"
REFUSED = "SELECT count(*) FROM events WHERE action IN ('refuse_answer', 'lose_run')"


@dataclass
class Target:
    """A review that waits, of two assets, and what an attacker can reach: Prefect's API."""

    place: Workplace

    @property
    def api(self) -> PrefectApi:
        """The API, as anybody in the network has it."""
        return self.place.stack.api

    @property
    def row(self) -> dict[str, Any]:
        """The waiting review of the editors."""
        return next(row for row in self.place.reviews() if row["stage"] == "editor")

    @property
    def run(self) -> str:
        """The run of its present round."""
        return str(self.row["flow_run_id"])

    def approval(self, **changed: Any) -> dict[str, Any]:
        """A valid answer, with some of it changed."""
        return {"decision": "approve", "reviewer": reviewers_of(self.place.form(self.row))[0]} | changed

    def set_state(self, type_: str, *, force: bool = True, run: str | None = None, **details: Any) -> Any:
        """Set the state of a run, as any client of the API can."""
        state = {"type": type_, "name": "Approved by Lea Brandt", "state_details": details}
        return self.api.post(f"flow_runs/{run or self.run}/set_state", {"state": state, "force": force})

    def put_input(self, key: str, value: Any, run: str | None = None) -> None:
        """Exchange an input of a run."""
        self.api.delete_input(run or self.run, key)
        text = value if isinstance(value, str) and key == RESPONSE else json.dumps(value)
        assert self.api.write_input(run or self.run, key, text)

    def read_input(self, key: str) -> Any:
        """An input of the waiting run."""
        return json.loads(self.api.read_input(self.run, key) or "null")

    def go_on(self, run: str) -> None:
        """What a resumed run does, without the second that Prefect takes to begin it."""
        with self.place.at_work():
            resources = open_resources()
            record_answer(resources, run)
            park_reviews(resources, ACTOR, run)

    def sweep(self) -> None:
        """What the sweep does about reviews whose run is lost."""
        with self.place.at_work():
            resources = open_resources()
            recover_reviews(resources, "system:enforce_deadlines")
            park_reviews(resources, "system:enforce_deadlines")

    def answer_by_force(self, value: Any) -> str:
        """Write an answer past the form, and schedule the run past the server's rules; returns the run."""
        run = self.run
        self.put_input(RESPONSE, value, run)
        self.set_state("SCHEDULED", run=run)
        return run


@pytest.fixture(scope="module")
def target(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One review for all attacks of this module: whatever they do, it goes on waiting."""
    with open_workplaces(stack, tmp_path_factory.mktemp("attacks")) as make:
        place = make()
        place.put(KEY, "The words of this slogan are plain and waiting.")
        place.put(OTHER, "The words of this claim are plain and waiting too.")
        place.put(HELD, "No picture at all, whatever its name may say of it.")
        place.ingest()
        yield Target(place)


@pytest.fixture
def withstood(target: Target) -> Iterator[None]:
    """Around an attack: afterwards nothing has moved, the attempt is audited, and the review asks anew, saying why."""
    before, attempts = target.row, target.place.rows(REFUSED)[0][0]
    yield
    after = target.row
    assert (after["review"], after["round"] > before["round"], after["status"]) == (before["review"], True, "parked")
    assert target.place.rows(REFUSED)[0][0] > attempts
    assert_unmoved(target)
    run = target.api.read_run(after["flow_run_id"])
    assert run is not None
    assert (run.type, run.inputs) == ("PAUSED", KEYSET)
    assert target.read_input(DESCRIPTION).startswith("**Here again:** ")
    form = target.read_input(SCHEMA)
    assert (len(assets_of(form)), "default" in json.dumps(form)) == (2, False)


def assert_unmoved(target: Target) -> None:
    """Nothing is published or decided, and the trail holds no name of a state that a stranger made up."""
    assert target.place.library() == {}
    assert target.place.states() == {KEY: "in_review", OTHER: "in_review", HELD: "quarantined"}
    assert target.place.rows("SELECT count(*) FROM decisions") == [(0,)]
    assert target.place.rows("SELECT count(*) FROM events WHERE body LIKE '%Lea Brandt%'") == [(0,)]


# --- states set by force --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("withstood")
def test_scheduled_by_force(target: Target) -> None:
    """No form at all: the run goes on and decides nothing."""
    run = target.run
    target.set_state("SCHEDULED", run=run)
    target.place.go_on(run)


@pytest.mark.usefixtures("withstood")
def test_all_runs_at_once(target: Target) -> None:
    """A bulk change of states over whatever waits: each run goes on and decides nothing."""
    run, held = target.run, next(row for row in target.place.reviews() if row["stage"] == "quarantine")["flow_run_id"]
    waiting = {"id": {"any_": [run, held]}, "state": {"type": {"any_": ["PAUSED"]}}}
    bulk = {"flow_runs": waiting, "state": {"type": "SCHEDULED"}, "force": True}
    results = target.api.post("flow_runs/bulk_set_state", bulk)["results"]
    assert {one["flow_run_id"]: one["status"] for one in results} == {run: "ACCEPT", held: "ACCEPT"}
    for one in (run, held):
        target.go_on(one)
    assert {row["round"] > 1 for row in target.place.reviews()} == {True}


@pytest.mark.usefixtures("withstood")
@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "CRASHED", "COMPLETED", "CANCELLING"])
def test_ended_by_force(target: Target, state: str) -> None:
    """Ended in Prefect under a name that lies: the sweep asks again, and quotes nothing of it."""
    target.set_state(state)
    target.sweep()
    assert "Lea Brandt" not in target.read_input(DESCRIPTION).partition("\n")[0]


@pytest.mark.usefixtures("withstood")
@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_said_to_be_running(target: Target, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """A run that claims to work and has no worker: after a while the sweep asks again."""
    target.set_state(state)
    target.sweep()
    assert target.api.read_run(target.run).type == state, "its worker may be on the way"  # type: ignore[union-attr]
    monkeypatch.setattr("tasks.recover_reviews.STUCK_AFTER", timedelta(0))
    target.sweep()


@pytest.mark.usefixtures("withstood")
def test_suspended_anew_with_another_form(target: Target) -> None:
    """The UI would show other inputs of the same run: the sweep sees that and ends it."""
    run = target.run
    target.set_state("PAUSED", run=run, run_input_keyset=KEYSET | {"schema": "theirs"}, pause_reschedule=True)
    target.sweep()
    assert target.api.read_run(run).type == "CANCELLED"  # type: ignore[union-attr]


@pytest.mark.usefixtures("withstood")
def test_suspended_anew_and_answered(target: Target) -> None:
    """Another form was shown for a while, under our name; that it was is in the run's history."""
    run, answer = target.run, target.approval()
    details = {"run_input_keyset": KEYSET | {"schema": "theirs"}, "pause_reschedule": True}
    target.api.write_input(run, "theirs", json.dumps({"type": "object"}))
    target.set_state("PAUSED", run=run, **details)
    assert resume_run(target.api, run, answer).accepted
    target.go_on(run)


# --- answers that are none --------------------------------------------------------------------------------------------


def test_what_the_form_does_not_offer_is_refused_at_the_door(target: Target) -> None:
    """Extra fields, an unknown asset, a person who may not: the server says no, and the run goes on waiting."""
    run, other = target.run, {"asset": "3 · invoice.pdf", "decision": "approve"}
    for answer in (
        {},
        target.approval(sudo=True),
        target.approval(reviewer="mallory · Mallory"),
        target.approval(reviewer="claire · Claire Dubois"),
        target.approval(decision="publish"),
        target.approval(decision="reject"),
        target.approval(exceptions=[other]),
        target.approval(decision={"__prefect_kind": "workspace_variable", "variable_name": "nothing"}),
        target.approval(decision={"__prefect_kind": "json", "value": '"publish"'}),
        target.approval(decision={"__prefect_kind": "jinja", "template": "{{ 'pub' ~ 'lish' }}"}),
    ):
        assert not target.api.resume(run, answer).accepted, answer
    assert target.run == run
    assert_unmoved(target)


ANSWERS: dict[str, Callable[[Target], Any]] = {
    "extra field": lambda t: t.approval(sudo=True),
    "unknown asset": lambda t: t.approval(exceptions=[{"asset": "9 · x", "decision": "approve"}]),
    "of another stage": lambda t: t.approval(reviewer="claire · Claire Dubois"),
    "a reference": lambda t: t.approval(decision={"__prefect_kind": "json", "value": '"approve"'}),
    "not JSON": lambda _: "{'decision': 'approve'}",
    "a deep hole": lambda _: "[" * 100_000,
    "half a character": lambda t: t.approval(**{"\ud800\x00": "x"}),
    "a long name": lambda t: t.approval(**{"<script>alert(1)</script>" * 4_000: "x"}),
}


@pytest.mark.usefixtures("withstood")
@pytest.mark.parametrize("kind", ANSWERS)
def test_answered_past_the_form(target: Target, kind: str) -> None:
    """Written into the run as its answer, past every check of the server."""
    value = ANSWERS[kind](target)
    run = target.answer_by_force(value if isinstance(value, str) else json.dumps(value))
    target.go_on(run)
    assert "<script" not in MarkdownIt("commonmark").render(target.read_input(DESCRIPTION))
    assert target.api.read_input(run, RESPONSE) is None


def test_a_poisoned_answer_that_nobody_takes_up_costs_itself_only(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by run the sweep takes up answers: one that could not be read before stops none of the others."""
    run, held = target.run, next(row for row in target.place.reviews() if row["stage"] == "quarantine")
    target.answer_by_force(json.dumps({"\ud800\x00": []}))
    target.set_state("CANCELLED", run=held["flow_run_id"])
    monkeypatch.setattr("tasks.recover_reviews.STUCK_AFTER", timedelta(0))
    target.sweep()
    assert target.run != run
    after = next(row for row in target.place.reviews() if row["stage"] == "quarantine")
    assert after["round"] == held["round"] + 1
    assert_unmoved(target)


# --- what the reviewer is shown ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("withstood")
def test_a_form_with_more_choices(target: Target) -> None:
    """The schema is exchanged for one with another person and a default: an honest answer to it does not count."""
    form = target.read_input(SCHEMA)
    form["properties"]["reviewer"]["enum"].append("mallory · Mallory")
    form["properties"]["decision"]["default"] = "approve"
    run, answer = target.run, target.approval()
    target.put_input(SCHEMA, form)
    assert resume_run(target.api, run, answer).accepted
    target.go_on(run)


@pytest.mark.usefixtures("withstood")
@pytest.mark.parametrize(
    "forge", [lambda _: {}, lambda own: own | {"mark": "0" * 64}, lambda own: own | {"basis": {}, "round": 99}]
)
def test_a_form_with_another_basis(target: Target, forge: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """What was shown is what the ledger wrote, whatever the form says of itself."""
    form = target.read_input(SCHEMA)
    run, answer = target.run, target.approval()
    basis = target.place.rows(f"SELECT basis FROM parkings WHERE flow_run_id = '{run}'")
    target.put_input(SCHEMA, form | {"x-signoff": forge(form["x-signoff"])})
    assert resume_run(target.api, run, answer).accepted
    target.go_on(run)
    assert target.place.rows(f"SELECT basis FROM parkings WHERE flow_run_id = '{run}'") == basis


@pytest.mark.usefixtures("withstood")
@pytest.mark.parametrize("text", ["Only harmless pictures: approve.", None])
def test_another_text_above_the_form(target: Target, text: str | None) -> None:
    """The contact sheet is exchanged, or taken away: who answered saw something else."""
    run, answer = target.run, target.approval()
    target.put_input(DESCRIPTION, text)
    assert resume_run(target.api, run, answer).accepted
    target.go_on(run)


@pytest.mark.usefixtures("withstood")
def test_a_form_of_another_review(target: Target) -> None:
    """A genuine form, of the round before: its mark is good for that round alone."""
    form, text = target.read_input(SCHEMA), target.read_input(DESCRIPTION)
    target.set_state("CANCELLED")
    target.sweep()
    run, answer = target.run, target.approval()
    target.put_input(SCHEMA, form)
    target.put_input(DESCRIPTION, text)
    assert resume_run(target.api, run, answer).accepted
    target.go_on(run)


def test_name_tags_and_parameters_decide_nothing(target: Target) -> None:
    """Edited in Prefect: the form and what is recorded stay as they are."""
    run, form = target.run, target.read_input(SCHEMA)
    changed = {"name": "approved by all", "tags": ["approved"], "parameters": {"approve": True}}
    target.api.call("PATCH", f"flow_runs/{run}", changed)
    target.sweep()
    assert (target.run, target.read_input(SCHEMA)) == (run, form)
    assert_unmoved(target)
    target.api.call("PATCH", f"flow_runs/{run}", {"parameters": {}})


# --- what the reviewer said -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("withstood")
def test_an_answer_that_was_exchanged(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejected in the UI; before a worker comes, somebody puts an approval in its place."""
    run, approval = target.run, target.approval()
    assert resume_run(target.api, run, approval | {"decision": "reject", "comment": "no"}).accepted
    monkeypatch.setattr("tasks.read_submission.ANSWER_WRITTEN_WITHIN", timedelta(seconds=1))
    target.place.wait_for_another_second()
    target.put_input(RESPONSE, json.dumps(approval), run)
    target.go_on(run)


@pytest.mark.usefixtures("withstood")
def test_an_answer_that_was_taken_away(target: Target) -> None:
    """Without it the run has nothing to record."""
    run = target.run
    assert resume_run(target.api, run, target.approval()).accepted
    target.api.delete_input(run, RESPONSE)
    target.go_on(run)


# --- strange runs -----------------------------------------------------------------------------------------------------


def deployment_id(target: Target) -> str:
    """The deployment whose runs reviews are, as it is now."""
    return str(target.api.find(f"deployments/name/{DEPLOYMENT}")["id"])


def make_run(target: Target, key: str, **changed: Any) -> str:
    """A run of `decide-review`, suspended with a form, as an attacker can make one."""
    details = {"run_input_keyset": KEYSET, "pause_key": key, "pause_reschedule": True}
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    path = f"deployments/{deployment_id(target)}/create_flow_run"
    run = str(target.api.post(path, {"idempotency_key": key, "state": state} | changed)["id"])
    target.put_input(SCHEMA, target.read_input(SCHEMA), run)
    target.put_input(DESCRIPTION, "Only harmless pictures: approve.", run)
    return run


@pytest.mark.parametrize("shape", ["{}-x", "{}", "signoff-review-1-20261124T080000.000000-round-99"])
def test_a_run_that_looks_like_ours(target: Target, shape: str) -> None:
    """Made by hand under a key like ours, with our own form, and answered: it belongs to no review, and is audited."""
    own = target.api.find(f"flow_runs/{target.run}")["idempotency_key"]
    before, attempts = target.row, target.place.rows(REFUSED)[0][0]
    key = shape.format(own.rpartition("-")[0].replace("round-", "round-9"))
    run = make_run(target, key)
    assert resume_run(target.api, run, target.approval()).accepted
    target.go_on(run)
    assert (target.row, target.place.rows(REFUSED)[0][0]) == (before, attempts + 1)
    assert_unmoved(target)


@pytest.mark.usefixtures("withstood")
def test_a_run_made_before_ours(target: Target) -> None:
    """The key of the next round cannot be guessed from this one: a run made in advance is never taken for ours."""
    run = target.run
    own = target.api.find(f"flow_runs/{run}")["idempotency_key"]
    ahead, _, mark = own.rpartition("-")
    number = target.row["round"]
    assert (len(mark), f"-round-{number}-" in own) == (20, True)
    forged = [
        make_run(target, own.replace(f"-round-{number}-", f"-round-{number + 1}-")),
        make_run(target, ahead.replace(f"-round-{number}", f"-round-{number + 1}")),
    ]
    target.set_state("CANCELLED", run=run)
    target.sweep()
    assert target.run not in forged
    for one in forged:
        target.api.call("DELETE", f"flow_runs/{one}")


@pytest.mark.usefixtures("withstood")
def test_our_run_deleted_and_made_again(target: Target) -> None:
    """Once its key is known, a run can be exchanged for another under the same key: it is a stranger's."""
    run, form = target.run, target.read_input(SCHEMA)
    key = target.api.find(f"flow_runs/{run}")["idempotency_key"]
    answer = target.approval()
    target.api.call("DELETE", f"flow_runs/{run}")
    again = make_run_with(target, key, form)
    assert resume_run(target.api, again, answer).accepted
    target.go_on(again)
    assert_unmoved(target)
    target.sweep()


def make_run_with(target: Target, key: str, form: Any) -> str:
    """A run under this key with this form."""
    details = {"run_input_keyset": KEYSET, "pause_key": key, "pause_reschedule": True}
    body = {"idempotency_key": key, "state": {"type": "PAUSED", "name": "Suspended", "state_details": details}}
    run = str(target.api.post(f"deployments/{deployment_id(target)}/create_flow_run", body)["id"])
    target.put_input(SCHEMA, form, run)
    return run


@pytest.mark.usefixtures("withstood")
def test_a_form_exchanged_before_it_was_marked(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parking dies between form and mark; a stranger's form lies there when the next sweep comes."""
    target.set_state("CANCELLED")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.park_reviews._mark", _die)
        with pytest.raises(RuntimeError, match="killed"):
            target.sweep()
    assert target.row["status"] == "to_park"
    run = unmarked_run(target)
    target.put_input(SCHEMA, form_of(target, run) | {"x-signoff": {"basis": {"1": "forged", "2": "forged"}}}, run)
    target.sweep()
    assert target.run != run
    assert target.api.read_run(run).type == "CANCELLED"  # type: ignore[union-attr]


def unmarked_run(target: Target) -> str:
    """The run of a round that was parked and not marked."""
    name = {"like_": f"review {target.row['review']} "}
    wanted = {"flow_runs": {"name": name, "state": {"type": {"any_": ["PAUSED"]}}}, "limit": 200}
    (run,) = (
        run["id"]
        for run in target.api.post("flow_runs/filter", wanted)
        if f"-round-{target.row['round']}-" in run["idempotency_key"]
        and "slogan.txt" in str(form_of(target, run["id"]))
    )
    return str(run)


def form_of(target: Target, run: str) -> Any:
    """The form of a run."""
    return json.loads(target.api.read_input(run, SCHEMA) or "{}")


def _die(*_: object) -> None:
    raise RuntimeError("killed")


# --- Prefect itself ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("withstood")
def test_the_run_is_deleted(target: Target) -> None:
    """Deleted in the UI: asked again."""
    target.api.call("DELETE", f"flow_runs/{target.run}")
    target.place.enforce()


@pytest.mark.usefixtures("withstood")
def test_the_deployment_is_deleted(target: Target) -> None:
    """Runs that nobody could run any more: once it is registered again they are parked anew, the old ones closed."""
    run = target.run
    target.api.call("DELETE", f"deployments/{deployment_id(target)}")
    target.sweep()
    assert target.run == run, "nothing could be parked instead"
    target.set_state("SCHEDULED", run=run)
    target.place.stack.start()
    target.set_state("PAUSED", run=run, run_input_keyset=KEYSET, pause_reschedule=True)
    target.sweep()
    assert target.api.read_run(run).type == "CANCELLED"  # type: ignore[union-attr]
    ((told,),) = target.place.rows(
        "SELECT reason FROM events WHERE action = 'lose_run' AND body LIKE '%" + run + "%' ORDER BY seq DESC"
    )
    assert told == "had lost its deployment in Prefect"


@pytest.mark.usefixtures("withstood")
def test_an_automation_answers(target: Target) -> None:
    """Set off by an event, it resumes the run, which the server refuses without a form, and then schedules it by force:
    the run goes on and decides nothing."""
    run = target.run
    trigger = {"type": "event", "posture": "Reactive", "expect": ["attack.begun"], "threshold": 1, "within": 0}
    actions = [{"type": "resume-flow-run"}, {"type": "change-flow-run-state", "state": "SCHEDULED", "force": True}]
    body = {"name": f"attack {uuid4()}", "trigger": trigger, "actions": actions}
    made = target.api.post("automations/", body)["id"]
    event = {"event": "attack.begun", "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"}}
    deadline = time.monotonic() + 60
    while target.api.read_run(run).type == "PAUSED":  # type: ignore[union-attr]
        assert time.monotonic() < deadline, "the automation did nothing"
        target.api.post("events", [event | {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat()}])
        time.sleep(1)  # the server may not have heard of its automation yet
    target.api.call("DELETE", f"automations/{made}")
    target.go_on(run)


def test_in_the_end_it_is_decided_once(target: Target) -> None:
    """After all of that: two people resume at the same moment, one of them is taken, and what was approved goes out."""
    run, answer = target.run, target.approval()
    with ThreadPoolExecutor(2) as both:
        changes = list(both.map(lambda comment: target.api.resume(run, answer | {"comment": comment}), "ab"))
    assert sorted(change.accepted for change in changes) == [False, True]
    target.place.go_on(run)
    target.go_on(run)
    assert sorted(target.place.library()) == [OTHER, KEY]
    said = target.place.rows("SELECT verdict, counted, body FROM decisions JOIN notes USING (note_id)")
    winner = "ab"[[change.accepted for change in changes].index(True)]
    assert said == [("approve", True, winner)] * 2
