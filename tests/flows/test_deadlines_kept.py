"""Deadlines on the real stack: sweeps remind, escalate and end; the run list is an inbox; no answer is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from policies.calendars import Calendar, later_working
from tasks.park_run import close_run, resume_run
from tasks.prefect_api import PrefectApi, RunState
from tests.running_stack import settings_of
from tests.workplace import MakeWorkplace, Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY, HELD = "text/slogan.txt", "text/held.jpg"
WORDS = "The words of this slogan are plain and waiting."
LADDER = "{within: 2 days, remind: [50%], escalate: [{to: brand-leads, within: 1 day}], finally: reject}"
BERLIN = Calendar(timezone="Europe/Berlin", days="mon-fri", hours="09:00-17:30", holidays="DE")
DAY = timedelta(hours=8.5)


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A workplace whose editors have a whole ladder."""
    return make_workplace(editor_deadline=LADDER)


def after(row: dict[str, Any], days: float) -> str:
    """An instant so many working days after a review was parked, as the setting `clock` takes it."""
    return (later_working(BERLIN, row["opened_at"], days * DAY) + timedelta(minutes=2)).isoformat()


def run_of(place: Workplace, row: dict[str, Any]) -> tuple[str, list[str], str]:
    """What Prefect's run list shows of a review: name, tags, state."""
    run = place.stack.api.find(f"flow_runs/{row['flow_run_id']}")
    return run["name"], sorted(run["tags"]), run["state"]["type"]


def answer(place: Workplace, row: dict[str, Any]) -> None:
    """Approve in the UI, as the first person of the form; no worker runs what follows yet."""
    said = {"decision": "approve", "reviewer": reviewers_of(place.form(row))[0]}
    assert resume_run(place.stack.api, row["flow_run_id"], said).accepted


def test_a_review_is_reminded_escalated_and_ended(place: Workplace) -> None:
    """Half the time: reminded. All of it: the leads are offered too. A day more: rejected, and no run waits."""
    place.put(KEY, WORDS)
    place.put(HELD, "No picture at all, whatever its name may say of it.")
    place.ingest()
    assert place.states() == {KEY: "in_review", HELD: "quarantined"}
    row, held = sorted(place.reviews(), key=lambda one: one["stage"])
    name, tags, _ = run_of(place, row)
    for _ in range(2):
        place.enforce(CLOCK=after(row, 1))
        assert run_of(place, row) == (f"{name} · reminded", sorted([*tags, "reminded"]), "PAUSED")
        assert run_of(place, held)[2] == "PAUSED"
    assert place.rows("SELECT kind, count(*) FROM rungs GROUP BY kind") == [("remind", 1)]
    editors = place.rows("SELECT count(*) FROM gate_eligible")
    assert place.rows("SELECT count(*) FROM notices WHERE kind = 'remind'") == editors

    place.enforce(CLOCK=after(row, 2))
    (again,) = place.reviews()
    assert (run_of(place, row)[2], run_of(place, held)[2]) == ("CANCELLED", "CANCELLED")
    assert run_of(place, again)[0].endswith("round 2 · escalated")
    assert {"reminded", "overdue", "escalated"} <= set(run_of(place, again)[1])
    assert again["due_at"] == later_working(BERLIN, _parked_at(place), 3 * DAY)
    assert set(reviewers_of(place.form(row | again))) > set(_handles(place, "editors"))
    assert place.states() == {KEY: "in_review", HELD: "rejected"}
    assert (again["escalations"], again["reminders"], again["status"]) == (1, 1, "parked")
    mine = json.loads(place.say("reviews", "--person", "amara", "--json").out)
    assert [(one["review"], one["round"]) for one in mine] == [(row["review"], 2)]
    assert json.loads(place.say("reviews", "--person", "claire", "--json").out) == []
    assert place.say("reviews", "--person", "nobody").code == 1

    with settings_of(place.config, CLOCK=after(row, 3)):
        (late,) = json.loads(place.say("reviews", "--overdue", "--stage", "editor", "--json").out)
    assert (late["review"], late["overdue"]) == (row["review"], True)
    place.enforce(CLOCK=after(row, 3))
    assert place.states() == {KEY: "rejected", HELD: "rejected"}
    assert place.reviews() == []
    assert run_of(place, again)[2] == "CANCELLED"
    ends = place.rows("SELECT actor, reason FROM events WHERE action = 'reject' ORDER BY seq")
    assert ends == [
        ("system:enforce_deadlines", "deadline: quarantined"),
        ("system:enforce_deadlines", "deadline: stage editor"),
    ]
    seen = place.rows("SELECT count(*) FROM events"), place.rows("SELECT count(*) FROM notices")
    place.enforce(CLOCK=after(row, 4))
    assert (place.rows("SELECT count(*) FROM events"), place.rows("SELECT count(*) FROM notices")) == seen


