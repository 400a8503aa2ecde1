"""Changes requested is a review: who submitted it is told what was asked for, and reopens, withdraws or replaces it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.park_run import DESCRIPTION, resume_run
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY = "text/slogan.txt"
ASKED = "Make it *lighter* <b>please</b> {{ flow_run }}"


def sent_back(workplace: Workplace, comment: str = ASKED) -> dict[str, Any]:
    """The waiting review of what an editor sends back."""
    (row,) = workplace.reviews()
    workplace.decide(row, "request_changes", comment=comment)
    (asked,) = workplace.reviews()
    assert (asked["stage"], asked["status"], asked["assets"]) == ("changes_requested", "parked", 1)
    return asked


def test_reopened_withdrawn_or_replaced(workplace: Workplace) -> None:
    """It is right as it is: a new round. Sent back again: given up. New bytes: the review ends by itself."""
    workplace.put(KEY, "The words of this slogan are plain.")
    workplace.ingest()
    row = sent_back(workplace)
    form = workplace.form(row)
    assert form["properties"]["decision"]["enum"] == ["reopen", "withdraw"]
    assert [one.split(" ")[0] for one in reviewers_of(form)] == ["ruben"]
    shown = json.loads(workplace.stack.api.read_input(row["flow_run_id"], DESCRIPTION) or '""')
    assert "**Asked for**" in shown
    assert r"editor\: Make it \*lighter\* \<b\>please\<\/b\> ❴\{ flow\_run \}❵" in shown
    for wrong in ({"decision": "approve"}, {"decision": "reopen"}, {"decision": "withdraw", "comment": ""}):
        said = {"reviewer": reviewers_of(form)[0], **wrong}
        assert not resume_run(workplace.stack.api, row["flow_run_id"], said).accepted

    workplace.decide(row, "reopen", comment="it is meant to be plain")
    assert workplace.states() == {KEY: "submitted"}
    workplace.ingest()
    assert (workplace.states(), [one["stage"] for one in workplace.reviews()]) == ({KEY: "in_review"}, ["editor"])
    reopened = workplace.rows("SELECT round, reason FROM events WHERE action = 'reopen'")
    assert reopened == [(2, "reopened by a person of the group that was asked for changes")]

    again = sent_back(workplace, "still too plain")
    workplace.put(KEY, "Other words, and more of them than before.")
    workplace.ingest()
    assert workplace.versions() == {(KEY, 1): "superseded", (KEY, 2): "in_review"}
    run = workplace.stack.api.read_run(again["flow_run_id"])
    assert run is not None
    assert run.type == "CANCELLED"

    workplace.decide(sent_back(workplace), "withdraw", comment="given up")
    assert workplace.states() == {KEY: "rejected"}
    assert workplace.reviews() == []
    assert workplace.rows("SELECT verdict, counted FROM held_decisions") == [("reopen", True), ("reject", True)]
