"""Records beside the chain: what was changed behind the triggers' back is found by asking the events."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ledger.decide import Ballot
from ledger.delegations import delegate_part
from ledger.engine import Ledger
from ledger.grants import import_grants
from ledger.held import decide_held
from ledger.review import load_review
from ledger.rounds import close_round
from ledger.screen import ClearanceRecord, Recheck, record_rechecks
from ledger.told_events import Mismatch
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND_BY_TWO, RULE, ApprovalWorld
from tests.ledger.raw_sql import RawSql, asleep
from tests.ledger.test_held import open_review
from tests.ledger.test_ladder import HOUR, sweep, waits
from tests.ledger.test_waivers import blocked

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
    waived = blocked(world, "eight", "unknown", "no_licence")
    world.park()
    world.vote(world.review_of(waived, "brand"), "lea", "approve")
    world.vote(world.review_of(waived, "legal"), "kim", "waive", "we know the photographer")
    reasons = '[{"code":"no_licence"},{"code":"licence_ending"}]'
    checked = ClearanceRecord(waived, "{}", "unknown", reasons, "[]", "digest", None)
    with world.writing() as tx:
        record_rechecks(tx, [Recheck(checked, 1, world.policy, "unknown", "digest")])
        import_grants(tx, "contracts.csv", "e1", "ab" * 32, {"g1": '{"id":"g1"}', "g2": '{"id":"g2"}'})
    with world.writing() as tx:
        import_grants(tx, "contracts.csv", "e2", "cd" * 32, {"g1": '{"id":"g1"}'})
        delegate_part(tx, "lea", "ben", world.now + HOUR, world.now + 2 * HOUR)
    world.carry_out(waived)
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
         "UPDATE effects SET effect_id = (SELECT e.effect_id FROM events e WHERE e.version_id = effects.version_id "
         "AND action = 'open_effect') WHERE effect_id = 99",
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
        ("UPDATE decisions SET decided_at = decided_at + 1 WHERE decision_id = 1",
         "UPDATE decisions SET decided_at = decided_at - 1 WHERE decision_id = 1",
         Mismatch("decisions", "1", "no event tells this decision, or not with this comment")),
        ("UPDATE waivers SET codes = '[\"no_licence\",\"unknown_code\"]'",
         "UPDATE waivers SET codes = '[\"no_licence\"]'",
         Mismatch("decisions", "", "no event tells this decision, or not with this comment")),
        ("UPDATE waivers SET decision_id = 1",
         "UPDATE waivers SET decision_id = (SELECT MAX(decision_id) FROM decisions)",
         Mismatch("decisions", "1", "no event tells this decision, or not with this comment")),
        ("UPDATE effects SET status = 'cancelled' WHERE effect_id = 1",
         "UPDATE effects SET status = 'done' WHERE effect_id = 1",
         Mismatch("effects", "1", "it is open, done or cancelled, and the events tell otherwise")),
        ("UPDATE effects SET status = 'done', attempts = 77 WHERE status = 'open'",
         "UPDATE effects SET status = 'open', attempts = 0 WHERE attempts = 77",
         Mismatch("effects", "", "it is open, done or cancelled, and the events tell otherwise")),
        ("INSERT INTO policy_rules SELECT sha256, 'everything' FROM policies",
         "DELETE FROM policy_rules WHERE rule = 'everything'",
         Mismatch("policy_rules", "", "they are not those that were stored with the policy")),
        ("UPDATE screenings SET facts = REPLACE(facts, 'image', 'video') WHERE version_id = 4",
         "UPDATE screenings SET facts = REPLACE(facts, 'video', 'image') WHERE version_id = 4",
         Mismatch("screenings", "4 1", "its facts are not those that its event tells")),
        ("UPDATE screenings SET kind = 'video' WHERE version_id = 4",
         "UPDATE screenings SET kind = 'image' WHERE version_id = 4",
         Mismatch("screenings", "4 1", "its facts are not those that its event tells")),
        ("UPDATE verdicts SET revision = 'r2' WHERE verdict_id = 1",
         "UPDATE verdicts SET revision = 'r1' WHERE verdict_id = 1",
         Mismatch("screenings", "1 1", "its verdict is not that of the model that its event tells")),
        ("UPDATE screenings SET verdict_id = 1 WHERE version_id = 2",
         "UPDATE screenings SET verdict_id = 2 WHERE version_id = 2",
         Mismatch("screenings", "2 1", "its verdict is one of other bytes")),
        ("UPDATE screenings SET route = '[]' WHERE version_id = 4",
         "UPDATE screenings SET route = '{}' WHERE version_id = 4",
         Mismatch("screenings", "4 1", "its route or clearance is not what its event tells")),
        ("UPDATE clearances SET status = 'expired' WHERE clearance_id = 2",
         "UPDATE clearances SET status = 'cleared' WHERE clearance_id = 2",
         Mismatch("screenings", "2 1", "its route or clearance is not what its event tells")),
        ("UPDATE clearances SET digest = 'x' WHERE reasons LIKE '%licence_ending%'",
         "UPDATE clearances SET digest = 'digest' WHERE digest = 'x'",
         Mismatch("clearances", "", "no event tells of this rights check")),
        ("UPDATE clearances SET version_id = 1 WHERE reasons LIKE '%licence_ending%'",
         "UPDATE clearances SET version_id = (SELECT version_id FROM waivers w JOIN decisions d ON d.decision_id = "
         "w.decision_id JOIN gates g ON g.gate_id = d.gate_id) WHERE reasons LIKE '%licence_ending%'",
         Mismatch("clearances", "", "an event tells a rights check that is not recorded")),
        ("UPDATE screenings SET version_id = 99 WHERE version_id = 4",
         "UPDATE screenings SET version_id = 4 WHERE version_id = 99",
         Mismatch("screenings", "4 1", "an event tells a screening that is not recorded")),
        ("UPDATE grants SET body = '{}' WHERE grant_id = 'g1'",
         "UPDATE grants SET body = '{\"id\":\"g1\"}' WHERE grant_id = 'g1'",
         Mismatch("grants", "contracts.csv", "they are not those that the event of their last import tells")),
        ("UPDATE grants SET retired_at = NULL WHERE grant_id = 'g2'",
         "UPDATE grants SET retired_at = 1 WHERE grant_id = 'g2'",
         Mismatch("grants", "contracts.csv", "they are not those that the event of their last import tells")),
        ("UPDATE grants SET source = 'elsewhere' WHERE grant_id = 'g2'",
         "UPDATE grants SET source = 'contracts.csv' WHERE grant_id = 'g2'",
         Mismatch("grants", "2", "no event tells of an import from its source")),
        ("UPDATE review_gates SET gate_id = 99 WHERE gate_id = 4",
         "UPDATE review_gates SET gate_id = 4 WHERE gate_id = 99",
         Mismatch("reviews", "", "an event tells that it asks about what is not recorded")),
        ("UPDATE review_gates SET position = 7 WHERE gate_id = 4",
         "UPDATE review_gates SET position = 1 WHERE gate_id = 4",
         Mismatch("review_gates", "", "no event tells that it asks about this")),
        ("UPDATE parkings SET basis = basis || ' ' WHERE review_id = 1 AND round = 1",
         "UPDATE parkings SET basis = RTRIM(basis) WHERE review_id = 1 AND round = 1",
         Mismatch("parkings", "1 1", "no event tells that it was parked like this")),
        ("UPDATE parkings SET flow_run_id = 'x' WHERE review_id = 1 AND round = 1",
         "UPDATE parkings SET flow_run_id = 'run-1-1' WHERE flow_run_id = 'x'",
         Mismatch("parkings", "1 1", "no event tells that it was parked like this")),
        ("UPDATE people SET left_at = 1 WHERE person_id = 2", "UPDATE people SET left_at = NULL WHERE person_id = 2",
         Mismatch("people", "2", "that this person is there, or has left, is not what the events tell")),
        ("UPDATE memberships SET removed_at = 1 WHERE membership_id = 1",
         "UPDATE memberships SET removed_at = NULL WHERE membership_id = 1",
         Mismatch("memberships", "1", "no event tells that it began and ended like this")),
        ("UPDATE memberships SET added_at = added_at - 1 WHERE membership_id = 1",
         "UPDATE memberships SET added_at = added_at + 1 WHERE membership_id = 1",
         Mismatch("memberships", "1", "no event tells that it began and ended like this")),
        ("UPDATE memberships SET group_name = 'crowd' WHERE membership_id = 1",
         "UPDATE memberships SET group_name = 'agency' WHERE membership_id = 1",
         Mismatch("memberships", "", "an event tells a membership that is not recorded")),
        ("UPDATE delegations SET delegate_id = 3", "UPDATE delegations SET delegate_id = 2",
         Mismatch("delegations", "1", "no event tells that it was handed over, or ended, like this")),
        ("UPDATE delegations SET ends_at = ends_at + 1", "UPDATE delegations SET ends_at = ends_at - 1",
         Mismatch("delegations", "1", "no event tells that it was handed over, or ended, like this")),
        ("UPDATE delegations SET revoked_at = 1", "UPDATE delegations SET revoked_at = NULL",
         Mismatch("delegations", "1", "no event tells that it was handed over, or ended, like this")),
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
