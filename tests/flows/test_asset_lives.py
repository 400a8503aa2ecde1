"""What becomes of an asset over time: put again, replaced, rejected, embargoed, archived."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from tests.flows.library_watch import LibraryWatch
from tests.workplace import CLEARED, MakeWorkplace, Workplace

pytestmark = pytest.mark.stack

KEY = "text/slogan.txt"
FIRST, SECOND = "The first words of this slogan are plain.", "The second words of this slogan are better."


def test_a_second_ingest_finds_nothing_to_do(workplace: Workplace) -> None:
    """Run twice, nothing is written the second time: no event, no review, no call that makes a run."""
    workplace.put(KEY, FIRST)
    workplace.put("notes/one.txt", "A note that a rule approves, as its rights are clear.")
    workplace.ingest()
    everything = [
        f"SELECT count(*), max({column}) FROM {table}"
        for table, column in (("events", "seq"), ("versions", "version_id"), ("parkings", "created_at"))
    ]
    before = [workplace.rows(statement) for statement in everything]
    workplace.ingest()
    assert [workplace.rows(statement) for statement in everything] == before
    assert workplace.states() == {KEY: "in_review", "notes/one.txt": "published"}


def test_a_replaced_file_needs_an_approval_of_its_own(workplace: Workplace) -> None:
    """Version 1 stays published until version 2 is; then exactly the new bytes are readable."""
    first = workplace.put(KEY, FIRST)
    workplace.ingest()
    workplace.decide_all()
    assert workplace.library() == {KEY: first}
    workplace.put(KEY, FIRST)
    workplace.ingest()
    assert workplace.versions() == {(KEY, 1): "published"}
    second = workplace.put(KEY, SECOND)
    with LibraryWatch(workplace):
        workplace.ingest()
        assert workplace.versions() == {(KEY, 1): "published", (KEY, 2): "in_review"}
        assert workplace.library() == {KEY: first}
        workplace.decide_all()
    assert workplace.versions() == {(KEY, 1): "withdrawn", (KEY, 2): "published"}
    assert workplace.library() == {KEY: second}
    withdrawn = [event for event in workplace.story(KEY)["events"] if event["action"] == "withdraw"]
    assert [(event["version"], event["reason"]) for event in withdrawn] == [(1, "superseded")]


def test_a_newer_version_overtakes_one_that_waits(workplace: Workplace) -> None:
    """Replaced while it waits: the old version is superseded, its review closed, only the new bytes can be approved."""
    workplace.put(KEY, FIRST)
    workplace.ingest()
    (old,) = workplace.reviews()
    second = workplace.put(KEY, SECOND)
    workplace.ingest()
    assert workplace.versions() == {(KEY, 1): "superseded", (KEY, 2): "in_review"}
    (new,) = workplace.reviews()
    assert new["review"] != old["review"]
    run = workplace.stack.api.read_run(old["flow_run_id"])
    assert run is not None
    assert run.name == "Closed"
    workplace.decide(new)
    assert workplace.library() == {KEY: second}


def test_a_rejected_asset_that_is_put_again_is_looked_at_again(workplace: Workplace) -> None:
    """The submitter puts the same bytes again after a rejection: the same version, round 2, a review of its own."""
    sha256 = workplace.put(KEY, FIRST)
    workplace.ingest()
    workplace.decide(workplace.reviews()[0], "reject", comment="not our tone")
    assert workplace.states() == {KEY: "rejected"}
    workplace.ingest()
    assert workplace.states() == {KEY: "rejected"}, "lying there is no request"
    workplace.wait_for_another_second()
    workplace.put(KEY, FIRST)
    workplace.ingest()
    told = workplace.story(KEY)
    assert [(one["version"], one["state"], one["round"]) for one in told["versions"]] == [(1, "in_review", 2)]
    assert [event["action"] for event in told["events"] if event["to_state"]] == [
        "submit",
        "open_gates",
        "reject",
        "reopen",
        "open_gates",
    ]
    workplace.decide_all()
    assert workplace.library() == {KEY: sha256}


def test_old_rejects_move_to_the_archive(make_workplace: MakeWorkplace) -> None:
    """After 30 days a rejected version is copied, read back and recorded, and its working copy is freed; not before."""
    workplace = make_workplace(versioned=False)
    sha256 = workplace.put(KEY, FIRST)
    workplace.ingest()
    workplace.decide(workplace.reviews()[0], "reject", comment="not our tone")
    workplace.archive(CLOCK="+29d")
    assert workplace.states() == {KEY: "rejected"}
    assert sha256 in workplace.objects(workplace.buckets.workspace).values()
    workplace.archive(CLOCK="+31d")
    assert workplace.states() == {KEY: "archived"}
    assert list(workplace.objects(workplace.buckets.archive).values()) == [sha256]
    assert sha256 not in workplace.objects(workplace.buckets.workspace).values()
    custody = workplace.story(KEY)["custody"]
    assert [(one["form"], one["bucket"], one["released_at"] is None) for one in custody] == [
        ("copied", workplace.buckets.workspace, False),
        ("archived", workplace.buckets.archive, True),
    ]
    workplace.archive(CLOCK="+32d")
    assert workplace.actions(KEY)[-1] == "archive"


def test_an_embargoed_asset_stays_unpublished_until_its_day(workplace: Workplace) -> None:
    """Approved at every gate, it waits as approved; after its embargo the next sweep publishes it."""
    opening = datetime.now(UTC) + timedelta(days=10)
    embargo = {"id": "C-SECRET", "collection": "secret", "timezone": "UTC", "embargo": f"{opening:%Y-%m-%dT%H:%M}"}
    workplace.put_contracts(*CLEARED, embargo)
    sha256 = workplace.put("secret/launch.txt", "Nobody may read this before its day has come.")
    with LibraryWatch(workplace):
        workplace.ingest()
        workplace.decide_all()
        workplace.sweep()
        assert workplace.states() == {"secret/launch.txt": "approved"}
        assert workplace.library() == {}
    (effect,) = workplace.story("secret/launch.txt")["effects"]
    assert (effect["status"], effect["last_error"]) == ("open", "held back: its rights are embargoed (under_embargo)")
    workplace.sweep(CLOCK="+11d")
    assert workplace.library() == {"secret/launch.txt": sha256}


def test_what_was_approved_is_published_even_if_the_source_changes_meanwhile(workplace: Workplace) -> None:
    """The submitter replaces the file between the approval and the sweep: the approved bytes are published."""
    first = workplace.put("notes/one.txt", FIRST)
    workplace.put_contracts()
    workplace.ingest()
    workplace.put_contracts(*CLEARED)
    workplace.put("notes/one.txt", SECOND)
    workplace.decide_all()
    assert workplace.library() == {"notes/one.txt": first}
    assert hashlib.sha256(FIRST.encode()).hexdigest() == first
