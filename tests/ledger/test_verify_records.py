"""Records beside the chain: what was changed behind the triggers' back is found by asking the events."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ledger.decide import Ballot
from ledger.engine import Ledger
from ledger.held import decide_held
from ledger.review import load_review
from ledger.rounds import close_round
from ledger.told_events import Mismatch
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND_BY_TWO, RULE, ApprovalWorld
from tests.ledger.raw_sql import RawSql, asleep
from tests.ledger.test_held import open_review
from tests.ledger.test_ladder import HOUR, sweep, waits

OTHER_TERMS = "no event tells that it was opened with these terms"
NO_QUORUM = "it passed without its quorum of approvals by different people for different principals"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, new_ledger: Callable[[str], Ledger]) -> Iterator[tuple[Ledger, RawSql]]:
    """A ledger of some length, and a connection on which no trigger wakes."""
    world = ApprovalWorld(new_ledger(request.param))
    world.published("spring/a.jpg", "one")
    world.published("spring/a.jpg", "two")
    world.archived("spring/b.jpg", "three")
    world.in_review("spring/c.jpg", "four", BRAND_BY_TWO)
    world.screen(world.submit("spring/d.jpg", "five"), "automatic", rule=RULE)
    world.turned_down("spring/e.jpg", "six", "reject")
    world.submit("spring/e.jpg", "six")
    held = world.quarantined("spring/f.jpg", "seven")
    open_review(world)
    ((review_id,),) = world.ask("SELECT MAX(review_id) FROM reviews")
    with world.writing("system:decide_review") as tx:
        review = load_review(tx.connection, review_id)
        decide_held(tx, review, world.person("ole"), [Ballot(held, "release", "seen and good")])
        close_round(tx, review_id, review.round, "answered", "asked again")
    wait = next(one for one in waits(world) if one.gate)
    assert [str(one.rung.kind) for one in sweep(world, wait.since_at + 24 * HOUR)] == ["remind"]
    with RawSql(world.ledger.url) as raw:
        yield world.ledger, asleep(raw)


def test_sound_records_are_not_accused(told: tuple[Ledger, RawSql]) -> None:
    """What the verbs wrote is what the events tell."""
    with told[0].reading() as connection:
        assert verify_records(connection) == []


@pytest.mark.parametrize(
    ("change", "undo", "expected"),
    [
        ("UPDATE versions SET state = 'published' WHERE version_id = 4",
         "UPDATE versions SET state = 'in_review' WHERE version_id = 4",
         Mismatch("versions", "4", "its state, round or policy is not what its last event says")),
        ("UPDATE versions SET round = 7 WHERE version_id = 4",
         "UPDATE versions SET round = 1 WHERE version_id = 4",
         Mismatch("versions", "4", "its state, round or policy is not what its last event says")),
        ("UPDATE versions SET archived_from = 'withdrawn' WHERE version_id = 3",
         "UPDATE versions SET archived_from = 'rejected' WHERE version_id = 3",
         Mismatch("versions", "3", "its state, round or policy is not what its last event says")),
        ("UPDATE versions SET arrived_seq = arrived_seq + 1 WHERE version_id = 2",
         "UPDATE versions SET arrived_seq = arrived_seq - 1 WHERE version_id = 2",
         Mismatch("versions", "2", "its arrival is not that of its last submission")),
        ("UPDATE versions SET size_bytes = 7 WHERE version_id = 1",
         "UPDATE versions SET size_bytes = 3 WHERE version_id = 1",
         Mismatch("versions", "1", "its size_bytes is 7, submitted was 3")),
        ("UPDATE assets SET key = 'spring/x.jpg' WHERE asset_id = 2",
         "UPDATE assets SET key = 'spring/b.jpg' WHERE asset_id = 2",
         Mismatch("versions", "3", "its key is 'spring/x.jpg', submitted was 'spring/b.jpg'")),
        ("UPDATE lifecycle SET to_state = 'published' WHERE action = 'open_gates'",
         "UPDATE lifecycle SET to_state = 'in_review' WHERE action = 'open_gates'",
         Mismatch("lifecycle", "submitted open_gates in_review", "the step is missing")),
        ("UPDATE policies SET body = body || '#'", "UPDATE policies SET body = REPLACE(body, '#', '')",
         Mismatch("policies", "", "its text does not have the hash that versions are pinned to")),
        ("UPDATE policy_rules SET rule = 'other'", f"UPDATE policy_rules SET rule = '{RULE}'",
         Mismatch("events", "", "it approves what neither passed gates nor a rule of its policy allow")),
        ("UPDATE gates SET outcome = 'passed' WHERE version_id = 4",
         "UPDATE gates SET outcome = NULL WHERE version_id = 4",
         Mismatch("gates", "4", NO_QUORUM)),
        ("UPDATE gates SET outcome = 'voided' WHERE version_id = 2",
         "UPDATE gates SET outcome = 'passed' WHERE version_id = 2",
         Mismatch("events", "", "it approves what neither passed gates nor a rule of its policy allow")),
        ("UPDATE decisions SET verdict = 'approve' WHERE decision_id = 3",
         "UPDATE decisions SET verdict = 'reject' WHERE decision_id = 3",
         Mismatch("decisions", "3", "no event tells this decision, or not with this comment")),
        ("UPDATE decisions SET person_id = 2 WHERE decision_id = 1",
         "UPDATE decisions SET person_id = 1 WHERE decision_id = 1",
         Mismatch("decisions", "1", "no event tells this decision, or not with this comment")),
        ("UPDATE notes SET body = 'yes' WHERE note_id = 1", "UPDATE notes SET body = 'no' WHERE note_id = 1",
         Mismatch("decisions", "3", "no event tells this decision, or not with this comment")),
        ("UPDATE decisions SET sha256 = 'ff' WHERE decision_id = 2",
         "UPDATE decisions SET sha256 = (SELECT sha256 FROM versions WHERE version_id = 2) WHERE decision_id = 2",
         Mismatch("decisions", "2", "the bytes decided on are not those of the version")),
        ("UPDATE gates SET quorum = 1 WHERE version_id = 4", "UPDATE gates SET quorum = 2 WHERE version_id = 4",
         Mismatch("gates", "4", OTHER_TERMS)),
        ("UPDATE gates SET four_eyes = NOT four_eyes WHERE version_id = 4",
         "UPDATE gates SET four_eyes = NOT four_eyes WHERE version_id = 4", Mismatch("gates", "4", OTHER_TERMS)),
        ("UPDATE gates SET signature = 'totp' WHERE version_id = 4",
         "UPDATE gates SET signature = 'none' WHERE version_id = 4", Mismatch("gates", "4", OTHER_TERMS)),
        ("UPDATE gates SET round = 7 WHERE version_id = 4", "UPDATE gates SET round = 1 WHERE version_id = 4",
         Mismatch("gates", "4 1 brand", "an event tells a gate that is not recorded")),
        ("UPDATE gate_eligible SET person_id = 6, on_behalf_of = 6 WHERE gate_id = 4 AND person_id = 1",
         "UPDATE gate_eligible SET person_id = 1, on_behalf_of = 1 WHERE gate_id = 4 AND person_id = 6",
         Mismatch("gate_eligible", "4", "those who may decide there are not those whom its events tell")),
        ("UPDATE gate_eligible SET revoked_at = 9 WHERE gate_id = 4 AND person_id = 1",
         "UPDATE gate_eligible SET revoked_at = NULL WHERE gate_id = 4 AND person_id = 1",
         Mismatch("gate_eligible", "4", "those who may no longer decide there are not those whom its events tell")),
        ("UPDATE effects SET reason = 'another' WHERE effect_id = 1",
         "UPDATE effects SET reason = NULL WHERE effect_id = 1",
         Mismatch("effects", "1", "no event tells that it was opened, or not like this")),
        ("UPDATE effects SET effect_id = 99 WHERE status = 'open'",
         "UPDATE effects SET effect_id = (SELECT MAX(effect_id) FROM events) WHERE effect_id = 99",
         Mismatch("effects", "99", "no event tells that it was opened, or not like this")),
        ("UPDATE policy_activations SET activated_by = 'operator:eve'",
         "UPDATE policy_activations SET activated_by = 'operator:ada'",
         Mismatch("policy_activations", "1", "no event tells it, or not like this")),
        ("UPDATE policy_activations SET policy_sha256 = 'ff'",
         "UPDATE policy_activations SET policy_sha256 = (SELECT sha256 FROM policies)",
         Mismatch("policy_activations", "1", "no event tells it, or not like this")),
        ("UPDATE gate_eligible SET person_id = 6 WHERE gate_id = 1 AND person_id = 1",
         "UPDATE gate_eligible SET person_id = 1 WHERE gate_id = 1 AND person_id = 6",
         Mismatch("decisions", "1", "it counts at a gate where this person was never eligible")),
        ("UPDATE memberships SET person_id = 1 WHERE group_name = 'agency' AND person_id = 6",
         "UPDATE memberships SET person_id = 6 WHERE group_name = 'agency' AND person_id = 1",
         Mismatch("decisions", "1", "four eyes: it counts, though one of its people had submitted the version")),
        ("UPDATE held_decisions SET person_id = 1", "UPDATE held_decisions SET person_id = 5",
         Mismatch("held_decisions", "1", "no event tells this decision, or not with this comment")),
        ("UPDATE held_decisions SET note_id = 1 WHERE decision_id = 1",
         "UPDATE held_decisions SET note_id = (SELECT MAX(note_id) FROM notes) WHERE decision_id = 1",
         Mismatch("held_decisions", "1", "no event tells this decision, or not with this comment")),
        ("UPDATE rungs SET number = 1", "UPDATE rungs SET number = 0",
         Mismatch("rungs", "1", "no event tells that it fired")),
        ("UPDATE effects SET sha256 = 'ff' WHERE effect_id = 1",
         "UPDATE effects SET sha256 = (SELECT sha256 FROM versions WHERE version_id = 1) WHERE effect_id = 1",
         Mismatch("events", "", "it moves bytes without an effect that was done for them")),
    ],
)  # fmt: skip
def test_changed_records_are_found(told: tuple[Ledger, RawSql], change: str, undo: str, expected: Mismatch) -> None:
    """Each kind of change is among what is found, by table and key."""
    ledger, raw = told
    raw.execute(change)
    with ledger.reading() as connection:
        found = verify_records(connection)
    raw.execute(undo)
    with ledger.reading() as connection:
        assert verify_records(connection) == []
    assert any((one.table, one.reason) == (expected.table, expected.reason) for one in found), found
    assert any(one.key == (expected.key or one.key) for one in found if one.reason == expected.reason)


@pytest.mark.parametrize(
    ("action", "body", "missing"),
    [
        ("decide", "{}", "stage, on_behalf_of, verdict, counted, sha256, comment_hash"),
        ("decide", '{"details": {"stage": "brand", "on_behalf_of": 1, "verdict": "approve", "counted": true}}',
         "sha256, comment_hash"),
        ("decide", '{"details": 7}', "stage, on_behalf_of, verdict, counted, sha256, comment_hash"),
        ("submit", "[]", "bucket, key, number, sha256, size_bytes"),
        ("submit", "no JSON", "bucket, key, number, sha256, size_bytes"),
    ],
)  # fmt: skip
def test_an_event_that_tells_nothing_is_found(
    told: tuple[Ledger, RawSql], action: str, body: str, missing: str
) -> None:
    """An event without what its kind tells is named by its number; nothing crashes."""
    ledger, raw = told
    ((seq, true_body),) = raw.execute("SELECT seq, body FROM events WHERE action = ? ORDER BY seq LIMIT 1", action)
    raw.execute("UPDATE events SET body = ? WHERE seq = ?", body, seq)
    with ledger.reading() as connection:
        found = verify_records(connection)
    raw.execute("UPDATE events SET body = ? WHERE seq = ?", true_body, seq)
    assert Mismatch("events", str(seq), f"it does not tell {missing}") in found


def test_deleted_and_erased_words(told: tuple[Ledger, RawSql]) -> None:
    """A comment that was erased is no damage; a decision that was deleted is."""
    ledger, raw = told
    note = raw.execute("SELECT body FROM notes WHERE note_id = 1")[0][0]
    raw.execute("UPDATE notes SET body = NULL, erased_at = 1 WHERE note_id = 1")
    with ledger.reading() as connection:
        assert verify_records(connection) == []
    raw.execute("UPDATE notes SET body = ?, erased_at = NULL WHERE note_id = 1", note)
    raw.execute("DELETE FROM decisions WHERE decision_id = 3")
    with ledger.reading() as connection:
        found = verify_records(connection, limit=1)
    assert [(one.table, one.reason) for one in found] == [
        ("decisions", "an event tells a decision that is not recorded")
    ]
