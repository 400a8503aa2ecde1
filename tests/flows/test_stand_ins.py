"""Who stands in for somebody is offered in their form from the first moment of the absence to its last, and counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.park_run import resume_run
from tests.workplace import MakeWorkplace, reviewers_of

pytestmark = pytest.mark.stack

FIRST, SECOND = "text/first.txt", "text/second.txt"
HELD = "text/held.jpg"
STAND_IN = "amara · Amara Okafor, for Lea Hoffmann"


def test_a_review_follows_an_absence(make_workplace: MakeWorkplace) -> None:
    """Handed over while two reviews wait: both offer her; one is decided so, the other asks without her afterwards."""
    workplace = make_workplace(review_size=1)
    for key in (FIRST, SECOND):
        workplace.put(key, f"The words of {key} are plain, and there are enough of them.")
    workplace.put(HELD, "No picture at all, whatever its name may say of it.")
    workplace.ingest()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    said = workplace.say("people", "delegate", "lea", "amara", "--until", until)
    assert (said.code, said.out.endswith("; 2 open gates follow now.\n")) == (0, True), said
    said = workplace.say("people", "delegate", "mei", "amara", "--until", until)
    assert (said.code, said.out.endswith("; 3 open gates follow now.\n")) == (0, True), said
    assert {row["status"] for row in workplace.reviews()} == {"to_park"}
    workplace.enforce()
    held = next(row for row in workplace.reviews() if row["stage"] == "quarantine")
    (for_mei,) = (one for one in reviewers_of(workplace.form(held)) if one.startswith("amara · "))
    answer = {"decision": "reject", "comment": "no picture", "reviewer": for_mei}
    assert resume_run(workplace.stack.api, held["flow_run_id"], answer).accepted
    workplace.go_on(held["flow_run_id"])
    told = (
        "SELECT a.handle, b.handle FROM held_decisions JOIN people a USING (person_id) JOIN people b ON b.person_id = "
    )
    assert workplace.rows(f"{told} on_behalf_of") == [("amara", "mei")]
    first, second = workplace.reviews()
    for row in (first, second):
        form = workplace.form(row)
        assert (row["round"], STAND_IN in reviewers_of(form)) == (3, True)
    answer = {"decision": "approve", "reviewer": STAND_IN}
    assert resume_run(workplace.stack.api, first["flow_run_id"], answer).accepted
    workplace.go_on(first["flow_run_id"])
    assert len(workplace.library()) == 1
    told = "SELECT a.handle, b.handle FROM decisions d JOIN people a USING (person_id) JOIN people b ON b.person_id = "
    assert workplace.rows(f"{told} d.on_behalf_of") == [("amara", "lea")]

    workplace.enforce(CLOCK="+2h")
    (again,) = workplace.reviews()
    assert (again["round"], STAND_IN in reviewers_of(workplace.form(again))) == (4, False)
    assert workplace.rows("SELECT count(*) FROM events WHERE action = 'change_stand_ins'") == [(5,)]
    workplace.decide(again)
    assert sorted(workplace.library()) == [FIRST, SECOND]
