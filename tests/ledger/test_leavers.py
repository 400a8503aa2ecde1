"""What leaves a review while it is asked is told on the next form, with why; what was said of it is kept."""

from __future__ import annotations

from ledger.reviews import gates_without_review, open_reviews
from ledger.rounds import close_round
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, LEGAL, ApprovalWorld
from tests.ledger.test_ladder import is_sound


def together(world: ApprovalWorld, *stages: str) -> dict[str, int]:
    """Open a review for all gates of each stage, and park them; stage → review."""
    with world.writing("system:ingest_assets") as tx:
        gates = gates_without_review(tx.connection)
        groups = [[one for one in gates if one.stage == stage] for stage in stages]
        opened = open_reviews(tx, groups)
    world.park()
    return dict(zip(stages, opened, strict=True))


def reasons(world: ApprovalWorld, review_id: int) -> list[str | None]:
    """What stood on top of each round's form."""
    return [row[0] for row in world.ask("SELECT reason FROM parkings WHERE review_id = ? ORDER BY round", review_id)]


def test_what_a_newer_version_replaces_leaves_and_nothing_is_lost(world: ApprovalWorld) -> None:
    """One of three is replaced while two people are asked: said once, its opinion kept, the others decided."""
    names = ("a", "b", "c")
    submitted = [world.submit(f"spring/{one}.jpg", one) for one in names]
    for one in submitted:
        world.screen(one, "review", BRAND_BY_TWO)
    review_id = together(world, "brand")["brand"]
    world.screen(world.submit("spring/b.jpg", "newer"), "review", BRAND_BY_TWO)
    said = world.vote(review_id, "lea", "approve")
    assert (len(said.counted), said.opinions) == (2, (world.gate_of(submitted[1].version_id),))
    left = "asked again 2 · spring/b.jpg has left: a newer version is looked at instead."
    assert reasons(world, review_id) == [None, left]
    world.park()
    with world.writing() as tx:
        assert close_round(tx, review_id, 2, "replaced", "once more") == 3
    assert reasons(world, review_id) == [None, left, "once more"]
    world.park()
    world.vote(review_id, "ben", "approve")
    assert [world.state(one.version_id) for one in submitted] == ["approved", "superseded", "approved"]
    assert world.ask("SELECT counted FROM decisions ORDER BY decision_id")[2] == (False,)
    is_sound(world)


def test_what_another_stage_turned_down_leaves_without_saying_how(world: ApprovalWorld) -> None:
    """Rejected at one stage, it leaves the other's review: decided elsewhere."""
    submitted = [world.submit(f"spring/{one}.jpg", one) for one in ("a", "b")]
    for one in submitted:
        world.screen(one, "review", BRAND, LEGAL)
    with world.writing("system:ingest_assets") as tx:
        gates = gates_without_review(tx.connection)
        first = [one for one in gates if one.stage == "brand" and one.version_id == submitted[0].version_id]
        legal = [one for one in gates if one.stage == "legal"]
        brand_review, legal_review = open_reviews(tx, [first, legal])
    world.park()
    world.vote(brand_review, "ben", "reject", "not ours")
    with world.writing() as tx:
        close_round(tx, legal_review, 1, "replaced", None)
    assert reasons(world, legal_review) == [None, "1 · spring/a.jpg has left: it was decided elsewhere."]
    is_sound(world)
