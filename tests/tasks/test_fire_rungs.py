"""A sweep of the deadlines on a ledger alone: what cannot be looked at costs itself and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.engine import Ledger
from ledger.policy_store import activate_policy, store_policy
from ledger.schema import upgrade_ledger
from tasks.fire_rungs import fire_rungs
from tasks.follow_roster import follow_roster
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.ledger.approval_world import ApprovalWorld
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
