"""Reviews and their rounds: opened once, parked once, asked again while a gate is open, closed when none is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.errors import StaleVersion, UnknownName
from ledger.reader import waiting_reviews
from ledger.review import load_review
from ledger.reviews import gates_without_review, open_reviews
from ledger.rounds import close_emptied_reviews, close_round, mark_parked, parked_runs, parking_of_run, parkings_to_do
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, LEGAL, ApprovalWorld


def opened(world: ApprovalWorld) -> int:
    """A review of one gate that waits to be parked."""
    world.screen(world.submit(), "review", BRAND_BY_TWO)
    with world.writing() as tx:
        (review_id,) = open_reviews(tx, [gates_without_review(tx.connection)])
    return review_id


def test_open_gates_are_bundled_once(world: ApprovalWorld) -> None:
    """A gate without a review tells what decides its bundle; once in a review, it is not offered again."""
    world.screen(world.submit(), "review", BRAND, LEGAL)
    with world.ledger.reading() as connection:
        first, second = gates_without_review(connection)
    lea, ben, kim = (world.person(one) for one in ("lea", "ben", "kim"))
    assert (first.stage, first.quorum, first.signature, first.collection) == ("brand", 1, "none", "spring")
    assert first.eligible == tuple(sorted([(lea, lea), (ben, ben)]))
    assert second.eligible == tuple(sorted([(lea, lea), (kim, kim)]))
    with world.writing() as tx:
        assert open_reviews(tx, [[first], [second]]) == [1, 2]
        assert gates_without_review(tx.connection) == []
    with world.ledger.reading() as connection:
        assert parkings_to_do(connection) == [(1, 1), (2, 1)]
        assert [row["review"] for row in waiting_reviews(connection)] == [1, 2]


def test_parking_is_marked_once(world: ApprovalWorld) -> None:
    """The deadline starts with it; the same run again is harmless, another one is stale."""
    review_id = opened(world)
    due_at = world.now + timedelta(days=2)
    for _ in range(2):
        with world.writing() as tx:
            mark_parked(tx, review_id, 1, "run-a", {1: "basis"}, due_at)
    with pytest.raises(StaleVersion, match="waiting to be parked"), world.writing() as tx:
        mark_parked(tx, review_id, 1, "run-b", {1: "basis"}, due_at)
    with world.ledger.reading() as connection:
        review = load_review(connection, review_id)
        assert parked_runs(connection) == {"run-a": (review_id, 1)}
        assert parking_of_run(connection, "run-a") == (review_id, 1, "parked")
        assert parking_of_run(connection, "run-b") is None
    assert (review.status, review.flow_run_id, review.basis, review.due_at) == (
        "parked", "run-a", {"1": "basis"}, due_at
    )  # fmt: skip
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'park_review'") == [(1,)]


def test_a_round_ends_once(world: ApprovalWorld) -> None:
    """With open gates it brings the next round, with the reason on top; ended again, it changes nothing."""
    review_id = opened(world)
    with world.writing() as tx:
        assert close_round(tx, review_id, 1, "answered", "asked again because") == 2
    with world.writing() as tx:
        assert close_round(tx, review_id, 1, "replaced", "too late") is None
    with world.ledger.reading() as connection:
        review = load_review(connection, review_id)
        assert parkings_to_do(connection) == [(review_id, 2)]
    assert (review.round, review.status, review.reason) == (2, "to_park", "asked again because")
    with pytest.raises(UnknownName, match="has no round 9"), world.writing() as tx:
        close_round(tx, review_id, 9, "answered", None)


def test_deadlines_survive_the_next_round(world: ApprovalWorld) -> None:
    """Asking again does not put the deadline off."""
    review_id = opened(world)
    due_at = world.now + timedelta(days=2)
    with world.writing() as tx:
        mark_parked(tx, review_id, 1, "run-a", {1: "basis"}, due_at)
        close_round(tx, review_id, 1, "replaced", "lost")
        mark_parked(tx, review_id, 2, "run-b", {1: "basis"}, due_at + timedelta(days=9))
    with world.ledger.reading() as connection:
        review = load_review(connection, review_id)
    assert (review.due_at, review.previous_flow_run_id, review.flow_run_id) == (due_at, "run-a", "run-b")
    assert world.ask("SELECT due_at FROM gates") == world.ask("SELECT due_at FROM reviews")


def test_a_review_closes_with_its_last_gate(world: ApprovalWorld) -> None:
    """No open gate, no next round."""
    version_id = world.in_review()
    review_id = world.review_of(version_id)
    world.vote(review_id, "lea", "approve")
    with world.ledger.reading() as connection:
        review = load_review(connection, review_id)
        assert waiting_reviews(connection) == []
    assert (review.status, review.closed_at is not None, review.open_items) == ("answered", True, ())
    assert [item.outcome for item in review.shown_items] == ["passed"]


def test_reviews_that_wait_for_nothing_are_closed(world: ApprovalWorld) -> None:
    """Their gates were voided by a newer version; the runs that may end are named, once."""
    older = world.in_review("spring/a.jpg", "one")
    other = world.in_review("spring/b.jpg", "two")
    world.screen(world.submit("spring/a.jpg", "three"), "review", BRAND)
    with world.writing() as tx:
        assert close_emptied_reviews(tx) == [f"run-{world.review_of(older)}-1"]
    with world.writing() as tx:
        assert close_emptied_reviews(tx) == []
    with world.ledger.reading() as connection:
        assert load_review(connection, world.review_of(older)).status == "closed"
        assert load_review(connection, world.review_of(other)).status == "parked"


def test_a_review_shows_what_was_found(world: ApprovalWorld) -> None:
    """Label, score, clearance, thumbnail and the place of the bytes stand beside each asset."""
    version_id = world.in_review()
    with world.ledger.reading() as connection:
        (item,) = load_review(connection, world.review_of(version_id)).items
    assert (item.position, item.key, item.kind, item.media_type) == (1, "spring/a.jpg", "image", "image/jpeg")
    assert (item.label, item.score, item.margin, item.second_label) == ("portrait", 0.75, 0.5, "other")
    assert (item.clearance, item.reasons, item.approvals, item.quorum) == ("cleared", (), 0, 1)
    assert (item.thumbnail, item.custody_key) == (f"thumbnails/{item.sha256}", f"masters/{item.sha256}")
