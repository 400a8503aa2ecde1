"""People are told of their reviews by the deployed flow, and Prefect hears what happened to each as events."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.send_notices import send_notices
from ledger.review_news import ledger_id
from tasks.tell_prefect import tell_prefect
from tests.mail_server import mail_server
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
KEPT_WITHIN_S = 60.0


def events_of(workplace: Workplace, expected: int) -> list[Mapping[str, Any]]:
    """The events that the server keeps of this ledger's reviews, in order; it writes them a little later."""
    with workplace.resources.ledger.reading() as connection:
        ledger = ledger_id(connection)
    wanted = {
        "event": {"prefix": ["signoff.review."]}, "resource": {"labels": {"signoff.ledger": [ledger]}}, "order": "ASC",
    }  # fmt: skip
    return sorted(awaited(workplace, wanted, expected), key=lambda one: int(one["resource"]["signoff.seq"]))


def awaited(workplace: Workplace, wanted: Mapping[str, Any], expected: int) -> list[Mapping[str, Any]]:
    """Events of the server, once there are as many as expected."""
    deadline = time.monotonic() + KEPT_WITHIN_S
    while True:
        found: list[Mapping[str, Any]] = workplace.stack.api.post("events/filter", {"filter": wanted, "limit": 50})[
            "events"
        ]
        if len(found) >= expected or time.monotonic() > deadline:
            return found
        time.sleep(0.2)  # between two looks at what the server has written


def automation_of_the_guide(stage: str) -> dict[str, Any]:
    """The automation that docs/operator.md shows, for reviews of this stage that are opened; it does nothing."""
    text = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = yaml.safe_load(
        text.partition("```yaml\n# automation.yaml")[2].partition("\n")[2].partition("```")[0]
    )
    assert shown["trigger"]["expect"] == ["signoff.review.overdue"]
    shown["trigger"]["expect"] = ["signoff.review.opened"]
    shown["trigger"]["match_related"]["prefect.resource.id"] = f"signoff.stage.{stage}"
    return shown | {"actions": [{"type": "do-nothing"}]}


def test_prefect_hears_what_happened_to_reviews(workplace: Workplace) -> None:
    """Opened, decided and closed, each once, with stage, collection and run; told again, nothing is new."""
    workplace.put("text/kept.txt", "The first words of a text that is kept.")
    workplace.put("text/dropped.txt", "The words of a text that nobody will want to keep.")
    workplace.ingest()
    (row,) = workplace.reviews()
    asked = sorted(one.split(" · ")[0] for one in reviewers_of(workplace.form(row)))
    told = workplace.rows("SELECT handle, kind, review_id FROM notices JOIN people USING (person_id) ORDER BY handle")
    assert told == [(handle, "opened", row["review"]) for handle in asked]
    tags = workplace.stack.api.find(f"flow_runs/{row['flow_run_id']}")["tags"]
    assert {"signoff", f"stage:{row['stage']}", *(f"for:{handle}" for handle in asked)} <= set(tags)
    workplace.enforce(CLOCK=(row["due_at"] - timedelta(minutes=1)).isoformat())
    run = workplace.stack.api.find(f"flow_runs/{row['flow_run_id']}")
    assert (sorted({*run["tags"]} - {*tags}), run["name"].rpartition(" · ")[2]) == (["due-today"], "due-today")
    automation = workplace.stack.api.post("automations/", automation_of_the_guide(row["stage"]))["id"]
    with mail_server() as box:
        channels = {"NOTICES__CHANNELS": json.dumps({"post": box.address()}), "NOTICES__MAIL": "post"}
        workplace.run(send_notices, **channels, NOTICES__HOLD_MINUTES='{"opened": 0}')
        emails = workplace.rows("SELECT email FROM people JOIN notices USING (person_id) ORDER BY email")
        assert sorted(letter.recipients for letter in box.letters) == [list(one) for one in emails] != []
        assert {letter.text.splitlines()[-1].strip() for letter in box.letters} == {row["url"]}
    (opened,) = events_of(workplace, 1)
    assert opened["event"] == "signoff.review.opened"
    assert opened["resource"]["prefect.resource.id"] == f"signoff.review.{row['review']}"
    assert [(one["prefect.resource.role"], one["prefect.resource.id"]) for one in opened["related"]] == [
        ("stage", f"signoff.stage.{row['stage']}"),
        ("collection", f"signoff.collection.{row['collection']}"),
        ("flow-run", f"prefect.flow-run.{row['flow_run_id']}"),
    ]
    assert opened["payload"] == {
        "review": row["review"], "round": 1, "stage": row["stage"], "collection": row["collection"],
        "due_at": row["due_at"].isoformat(), "verdicts": {},
    }  # fmt: skip
    workplace.decide(row, exceptions={"dropped": "reject"})
    assert tell_prefect(workplace.resources) == 2
    found = events_of(workplace, 3)
    news = workplace.rows("SELECT DISTINCT handle FROM notices JOIN people USING (person_id) WHERE kind = 'decided'")
    studio = workplace.rows("SELECT handle FROM memberships JOIN people USING (person_id) WHERE group_name = 'studio'")
    assert sorted(news) == sorted(studio) != []
    assert [one["event"] for one in found] == [
        "signoff.review.opened",
        "signoff.review.decided",
        "signoff.review.closed",
    ]
    assert found[1]["payload"]["verdicts"] == {"approve": 1, "reject": 1}
    assert tell_prefect(workplace.resources) == 0
    acted = {
        "event": {"name": ["prefect.automation.triggered"]},
        "resource": {"id": [f"prefect.automation.{automation}"]},
    }
    assert len(awaited(workplace, acted, 1)) == 1
    workplace.stack.api.call("DELETE", f"automations/{automation}")
