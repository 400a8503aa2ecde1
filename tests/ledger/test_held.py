"""The quarantine in the ledger: put before its owner once, released with its findings named, rejected, or ended."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ledger.decide import Ballot, Decided
from ledger.forget import forget_person
from ledger.held import decide_held, held_without_review, open_held_reviews, overrides_of
from ledger.ladder import fire_due
from ledger.reader import unscreened, waiting_reviews
from ledger.review import load_review
from ledger.rounds import close_emptied_reviews, close_round
from ledger.transaction import Origin
from ledger.waits import reviews_of_person, rungs_of_reviews, waiting_versions
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_eligibility import regroup
from tests.ledger.test_ladder import HOUR, is_sound, terms

REASON = "seen and good"


@pytest.fixture
def held(world: ApprovalWorld) -> list[int]:
    """Two versions in quarantine, put before the owners in one parked review."""
    versions = [quarantined(world, f"spring/{one}.jpg", one) for one in ("a", "b")]
    open_review(world)
    return versions


def quarantined(world: ApprovalWorld, key: str, content: str) -> int:
    """A version held for two findings."""
    return world.quarantined(key, content, json.dumps({"findings": ["inspection_failed", "quarantine_when"]}))


def open_review(world: ApprovalWorld) -> list[int]:
    """Put everything that is held before the owners, and park it."""
    with world.writing("system:ingest_assets") as tx:
        waiting = held_without_review(tx.connection)
        groups = [("owners", world.now + timedelta(days=2), waiting)] if waiting else []
        opened = open_held_reviews(tx, groups)
    world.park()
    return opened


def say(world: ApprovalWorld, handle: str, verdict: str, *versions: int, comment: str | None = REASON) -> Decided:
    """Answer the last round of the first review."""
    with world.writing("system:decide_review") as tx:
        review = load_review(tx.connection, 1)
        ballots = [Ballot(one, verdict, comment) for one in versions]
        decided = decide_held(tx, review, world.person(handle), ballots)
        close_round(tx, 1, review.round, "answered", "asked again")
    return decided


def test_what_is_held_is_put_before_its_owner_once(world: ApprovalWorld, held: list[int]) -> None:
    """One review with both, its people the owner group as it is now; a second sweep opens nothing."""
    assert open_review(world) == []
    with world.ledger.reading() as connection:
        review = load_review(connection, 1)
        (row,) = waiting_reviews(connection)
        assert reviews_of_person(connection, "ole") == {1}
        assert reviews_of_person(connection, "lea") == frozenset()
    assert (row["stage"], row["assets"], row["status"]) == ("quarantine", 2, "parked")
    assert [(one.gate_id, one.findings, one.held_because) for one in review.items] == [
        (version_id, ("inspection_failed", "quarantine_when"), "type_mismatch") for version_id in held
    ]
    assert [one.handle for one in review.people] == ["ole"]
    regroup(world, owners=["kim"])
    with world.ledger.reading() as connection:
        assert [one.handle for one in load_review(connection, 1).people] == ["kim"]


def test_a_release_names_what_it_overrides(world: ApprovalWorld, held: list[int]) -> None:
    """The released one goes back to screening, the other is asked about again; who, what and why are kept."""
    first, second = held
    assert say(world, "ole", "release", first).counted == (first,)
    assert (world.state(first), world.state(second)) == ("submitted", "quarantined")
    with world.ledger.reading() as connection:
        named = [(first, "inspection_failed"), (first, "quarantine_when")]
        assert overrides_of(connection, held) == named
        assert [one.version_id for one in unscreened(connection)] == [first]
        assert [one.is_open for one in load_review(connection, 1).items] == [False, True]
    assert world.ask("SELECT actor FROM events WHERE action = 'release'") == [(f"person:{world.person('ole')}",)]
    assert world.ask("SELECT body FROM notes") == [(REASON,)]
    assert world.ask("SELECT verdict, counted FROM held_decisions") == [("release", True)]
    world.park()
    assert say(world, "ole", "reject", second).turned_down == (second,)
    assert world.state(second) == "rejected"
    assert world.ask("SELECT COUNT(*) FROM reviews WHERE closed_at IS NULL") == [(0,)]
    is_sound(world)


def test_forgetting_a_person_erases_their_reasons(world: ApprovalWorld, held: list[int]) -> None:
    """What was said of what is held goes with the other words; the decision stays, by number."""
    say(world, "ole", "reject", *held)
    with world.writing("operator:ada") as tx:
        forgotten = forget_person(tx, "ole")
    assert (forgotten.decisions, len(forgotten.note_ids)) == (2, 2)
    assert world.ask("SELECT DISTINCT body FROM notes") == [(None,)]
    is_sound(world)


def test_the_form_of_who_is_forgotten_is_replaced(world: ApprovalWorld, held: list[int]) -> None:
    """An owner of what is held is offered nowhere any more; who is none changes nothing."""
    with world.writing("operator:ada") as tx:
        assert forget_person(tx, "lea").forms == ()
        assert forget_person(tx, "ole").forms == ((1, 1),)
    assert world.ask("SELECT round, status FROM parkings ORDER BY round") == [(1, "replaced"), (2, "to_park")]
    assert {world.state(one) for one in held} == {"quarantined"}
    is_sound(world)


def test_wrong_answers_decide_nothing(world: ApprovalWorld, held: list[int]) -> None:
    """A stranger, an approval, no reason, a stranger's asset: refused, each with its reason."""
    first, second = held
    for handle, verdict, comment, reason in (
        ("lea", "release", REASON, "this person may not decide here"),
        ("ole", "approve", REASON, "what is held is released or rejected"),
        ("ole", "release", " ", "a reason is needed to release and to reject"),
    ):
        assert say(world, handle, verdict, first, comment=comment).refused == {first: reason}
        world.park()
    assert say(world, "ole", "release", 999).refused == {999: "this asset is not part of the review"}
    assert (world.state(first), world.state(second)) == ("quarantined", "quarantined")


