"""Owners hear of reviews that the roster leaves without enough people: once, however often it is looked at."""

from __future__ import annotations

from pathlib import Path

from ledger.engine import Ledger
from ledger.policy_store import activate_policy, store_policy
from ledger.roster import RosterPerson, import_roster
from ledger.schema import upgrade_ledger
from tasks.follow_roster import follow_roster
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.ledger.approval_world import BRAND_BY_TWO, GROUPS, PEOPLE, ApprovalWorld
from tests.policies.policy_catalogue import SOUND

ACTOR = "system:enforce_deadlines"


def test_owners_are_told_of_a_review_that_lacks_people(tmp_path: Path) -> None:
    """Two must approve, all reviewers leave, one owner is there: she is asked too, and told that one more is needed."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    upgrade_ledger(ledger)
    world = ApprovalWorld(ledger)
    with world.writing() as tx:
        world.policy = store_policy(tx, "sound", SOUND, [])
        activate_policy(tx, world.policy, "operator:ada", "operator:ann")
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    resources = Resources(load_settings(overrides={"home": tmp_path, "clock": "2026-06-01T09:00:00Z"}))
    assert follow_roster(resources, ACTOR).short == ()
    with world.writing() as tx:
        people = [RosterPerson(one, one.title()) for one in PEOPLE]
        import_roster(tx, people, {**GROUPS, "brand": (), "leads": ("ole",)})
    for _ in range(3):
        assert follow_roster(resources, ACTOR).short == (("brand", "spring/a.jpg"),)
    told = world.ask("SELECT handle, kind, review_id FROM notices JOIN people USING (person_id)")
    assert told == [("ole", "roster_short", world.review_of(version_id))]