def test_an_answer_on_its_way_is_recorded_before_the_deadline(place: Workplace) -> None:
    """Resumed in time, and its run not started yet when the sweep comes: the sweep leaves it to the answer."""
    place.put(KEY, WORDS)
    place.ingest()
    (row,) = place.reviews()
    place.enforce(CLOCK=after(row, 1))
    answer(place, row)
    place.enforce(CLOCK=after(row, 2))
    place.enforce(CLOCK=after(row, 9))
    assert place.states() == {KEY: "in_review"}
    place.go_on(row["flow_run_id"])
    assert list(place.library()) == [KEY]


@pytest.mark.parametrize(
    ("days", "counted", "state"), [((1, 2), True, "published"), ((1, 2, 3), False, "rejected")], ids=["asked", "ended"]
)
def test_an_answer_that_the_deadline_overtook_is_kept(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, days: tuple[int, ...], counted: bool, state: str
) -> None:
    """Resumed between the sweep's look at the run and its transaction: it counts while the gate is open, or is kept."""
    place.put(KEY, WORDS)
    place.ingest()
    (first,) = place.reviews()
    row = first
    for day in days[:-1]:
        place.enforce(CLOCK=after(first, day))
        (row,) = place.reviews()
    with monkeypatch.context() as patched:
        patched.setattr("tasks.fire_rungs._parked_runs", _answered_then(place, row))
        place.enforce(CLOCK=after(first, days[-1]))
    place.go_on(row["flow_run_id"])
    place.go_on(row["flow_run_id"])
    assert place.rows("SELECT verdict, counted FROM decisions") == [("approve", counted)]
    assert place.states() == {KEY: state}
    assert place.reviews() == []


def test_an_answer_in_the_moment_of_closing_goes_on(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed between the look at the run and its closing: the run is not closed, and what was said counts."""
    place.put(KEY, WORDS)
    place.ingest()
    (row,) = place.reviews()
    look = PrefectApi.read_run

    def look_and_answer(api: PrefectApi, flow_run_id: str) -> RunState | None:
        seen = look(api, flow_run_id)
        answer(place, row)
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(PrefectApi, "read_run", look_and_answer)
        assert not close_run(place.stack.api, row["flow_run_id"], "nobody needs it any more")
    assert run_of(place, row)[2] == "SCHEDULED"
    place.go_on(row["flow_run_id"])
    assert list(place.library()) == [KEY]


def _answered_then(place: Workplace, row: dict[str, Any]) -> Callable[..., frozenset[str]]:
    def look(*_: object) -> frozenset[str]:
        answer(place, row)
        return frozenset({row["flow_run_id"]})

    return look


def _parked_at(place: Workplace) -> datetime:
    from ledger.tables import from_micros

    ((micros,),) = place.rows("SELECT min(parked_at) FROM parkings")
    return from_micros(micros)


def _handles(place: Workplace, group: str) -> list[str]:
    sql = "SELECT handle || ' · ' || name FROM memberships JOIN people USING (person_id) WHERE group_name = "
    return [one for (one,) in place.rows(f"{sql} '{group}'")]