def test_nothing_is_released_that_newer_bytes_have_followed(world: ApprovalWorld, held: list[int]) -> None:
    """The newer version is looked at instead; once it has left screening, the held one needs nobody."""
    first, second = held
    submission = world.submit("spring/a.jpg", "newer")
    reason = "a newer version of this asset has arrived: that one is looked at instead"
    assert say(world, "ole", "release", first).refused == {first: reason}
    world.screen(submission, "automatic", rule="routine")
    world.park()
    late = say(world, "ole", "release", first, second)
    assert (late.counted, late.opinions) == ((second,), (first,))
    assert world.ask("SELECT counted FROM held_decisions ORDER BY decision_id") == [(False,), (True,)]
    is_sound(world)


def test_a_second_time_in_quarantine_is_a_review_of_its_own(world: ApprovalWorld, held: list[int]) -> None:
    """Released, and held again for something else: its owner is asked again."""
    first, _ = held
    say(world, "ole", "release", first)
    with world.ledger.reading() as connection:
        (waiting,) = unscreened(connection)
    world.screen(world.submission_of(waiting), "quarantine", rule="too_large")
    assert open_review(world) == [2]
    with world.ledger.reading() as connection:
        (item,) = load_review(connection, 2).items
    assert (item.version_id, item.held_because) == (first, "too_large")


def test_the_deadline_asks_others_and_ends_it(world: ApprovalWorld, held: list[int]) -> None:
    """Escalated, the form offers the group too; at the end both are rejected and the review is empty."""
    by = terms(escalate=[{"to": "legal", "within": "1 day"}])
    with world.ledger.reading() as connection:
        begun = max(one.since_at for one in waiting_versions(connection))
    for hours in (24, 48, 72):
        world.now = begun + hours * HOUR
        with world.ledger.writing(Origin("system:enforce_deadlines", world.now)) as tx:
            assert len(fire_due(tx, waiting_versions(tx.connection), lambda _: by)) == 2
        if hours == 48:
            with world.ledger.reading() as connection:
                review = load_review(connection, 1)
                assert rungs_of_reviews(connection) == {1: (1, 1)}
                assert reviews_of_person(connection, "kim") == {1}
            assert (review.round, review.status) == (2, "to_park")
            assert [one.handle for one in review.people] == ["kim", "lea", "ole"]
            world.park()
    assert {world.state(one) for one in held} == {"rejected"}
    with world.writing() as tx:
        assert close_emptied_reviews(tx) == ["run-1-2"]
    is_sound(world)


def test_what_was_held_and_said_stands(world: ApprovalWorld, held: list[int], raw: RawSql) -> None:
    """By raw SQL: nothing is carried twice or when it is not held, decided twice, changed or taken out."""
    say(world, "ole", "reject", held[0])
    carried_once = "signoff: rule 4: a version is put before its people once, while it waits"
    said = {"decision_id": 2, "review_id": 1, "version_id": held[1], "verdict": "release", "note_id": 1}
    said |= {"person_id": world.person("ole")}
    ((sha256,),) = raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", held[1])
    said |= {"counted": True, "signature": "none", "sha256": sha256, "basis": "b", "decided_at": 1}
    refusal = "signoff: rule 4: a decision on what waits is final, by a person, on what was shown"
    for how in ("INSERT", "INSERT OR REPLACE") if raw.is_sqlite else ("INSERT",):
        changed = said | {"decision_id": 1}
        assert raw.attempt(lambda how=how, row=changed: raw.insert("held_decisions", how=how, **row)) == refusal
    assert raw.attempt(lambda: raw.insert("held_decisions", **said)) == ""
    once_counted = [lambda: raw.insert("held_decisions", **said)]
    assert raw.attempt(*once_counted, lambda: raw.insert("held_decisions", **{**said, "decision_id": 3})) == refusal
    for wrong in ({"review_id": 7}, {"verdict": "reopen"}, {"sha256": "x"}, {"version_id": held[0]}):
        assert raw.attempt(lambda wrong=wrong: raw.insert("held_decisions", **{**said, **wrong})) == refusal
    released = "UPDATE review_versions SET outcome = 'released', closed_at = 1 WHERE position = 2"
    assert raw.attempt(*once_counted, lambda: raw.execute(released)) == ""
    assert raw.attempt(lambda: raw.execute(released)) == "signoff: rule 4: what waits ends as a person said"
    once, final = "signoff: rule 4: what waits is decided once", "signoff: rule 4: a decision is final"
    row = {"review_id": 1, "position": 9, "version_id": held[0], "since_seq": 1, "owner": "owners"}
    assert raw.attempt(lambda: raw.insert("review_versions", **row)) == carried_once
    for refusal, statement in (
        (once, "UPDATE review_versions SET outcome = 'released', closed_at = 1 WHERE position = 1"),
        (once, "UPDATE review_versions SET owner = 'brand' WHERE position = 2"),
        (once, "DELETE FROM review_versions"),
        (final, "UPDATE held_decisions SET verdict = 'release'"),
        (final, "DELETE FROM held_decisions"),
    ):
        assert raw.attempt(lambda statement=statement: raw.execute(statement)) == refusal
