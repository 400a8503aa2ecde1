"""What was seen and said before: of the version that people saw last, never of a gate that is open."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from ledger.review import load_review
from ledger.review_before import Past, has_past, read_past
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, LEGAL, LEGAL_AFTER, ApprovalWorld, sha256_of


def past_of(world: ApprovalWorld, review_id: int) -> Past | None:
    """What was before the only item of a review; None: it can have no past."""
    with world.ledger.reading() as connection:
        (item,) = load_review(connection, review_id).items
        found = read_past(connection, [item])
        assert has_past(item) is (item.version_id in found)
        return found.get(item.version_id)


def said(past: Past | None) -> list[tuple[int, int, str, str, bool, str]]:
    """Version, round, stage, verdict, whether it counted, words."""
    assert past is not None
    return [(one.number, one.round, one.stage, one.verdict, one.counted, one.words) for one in past.said]


def test_a_first_version_has_no_past(world: ApprovalWorld) -> None:
    """Nothing is asked of the ledger for it, not even in a later round of its review."""
    world.screen(world.submit(), "review", BRAND_BY_TWO)
    (review_id,) = world.park()
    world.vote(review_id, "lea", "approve", "fine by me")
    world.park()
    assert past_of(world, review_id) is None


def test_a_new_version_is_held_against_the_one_that_was_sent_back(world: ApprovalWorld) -> None:
    """What it was found to be, what became of it, and what was asked for; a version in between that nobody saw is
    not it."""
    first = world.submit(content="one")
    world.screen(first, "review", BRAND)
    (review_id,) = world.park()
    world.vote(review_id, "lea", "request_changes", "crop it")
    world.screen(world.submit(content="unseen"), "review", BRAND)
    last = world.submit(content="three!")
    world.screen(last, "review", BRAND, LEGAL)
    reviews = world.park()
    past = past_of(world, reviews[0])
    assert past == past_of(world, reviews[1])
    assert said(past) == [(1, 1, "brand", "request_changes", True, "crop it")]
    assert past is not None
    assert past.seen is not None
    seen = past.seen
    assert (seen.version_id, seen.number, seen.round, seen.sha256, seen.size_bytes) == (
        first.version_id, 1, 1, sha256_of("one"), 3,
    )  # fmt: skip
    assert (seen.outcome, seen.kind, seen.label, seen.clearance, seen.media_type, seen.thumbnail) == (
        "changes_requested", "image", "portrait", "cleared", "image/jpeg", f"thumbnails/{sha256_of('one')}",
    )  # fmt: skip


def test_what_stands_beside_a_gate_is_not_told_what_stands_before_it_is(world: ApprovalWorld) -> None:
    """The second of two reviewers, and the reviewer of a gate in the same step, judge by themselves."""
    world.screen(world.submit(content="one"), "review", BRAND)
    (review_id,) = world.park()
    world.vote(review_id, "lea", "reject", "too dark")
    world.screen(world.submit(content="two"), "review", BRAND_BY_TWO, LEGAL)
    brand, legal = world.park()
    world.vote(brand, "lea", "approve", "lighter now")
    world.park()
    earlier = [(1, 1, "brand", "reject", True, "too dark")]
    assert said(past_of(world, brand)) == earlier
    world.vote(brand, "ben", "approve", "good")
    assert said(past_of(world, legal)) == earlier


def test_a_later_step_reads_what_the_one_before_said(world: ApprovalWorld) -> None:
    """Of a first version, too."""
    world.screen(world.submit(), "review", BRAND, LEGAL_AFTER)
    (brand,) = world.park()
    world.vote(brand, "lea", "approve", "mind the label")
    (legal,) = world.park()
    assert said(past_of(world, legal)) == [(1, 1, "brand", "approve", True, "mind the label")]
    past = past_of(world, legal)
    assert past is not None
    assert past.seen is None


def test_a_reopened_version_is_held_against_itself(world: ApprovalWorld) -> None:
    """The same bytes again: its first round is what was seen, with what was said then."""
    first = world.submit(content="one")
    world.screen(first, "review", BRAND)
    (review_id,) = world.park()
    world.vote(review_id, "lea", "request_changes", "crop it")
    again = world.submit(content="one")
    assert (again.version_id, again.round) == (first.version_id, 2)
    world.screen(again, "review", BRAND)
    (review_id,) = world.park()
    past = past_of(world, review_id)
    assert said(past) == [(1, 1, "brand", "request_changes", True, "crop it")]
    assert past is not None
    assert past.seen is not None
    assert (past.seen.version_id, past.seen.round, past.seen.outcome) == (first.version_id, 1, "changes_requested")


def test_what_was_approved_by_a_rule_and_published_counts_as_seen(world: ApprovalWorld) -> None:
    """Nobody was asked, but everybody sees it."""
    first = world.submit(content="one")
    world.screen(first, "automatic", rule="routine")
    world.carry_out(first.version_id)
    world.screen(world.submit(content="two"), "review", BRAND)
    (review_id,) = world.park()
    past = past_of(world, review_id)
    assert past is not None
    assert past.seen is not None
    assert (past.seen.version_id, past.seen.outcome, past.said) == (first.version_id, "published", ())


def test_no_table_is_read_whole_to_show_a_review(world: ApprovalWorld) -> None:
    """What a review and its past ask of the database is found by indexes, however long the ledger has been kept."""
    if not world.ledger.is_sqlite:
        return  # PostgreSQL plans by the size of the tables: here they are small
    world.turned_down("spring/a.jpg", "one", "request_changes")
    version_id = world.in_review("spring/a.jpg", "two", BRAND_BY_TWO)
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        sent.append((statement, parameters))

    with world.ledger.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        read_past(connection, load_review(connection, world.review_of(version_id)).items)
        sa.event.remove(connection, "before_cursor_execute", note)
        plans = [
            str(step[3])
            for statement, parameters in sent
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert len(sent) > 8
    assert [step for step in plans if re.match(r"SCAN (decisions|gates|versions|events|screenings|notes)", step)] == []
