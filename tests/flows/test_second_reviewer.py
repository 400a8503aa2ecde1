"""Who decides second at a gate sees that somebody has decided, and not what; what left the review is named."""

from __future__ import annotations

import json

import pytest

from tasks.park_run import DESCRIPTION, RESPONSE, SCHEMA
from tests.workplace import MakeWorkplace, assets_of, policy_text, reviewers_of

pytestmark = pytest.mark.stack

KEPT, TURNED_DOWN, REPLACED = "text/kept.txt", "text/turned-down.txt", "text/replaced.txt"
VERDICTS = ("approved", "has approved", "requested", "rejected", "turned down", "WORDS")


def test_the_second_sees_that_the_first_has_decided(make_workplace: MakeWorkplace) -> None:
    """Neither form, table, schema, name, tags nor the earlier run tell the verdict or the words of the first one."""
    editors = "{name: editor, default: true, reviewers: editors, quorum: 1"
    workplace = make_workplace(policy=policy_text().replace(editors, editors.replace("quorum: 1", "quorum: 2")))
    for key in (KEPT, TURNED_DOWN, REPLACED):
        workplace.put(key, f"The words of {key} are plain, and there are enough of them.")
    workplace.ingest()
    (row,) = workplace.reviews()
    first = reviewers_of(workplace.form(row))[0]
    workplace.put(REPLACED, "Other words than those before, in a version that is newer.")
    workplace.ingest()
    before = workplace.review_of("kept.txt")
    assert before["flow_run_id"] == row["flow_run_id"]
    workplace.decide(row, "approve", comment="WORDS of the first", exceptions={"turned-down": "request_changes"})

    again = workplace.review_of("kept.txt")
    api = workplace.stack.api
    texts = [api.read_input(again["flow_run_id"], name) or "" for name in (DESCRIPTION, SCHEMA)]
    run = api.find(f"flow_runs/{again['flow_run_id']}")
    form = workplace.form(again)
    told = "\n".join([*texts, run["name"], *run["tags"]]).replace(form["properties"]["comment"]["description"], "")
    assert [word for word in VERDICTS if word in told] == []
    description = json.loads(texts[0])
    assert "has decided on 2 of 3 assets" in description
    assert "needs 2 approvals; one person has decided" in description.replace("\\", "")
    assert "replaced.txt has left: a newer version is looked at instead" in description.replace("\\", "")
    assert [one.split(" · ")[1] for one in assets_of(form)] == ["kept.txt"]
    assert first not in reviewers_of(form)
    for name in (RESPONSE, SCHEMA, DESCRIPTION):
        assert api.read_input(row["flow_run_id"], name) is None
    opinions = "SELECT counted, count(*) FROM decisions GROUP BY counted ORDER BY counted"
    assert workplace.rows(opinions) == [(False, 1), (True, 2)]
    workplace.decide(again)
    assert list(workplace.library()) == [KEPT]
