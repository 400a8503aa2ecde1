"""Screen: what was found is recorded, and the step it leads to is taken in the same transaction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ledger.errors import RuleBroken, StaleVersion
from ledger.reader import archive_candidates, count_by_state, count_screenings, listing, publication_basis
from ledger.screen import (
    ClearanceRecord,
    InspectionRecord,
    VerdictRecord,
    clearance_sha256,
    record_inspections,
    record_screenings,
    record_verdicts,
    screening_sha256,
    verdict_ids,
)
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, LEGAL_AFTER, RULE, ApprovalWorld


def test_quarantine(world: ApprovalWorld) -> None:
    """The reason stands in the event, with the facts that were seen."""
    version_id = world.quarantined()
    assert world.state(version_id) == "quarantined"
    ((reason, body),) = world.ask("SELECT reason, body FROM events WHERE action = 'quarantine'")
    verdict = {"classifier": "images", "model": "model", "revision": "r1", "label_set": "labels"}
    cleared = clearance_sha256(ClearanceRecord(version_id, "{}", "cleared", "[]", '["g1"]', "digest", None))
    seen = {"facts": {"kind": "image", "size": 3}, "verdict": verdict, "screening": screening_sha256("{}", cleared)}
    assert (reason, json.loads(body)["details"]) == ("type_mismatch", seen)


def test_automatic_approval_opens_its_publication(world: ApprovalWorld) -> None:
    """Approved by a rule that the event names, with an open publish effect for these bytes."""
    submission = world.submit()
    world.screen(submission, "automatic", rule=RULE)
    assert world.story(1) == ["submit", "approve", "open_effect"]
    assert world.ask("SELECT rule, policy_sha256 FROM events WHERE action = 'approve'") == [(RULE, world.policy)]
    assert world.ask("SELECT kind, sha256, status FROM effects") == [("publish", submission.arrival.sha256, "open")]


def test_review_opens_the_first_step(world: ApprovalWorld) -> None:
    """Gates get their terms and eligible people; only the first step is open; submitters are not among the people."""
    submission = world.submit()
    world.screen(submission, "review", LEGAL_AFTER, BRAND_BY_TWO)
    rows = world.ask("SELECT stage, step, quorum, opened_at IS NOT NULL FROM gates ORDER BY step")
    assert rows == [("brand", 0, 2, True), ("legal", 1, 1, False)]
    people = world.ask(
        "SELECT g.stage, p.handle, e.via FROM gate_eligible e JOIN gates g ON g.gate_id = e.gate_id "
        "JOIN people p ON p.person_id = e.person_id ORDER BY g.stage, p.handle"
    )
    assert people == [
        ("brand", "ben", "group"),
        ("brand", "lea", "group"),
        ("legal", "kim", "group"),
        ("legal", "lea", "group"),
    ]


def test_owners_help_where_a_quorum_is_out_of_reach(world: ApprovalWorld) -> None:
    """Too few eligible people: the owner group is added; if it is too small still, the trail says so."""
    world.screen(world.submit(), "review", replace(BRAND, quorum=3))
    world.screen(world.submit("spring/b.jpg", "b"), "review", replace(BRAND, quorum=4))
    rows = world.ask("SELECT gate_id, COUNT(*) FROM gate_eligible GROUP BY gate_id ORDER BY gate_id")
    assert rows == [(1, 3), (2, 3)]
    assert world.ask("SELECT version_id, reason FROM events WHERE action = 'gate_cannot_pass'") == [
        (2, "stage brand needs 4 approvals and has 3 eligible people")
    ]


def test_leaving_screening_supersedes_older_versions(world: ApprovalWorld) -> None:
    """What waits or is approved ends; its gates are voided, its open effect cancelled; what is published stays."""
    published = world.published("spring/a.jpg", "one")
    approved = world.approved("spring/a.jpg", "two")
    waiting = world.submit("spring/a.jpg", "three")
    newest = world.submit("spring/a.jpg", "four")
    world.screen(newest, "review", BRAND)
    states = [world.state(one) for one in (published, approved, waiting.version_id, newest.version_id)]
    assert states == ["published", "superseded", "superseded", "in_review"]
    assert world.ask("SELECT status FROM effects ORDER BY effect_id") == [("done",), ("cancelled",)]


def test_superseding_voids_open_gates(world: ApprovalWorld) -> None:
    """Nobody is asked about bytes that have been replaced."""
    world.superseded()
    assert world.ask("SELECT outcome FROM gates ORDER BY gate_id") == [("voided",), (None,)]


def test_a_quarantined_version_supersedes_nothing(world: ApprovalWorld) -> None:
    """While the newer version is held back, the older one goes on."""
    older = world.in_review("spring/a.jpg", "one")
    world.screen(world.submit("spring/a.jpg", "two"), "quarantine", rule="type_mismatch")
    assert world.state(older) == "in_review"


def test_two_versions_of_an_asset_in_one_batch(world: ApprovalWorld) -> None:
    """Left over from a crash and approved together: the older is superseded, only the newer is published."""
    first, second = world.submit("spring/a.jpg", "one"), world.submit("spring/a.jpg", "two")
    screened = [replace(world.screened(one, "automatic", rule=RULE), verdict_key=None) for one in (first, second)]
    with world.writing() as tx:
        record_screenings(tx, screened, {})
    assert [world.state(one.version_id) for one in (first, second)] == ["superseded", "approved"]
    assert world.ask("SELECT version_id, status FROM effects") == [(second.version_id, "open")]


@pytest.mark.parametrize("outcome", ["quarantine", "automatic", "review"])
def test_a_version_that_moved_meanwhile_is_stale(world: ApprovalWorld, outcome: str) -> None:
    """Screened once by somebody else, or in a round that is over: nothing is written, and the ids are named."""
    submission = world.submit()
    screened = world.screened(submission, outcome, (BRAND,) if outcome == "review" else (), RULE)
    screened = replace(screened, verdict_key=None)
    with pytest.raises(StaleVersion) as caught, world.writing() as tx:
        record_screenings(tx, [replace(screened, round=2)], {})
    assert caught.value.version_ids == (submission.version_id,)
    with world.writing() as tx:
        record_screenings(tx, [screened], {})
    events = world.ask("SELECT COUNT(*) FROM events")
    with pytest.raises(StaleVersion), world.writing() as tx:
        record_screenings(tx, [screened], {})
    assert world.ask("SELECT COUNT(*) FROM events") == events


def test_a_rule_that_the_policy_lacks_approves_nothing(world: ApprovalWorld) -> None:
    """The database refuses it, and nothing of the batch is kept."""
    submission = world.submit()
    with pytest.raises(RuleBroken, match=r"^rule 3: automatic approval needs a rule of the pinned policy"):
        world.screen(submission, "automatic", rule="anything")
    assert (world.state(1), world.ask("SELECT COUNT(*) FROM screenings")) == ("submitted", [(0,)])


def test_a_reopened_version_is_screened_anew(world: ApprovalWorld) -> None:
    """Each round has its own screening and its own gates."""
    version_id = world.turned_down("spring/a.jpg", "one", "reject")
    world.screen(world.submit("spring/a.jpg", "one"), "review", BRAND)
    assert world.ask("SELECT round FROM screenings ORDER BY round") == [(1,), (2,)]
    assert world.ask("SELECT version_id, round, outcome FROM gates ORDER BY gate_id") == [
        (version_id, 1, "rejected"), (version_id, 2, None)
    ]  # fmt: skip


def test_inspections_and_verdicts_are_kept_once(world: ApprovalWorld) -> None:
    """By content and inspector, by content and model revision and label set; the first ones stay."""
    inspection = InspectionRecord("ab" * 32, "i1", "image/png", "image", None, None, None, '{"text": null}')
    verdict = VerdictRecord("ab" * 32, "images", "m", "r1", "l", None, None, None, None, None, None, "too small")
    for _ in range(2):
        with world.writing() as tx:
            record_inspections(tx, [inspection, replace(inspection, kind="other")])
            record_verdicts(tx, [verdict, replace(verdict, revision="r2", label="portrait", abstained=None)])
    assert world.ask("SELECT sha256, kind FROM inspections") == [("ab" * 32, "other")]
    with world.ledger.reading() as connection:
        assert verdict_ids(connection, ["ab" * 32]) == {
            ("ab" * 32, "images", "m", "r1", "l"): 1,
            ("ab" * 32, "images", "m", "r2", "l"): 2,
        }


def test_what_readers_are_told(world: ApprovalWorld) -> None:
    """Listing, counts, publication basis and archive candidates of a ledger with three assets."""
    world.published("spring/a.jpg", "one")
    world.quarantined("spring/b.jpg", "two")
    world.turned_down("summer/c.jpg", "three", "reject")
    with world.ledger.reading() as connection:
        assert count_by_state(connection) == {"published": 1, "quarantined": 1, "rejected": 1}
        assert count_screenings(connection) == 3
        listed = listing(connection)
        assert [(row["key"], row["state"], row["label"], row["clearance"]) for row in listed] == [
            ("spring/a.jpg", "published", "portrait", "cleared"),
            ("spring/b.jpg", "quarantined", "portrait", "cleared"),
            ("summer/c.jpg", "rejected", "portrait", "cleared"),
        ]
        assert [row["key"] for row in listing(connection, states=["rejected"])] == ["summer/c.jpg"]
        assert [row["key"] for row in listing(connection, keys="spring/", limit=1)] == ["spring/a.jpg"]
        (basis,) = publication_basis(connection, [1]).values()
        assert (basis.key, basis.clearance, basis.digest, basis.passed_stages, basis.inspection) == (
            "spring/a.jpg", "cleared", "digest", frozenset({"brand"}), "{}"
        )  # fmt: skip
        (candidate,) = archive_candidates(connection, ["rejected"])
        assert (candidate["version_id"], candidate["facts"]) == (3, {"kind": "image", "size": 5})
