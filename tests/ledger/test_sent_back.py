"""What was sent back for changes: asked of who submitted it, reopened or withdrawn once, or followed by newer bytes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger.decide import Ballot, Decided
from ledger.forget import forget_person
from ledger.held import decide_held, held_without_review, open_held_reviews
from ledger.ladder import fire_due
from ledger.reader import unscreened, waiting_reviews
from ledger.review import load_review
from ledger.review_items import CHANGES
from ledger.rounds import close_emptied_reviews, close_round
from ledger.transaction import Origin
from ledger.waits import reviews_of_person, rungs_of_reviews, waiting_gates, waiting_versions
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_ladder import HOUR, is_sound, terms

REASON = "it is right as it is"


def ask_back(world: ApprovalWorld, *owners: str) -> list[int]:
    """Put everything that was sent back before the agency (or others), and park it; returns the review ids."""
    with world.writing("system:enforce_deadlines") as tx:
        waiting = held_without_review(tx.connection)
        groups = [(one, world.now + timedelta(days=10), waiting) for one in owners or ("agency",) if waiting]
        opened = open_held_reviews(tx, groups)
    world.park()
    return opened


@pytest.fixture
def sent_back(world: ApprovalWorld) -> int:
    """A version that lea sent back, put before the agency in a parked review."""
    version_id = world.turned_down("spring/a.jpg", "one", "request_changes")
    ask_back(world)
    return version_id


def asked_in(world: ApprovalWorld) -> int:
    """The last review of what was sent back."""
    return int(world.ask("SELECT MAX(review_id) FROM reviews WHERE purpose = 'changes_requested'")[0][0])


def say(world: ApprovalWorld, handle: str, verdict: str, *versions: int, comment: str = REASON) -> Decided:
    """Answer the last round of the last review of what was sent back."""
    with world.writing("system:decide_review") as tx:
        review = load_review(tx.connection, asked_in(world))
        decided = decide_held(tx, review, world.person(handle), [Ballot(one, verdict, comment) for one in versions])
        close_round(tx, review.review_id, review.round, "answered", "asked again")
    return decided


def test_who_submitted_it_is_asked_with_the_words_of_the_reviewers(world: ApprovalWorld, sent_back: int) -> None:
    """One review, of the submitters as they are now, that says who asked for what; a second sweep opens nothing."""
    assert ask_back(world) == []
    with world.ledger.reading() as connection:
        review = load_review(connection, asked_in(world))
        (row,) = waiting_reviews(connection)
        (wait,) = waiting_versions(connection)
        assert reviews_of_person(connection, "sam") == {review.review_id}
        assert reviews_of_person(connection, "lea") == frozenset()
    assert (review.purpose, review.is_of_versions, row["stage"], row["assets"]) == (CHANGES, True, CHANGES, 1)
    (item,) = review.items
    assert (item.version_id, item.asked, item.held_because) == (sent_back, ("brand: no",), None)
    assert [one.handle for one in review.people] == ["mia", "sam"]
    assert wait.review is not None
    assert (wait.review.review_id, wait.state) == (review.review_id, CHANGES)


def test_reopened_by_who_submitted_it_once_a_round(world: ApprovalWorld, sent_back: int) -> None:
    """A new round of the same bytes under the same policy; sent back again, it is another review."""
    assert say(world, "sam", "reopen", sent_back).counted == (sent_back,)
    assert world.state(sent_back) == "submitted"
    ((actor, reason, number),) = world.ask("SELECT actor, reason, round FROM events WHERE action = 'reopen'")
    assert (actor, number) == (f"person:{world.person('sam')}", 2)
    assert reason == "reopened by a person of the group that was asked for changes"
    assert world.ask("SELECT verdict, counted FROM held_decisions") == [("reopen", True)]
    assert say(world, "sam", "reopen", sent_back).opinions == (sent_back,)
    with world.ledger.reading() as connection:
        (waiting,) = unscreened(connection)
    assert (waiting.version_id, waiting.round, waiting.policy_sha256) == (sent_back, 2, world.policy)
    world.screen(world.submission_of(waiting), "review", BRAND)
    world.park()
    world.vote(world.review_of(sent_back), "ben", "request_changes", "still too dark")
    assert len(ask_back(world)) == 1
    with world.ledger.reading() as connection:
        assert [one.asked for one in load_review(connection, asked_in(world)).items] == [("brand: still too dark",)]
    is_sound(world)


def test_withdrawn_it_is_rejected(world: ApprovalWorld, sent_back: int) -> None:
    """Given up by who submitted it: rejected, with the reason; the archiving that was begun is called off."""
    world.open_effect("archive", sent_back, "old")
    assert say(world, "mia", "withdraw", sent_back, comment="given up").turned_down == (sent_back,)
    assert world.story(sent_back)[-2:] == ["effect_cancelled", "reject"]
    assert world.ask("SELECT reason FROM events WHERE action = 'reject'") == [
        ("withdrawn by a person of the group that was asked for changes",)
    ]
    assert world.ask("SELECT verdict FROM held_decisions") == [("reject",)]
    assert world.ask("SELECT COUNT(*) FROM reviews WHERE closed_at IS NULL") == [(0,)]
    is_sound(world)


def test_wrong_answers_change_nothing(world: ApprovalWorld, sent_back: int) -> None:
    """A reviewer, a release, no reason: each refused with its own."""
    for handle, verdict, comment, reason in (
        ("lea", "reopen", REASON, "this person may not decide here"),
        ("sam", "release", REASON, "what was sent back is reopened or withdrawn"),
        ("sam", "reject", REASON, "what was sent back is reopened or withdrawn"),
        ("sam", "withdraw", " ", "a reason is needed to reopen and to withdraw"),
    ):
        assert say(world, handle, verdict, sent_back, comment=comment).refused == {sent_back: reason}
        world.park()
    assert world.state(sent_back) == "changes_requested"


def test_newer_bytes_end_it(world: ApprovalWorld, sent_back: int) -> None:
    """While they are screened nothing older is reopened; once they are in review, the old ones need nobody."""
    newer = world.submit("spring/a.jpg", "two")
    reason = "a newer version of this asset has arrived: that one is looked at instead"
    assert say(world, "sam", "reopen", sent_back).refused == {sent_back: reason}
    world.park()
    world.screen(newer, "review", BRAND)
    assert world.state(sent_back) == "superseded"
    with world.writing() as tx:
        assert close_emptied_reviews(tx) == [f"run-{asked_in(world)}-2"]
    assert say(world, "sam", "withdraw", sent_back).opinions == (sent_back,)
    is_sound(world)


def test_its_deadline_is_that_of_the_review(world: ApprovalWorld, sent_back: int) -> None:
    """Reminded; escalated, the form offers the owners too; at its end rejected, and the review is empty."""
    with world.ledger.reading() as connection:
        begun = max(one.since_at for one in waiting_versions(connection))
    number = asked_in(world)
    for hours in (24, 48, 72):
        world.now = begun + hours * HOUR
        with world.ledger.writing(Origin("system:enforce_deadlines", world.now)) as tx:
            assert len(fire_due(tx, waiting_versions(tx.connection), lambda _: terms())) == 1
        if hours == 48:
            with world.ledger.reading() as connection:
                review = load_review(connection, number)
                assert rungs_of_reviews(connection) == {number: (1, 1)}
            assert (review.round, review.reason) == (2, "Its time was over, and more people may decide here now.")
            assert [one.handle for one in review.people] == ["mia", "ole", "sam"]
            world.park()
    assert world.state(sent_back) == "rejected"
    with world.writing() as tx:
        assert close_emptied_reviews(tx) == [f"run-{number}-2"]
    is_sound(world)


def test_the_last_answer_wins_or_the_deadline(world: ApprovalWorld) -> None:
    """Reopened a second before: nothing fires. Said a second after: an opinion; the outcome stays. Twice is once."""
    first, second = (world.turned_down(f"spring/{one}.jpg", one, "request_changes") for one in ("a", "b"))
    ask_back(world)
    with world.ledger.reading() as connection:
        begun = max(one.since_at for one in waiting_versions(connection))
    for hours in (24, 48):
        fire(world, begun + hours * HOUR)
        world.park()
    assert say(world, "ole", "reopen", first).counted == (first,)
    world.park()
    with pytest.raises(ZeroDivisionError):
        fire(world, begun + 72 * HOUR, die=True)
    assert world.state(second) == "changes_requested"
    assert [fire(world, begun + 72 * HOUR) for _ in range(2)] == [1, 0]
    assert say(world, "sam", "reopen", second).opinions == (second,)
    assert (world.state(first), world.state(second)) == ("submitted", "rejected")
    assert world.ask("SELECT kind, COUNT(*) FROM rungs GROUP BY kind ORDER BY kind") == [
        ("escalate", 2), ("finally", 1), ("remind", 2)
    ]  # fmt: skip
    is_sound(world)


def fire(world: ApprovalWorld, at: datetime, *, die: bool = False) -> int:
    """Fire what is due; returns how many rungs. `die`: before it is committed."""
    world.now = max(world.now, at)
    with world.ledger.writing(Origin("system:enforce_deadlines", at)) as tx:
        fired = len(fire_due(tx, waiting_versions(tx.connection), lambda _: terms()))
        if die:
            raise ZeroDivisionError
    return fired


def test_what_a_deadline_sent_back_says_so(world: ApprovalWorld) -> None:
    """Nobody asked for anything: the row names the deadline."""
    version_id = world.in_review()
    (at,) = world.ask("SELECT MIN(parked_at) FROM parkings")[0]
    for _ in range(3):
        world.now += timedelta(days=9)
        with world.ledger.writing(Origin("system:enforce_deadlines", world.now)) as tx:
            fire_due(tx, waiting_gates(tx.connection), lambda _: terms("request_changes"))
        world.park()
    assert (at > 0, world.state(version_id)) == (True, "changes_requested")
    ask_back(world)
    with world.ledger.reading() as connection:
        (item,) = load_review(connection, asked_in(world)).items
    assert (item.asked, item.held_because) == ((), "deadline: stage brand")


def test_the_words_of_who_is_forgotten_leave_the_form(world: ApprovalWorld, sent_back: int) -> None:
    """The reviewer who asked is forgotten: the form that quotes them is replaced by one that does not."""
    with world.writing("operator:ada") as tx:
        assert forget_person(tx, "ben").forms == ()
        assert forget_person(tx, "lea").forms == ((asked_in(world), 1),)
    with world.ledger.reading() as connection:
        (item,) = load_review(connection, asked_in(world)).items
    assert item.asked == ()
    is_sound(world)


def test_nobody_passes_it_by(world: ApprovalWorld, sent_back: int, raw: RawSql) -> None:
    """By raw SQL: reopened or withdrawn by a person only as they said in its review, and not past newer bytes."""
    refusal = "signoff: rule 2: what was sent back goes on as a person of its review said, if nothing is newer"
    sam, number = world.person("sam"), asked_in(world)
    ((sha256,),) = raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", sent_back)
    said: dict[str, Any] = {"decision_id": 1, "review_id": number, "version_id": sent_back, "person_id": sam}
    said |= {"verdict": "reopen", "counted": True, "signature": "none", "sha256": sha256, "basis": "b"}
    said |= {"note_id": 1, "decided_at": 1}
    reopened = {"from_state": "changes_requested", "to_state": "submitted", "round": 2, "reason": "because"}
    rejected = {"from_state": "changes_requested", "to_state": "rejected", "reason": "because"}

    def attempt(verdict: str | None, action: str, who: int = sam, **more: Any) -> str:
        step = reopened if action == "reopen" else rejected
        spoken = [lambda: raw.insert("held_decisions", **said | {"verdict": verdict})] if verdict else []
        return raw.attempt(*spoken, lambda: raw.event(action, sent_back, actor=f"person:{who}", **step | more))

    assert [attempt("reopen", "reopen"), attempt("reject", "reject")] == ["", ""]
    assert [attempt(None, "reopen"), attempt(None, "reject"), attempt("reject", "reopen")] == [refusal] * 3
    assert [attempt("reopen", "reject"), attempt("reopen", "reopen", world.person("mia"))] == [refusal] * 2
    assert "rule 4" in attempt("release", "reopen")
    again = {"review_id": number, "position": 2, "version_id": sent_back, "since_seq": 1, "owner": "agency"}
    assert raw.attempt(lambda: raw.insert("review_versions", **again)) == (
        "signoff: rule 4: a version is put before its people once, while it waits"
    )
    world.submit("spring/a.jpg", "two")
    assert [attempt("reopen", "reopen"), attempt("reject", "reject")] == [refusal, ""]
