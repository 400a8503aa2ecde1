"""The quarantine is a review like any other: released with its findings named, or rejected, in the Prefect UI."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.park_run import DESCRIPTION, resume_run
from tests.flows.pictures import picture
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY, OTHER = "text/lying.pdf", "text/page.jpg"
PAGE = "<!DOCTYPE html><html><body><p>Hello</p></body></html>"


def held_review(workplace: Workplace) -> dict[str, Any]:
    """The waiting review of what is held."""
    (row,) = (one for one in workplace.reviews() if one["stage"] == "quarantine")
    return row


def test_released_with_its_findings_named_or_rejected(workplace: Workplace) -> None:
    """One answer, two outcomes: what was released is screened without the finding, seen by an editor, and published."""
    sha256 = workplace.put(KEY, picture("PNG"))
    workplace.put(OTHER, PAGE)
    workplace.ingest()
    row = held_review(workplace)
    form = workplace.form(row)
    assert form["properties"]["decision"]["enum"] == ["release", "reject"]
    assert [one.split(" ")[0] for one in reviewers_of(form)] == ["jonas", "mei"]
    shown = workplace.stack.api.read_input(row["flow_run_id"], DESCRIPTION) or ""
    assert "held: quarantine\\\\_when" in shown
    for wrong in ({"decision": "approve"}, {"decision": "release"}, {"decision": "release", "comment": ""}):
        said = {"reviewer": reviewers_of(form)[0], **wrong}
        assert not resume_run(workplace.stack.api, row["flow_run_id"], said).accepted

    workplace.decide(row, "release", comment="a scan, named wrongly", exceptions={"page": "reject"})
    assert workplace.states() == {KEY: "submitted", OTHER: "rejected"}
    assert workplace.reviews() == []
    (released,) = (one for one in workplace.story(KEY)["events"] if one["action"] == "release")
    assert released["actor"].startswith("person:")
    assert released["body"]["details"]["findings"] == ["quarantine_when"]

    workplace.ingest()
    assert workplace.states() == {KEY: "in_review", OTHER: "rejected"}
    workplace.decide_all()
    assert workplace.library() == {KEY: sha256}
    assert workplace.actions(KEY).count("quarantine") == 1


def test_an_answer_without_a_form_releases_nothing(workplace: Workplace) -> None:
    """Scheduled by force: asked again, with the reason on top; a replaced file leaves nothing to decide."""
    workplace.put(OTHER, PAGE)
    workplace.ingest()
    row = held_review(workplace)
    forced = {"state": {"type": "SCHEDULED"}, "force": True}
    workplace.stack.api.post(f"flow_runs/{row['flow_run_id']}/set_state", forced)
    workplace.go_on(row["flow_run_id"])
    again = held_review(workplace)
    assert (again["round"], again["status"], workplace.states()) == (2, "parked", {OTHER: "quarantined"})
    workplace.put(OTHER, picture())
    workplace.ingest()
    assert [(one["stage"], one["assets"]) for one in workplace.reviews()] == [("editor", 1)]
    run = workplace.stack.api.read_run(again["flow_run_id"])
    assert run is not None
    assert run.type == "CANCELLED"
