"""A sweep of the deadlines on a ledger alone: what cannot be looked at costs itself and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.engine import Ledger
from ledger.policy_store import activate_policy, store_policy
from ledger.schema import upgrade_ledger
from tasks.fire_rungs import fire_rungs
from tasks.follow_roster import follow_roster
from tasks.open_reviews import bundle_reviews, left_behind
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.policies.policy_catalogue import SOUND

ACTOR = "system:enforce_deadlines"


@pytest.fixture
def world(tmp_path: Path) -> ApprovalWorld:
    """A ledger whose policy says hardly anything: it would be refused today."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    upgrade_ledger(ledger)
    return ApprovalWorld(ledger)


def test_a_policy_that_is_refused_today_stops_only_what_is_pinned_to_it(world: ApprovalWorld, tmp_path: Path) -> None:
    """The reminder of the other version goes out; the policy and why are told, and nothing of it has changed."""
    refused = world.policy
    world.in_review("spring/gate.jpg", "gate")
    left = world.quarantined("spring/left.jpg", "left")
    with world.writing() as tx:
        world.policy = store_policy(tx, "sound", SOUND, [])
        activate_policy(tx, world.policy, "operator:ada", "operator:ann")
    swept = world.quarantined("spring/swept.jpg", "swept")
    resources = Resources(load_settings(overrides={"home": tmp_path, "clock": "2026-06-01T09:00:00Z"}))
    assert follow_roster(resources, ACTOR).changed == 0
    fired = fire_rungs(resources, ACTOR)
    assert (fired.reminded + fired.ended, [sha256 for sha256, _ in fired.refused]) == (1, [refused])
    assert f"policy {refused[:12]}" in fired.refused[0][1]
    assert world.ask("SELECT DISTINCT version_id FROM rungs") == [(swept,)]
    assert world.state(left) == "quarantined"


def in_review_unbundled(world: ApprovalWorld, content: str) -> int:
    """A version whose gate is open, and in no review yet."""
    submission = world.submit(f"spring/{content}.jpg", content)
    world.screen(submission, "review", BRAND)
    return submission.version_id


def test_gates_of_a_refused_policy_keep_no_other_from_its_review(world: ApprovalWorld, tmp_path: Path) -> None:
    """They are left without a review, and told; what is pinned to another policy gets its own."""
    refused = world.policy
    left = in_review_unbundled(world, "left")
    with world.writing() as tx:
        world.policy = store_policy(tx, "sound", SOUND, [])
        activate_policy(tx, world.policy, "operator:ada", "operator:ann")
    taken = in_review_unbundled(world, "taken")
    resources = Resources(load_settings(overrides={"home": tmp_path, "clock": "2026-06-01T09:00:00Z"}))
    (review_id,) = bundle_reviews(resources, ACTOR)
    carried = "SELECT c.review_id, g.version_id FROM review_gates c JOIN gates g USING (gate_id)"
    assert world.ask(carried) == [(review_id, taken)]
    assert [sha256 for sha256, _ in left_behind(resources)] == [refused]
    assert world.state(left) == "in_review"
