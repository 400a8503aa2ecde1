"""What happened to reviews, read from the audit trail: each thing once, in order, since a moment or an event."""

from __future__ import annotations

from datetime import timedelta

from ledger.review_news import ReviewNews, ledger_id, review_news
from tests.ledger.approval_world import START, ApprovalWorld
from tests.ledger.test_ladder import HOUR, sweep, waits


def news(world: ApprovalWorld, after: int | None = None) -> list[ReviewNews]:
    """What happened after an event, or ever."""
    with world.ledger.reading() as connection:
        return review_news(connection, after, START - timedelta(days=1))


def test_a_deadline_and_a_decision_are_told(world: ApprovalWorld) -> None:
    """Opened, reminded, overdue with each escalation, ended; two assets decided together are one thing."""
    version_id = world.in_review("spring/a.jpg", "one")
    (wait,) = waits(world)
    review = world.review_of(version_id)
    for hours in (24, 48, 72):
        sweep(world, wait.since_at + hours * HOUR)
        world.park()
    told = news(world)
    assert [(one.name, one.round) for one in told] == [
        ("opened", 1), ("reminded", None), ("overdue", None), ("escalated", None), ("opened", 2), ("overdue", None),
        ("closed", 2),
    ]  # fmt: skip
    assert {(one.review_id, one.stage, one.collection) for one in told} == {(review, "brand", "spring")}
    assert [one.flow_run_id for one in told] == ["run-1-1", *["run-1-2"] * 6]
    other = world.in_review("spring/b.jpg", "two")
    world.vote(world.review_of(other), "lea", "reject")
    later = news(world, told[-1].seq)
    assert [(one.name, one.round, dict(one.verdicts)) for one in later] == [
        ("opened", 1, {}), ("decided", 1, {"reject": 1}), ("closed", 1, {}),
    ]  # fmt: skip
    assert news(world, later[-1].seq) == []
    with world.ledger.reading() as connection:
        assert review_news(connection, None, world.now + HOUR) == []
        ((first,),) = world.ask("SELECT hash FROM events WHERE seq = 1")
        assert ledger_id(connection) == first[:16]
