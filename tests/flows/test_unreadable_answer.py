"""One review that nobody gets past keeps no other from its deadline, its reminder and its next round."""

from __future__ import annotations

import pytest

from policies.errors import PolicyInvalid, Problem
from tasks.park_run import resume_run
from tasks.recover_reviews import record_answer
from tasks.resources import Resources
from tests.workplace import MakeWorkplace, reviewers_of

pytestmark = pytest.mark.stack

STUCK, OTHER = "text/stuck.txt", "text/other.txt"


def test_an_answer_that_cannot_be_recorded_stops_no_deadline(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its policy is refused today and its run died with the answer: the other is ended in time, and the flow fails."""
    workplace = make_workplace(review_size=1)
    for key in (STUCK, OTHER):
        workplace.put(key, f"Plain words about {key}, long enough to be taken for text.")
    workplace.ingest()
    row = workplace.review_of("stuck.txt")
    said = {"decision": "approve", "reviewer": reviewers_of(workplace.form(row))[0]}
    assert resume_run(workplace.stack.api, row["flow_run_id"], said).accepted
    failed = {"state": {"type": "FAILED", "message": "its policy is refused"}, "force": True}
    workplace.stack.api.post(f"flow_runs/{row['flow_run_id']}/set_state", failed)
    refusal = PolicyInvalid((Problem("policy.yaml", 1, "name", "'whole-way'", "another word", None),))

    def refused(resources: Resources, flow_run_id: str) -> object:
        if flow_run_id == row["flow_run_id"]:
            raise refusal
        return record_answer(resources, flow_run_id)

    monkeypatch.setattr("tasks.recover_reviews.record_answer", refused)
    with pytest.raises(PolicyInvalid):
        workplace.enforce(CLOCK="+5d")
    assert workplace.states() == {STUCK: "in_review", OTHER: "changes_requested"}
    monkeypatch.undo()
    workplace.enforce(CLOCK="+5d")
    assert workplace.states() == {STUCK: "approved", OTHER: "changes_requested"}
