"""Who left may not decide, and a review whose people have gone is asked of others."""

from __future__ import annotations

import pytest
import yaml

from tasks.prepare_ledger import prepare_ledger
from tasks.settings import load_settings
from tests.running_stack import SAMPLES
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY = "text/one.txt"


def import_roster(workplace: Workplace, editors: list[str]) -> None:
    """Bring in the sample roster with other editors."""
    roster = yaml.safe_load((SAMPLES / "roster.yaml").read_text(encoding="utf-8"))
    roster["groups"]["editors"] = editors
    (workplace.config.parent / "roster.yaml").write_text(yaml.safe_dump(roster), encoding="utf-8")
    prepare_ledger(load_settings(workplace.config, {"roster": str(workplace.config.parent / "roster.yaml")}))


def test_a_review_whose_people_left_the_group_is_asked_of_those_who_came(workplace: Workplace) -> None:
    """At once, who left may not decide; the next sweep parks the review for the others, and closes the old run."""
    roster = yaml.safe_load((SAMPLES / "roster.yaml").read_text(encoding="utf-8"))
    before = roster["groups"]["editors"]
    come = sorted({one["handle"] for one in roster["people"]} - set(before) - set(roster["groups"].get("studio", [])))
    workplace.put(KEY, "Plain words, long enough to be taken for text.")
    workplace.ingest()
    (row,) = workplace.reviews()
    import_roster(workplace, [come[0]])
    revoked = "SELECT count(*) FROM gate_eligible WHERE revoked_at IS NOT NULL"
    assert workplace.rows(revoked) == [(len(before),)]
    assert workplace.reviews()[0]["status"] == "to_park"
    workplace.enforce()
    (again,) = workplace.reviews()
    assert [one.split(" · ")[0] for one in reviewers_of(workplace.form(again))] == [come[0]]
    old = workplace.stack.api.read_run(row["flow_run_id"])
    assert old is not None
    assert old.type == "CANCELLED"
    workplace.decide(again)
    assert list(workplace.library()) == [KEY]
    seen = workplace.rows("SELECT count(*) FROM events WHERE action = 'change_eligibility'")
    workplace.enforce()
    assert workplace.rows("SELECT count(*) FROM events WHERE action = 'change_eligibility'") == seen == [(1,)]
