"""Rules 2 to 4 where versions wait by themselves: who decides, with what signature, and what leaves the quarantine."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from ledger.held import held_without_review, open_held_reviews
from ledger.policy_store import activate_policy, store_policy
from tests.ledger.state_museum import LATER, StateMuseum, museum
from tests.ledger.test_delegations import hand_over
from tests.ledger.test_rules_signatures import Desk, Steps

__all__ = ["museum"]

UNSIGNED = "signoff: rule 4: the quarantine of this policy wants a signature"
PEOPLE = "signoff: rule 4: what waits is decided by who is asked, or who stands in for them"
LEFT = "signoff: rule 2: what is held goes on as a person of its review said"
FOR_PERSONS = "signoff: rule 2: release is for a person, while there is no newer version"
IMMUTABLE = "signoff: rule 3: a stored policy is immutable"
ACTIVE = "signoff: rule 3: an activated policy is signed as it was"
_numbers = count(1)


class Held:
    """A version in quarantine with its open review, and callables that each try one thing with it, by raw SQL."""

    def __init__(self, museum: StateMuseum, *, signed: bool) -> None:
        """Quarantine something under a policy whose quarantine is signed, or not."""
        self.world, self.raw, number = museum.world, museum.raw, next(_numbers)
        with self.world.writing() as tx:
            policy = store_policy(tx, f"held {number}", f"name: held {number}\n", [], signed_quarantine=signed)
            activate_policy(tx, policy, "person:1", "person:2")
        before, self.world.policy = self.world.policy, policy
        self.version_id = self.world.quarantined(f"held/{number}.jpg", f"content {number}")
        self.world.policy, self.policy = before, policy
        with self.world.writing() as tx:
            held = [one for one in held_without_review(tx.connection) if one.version_id == self.version_id]
            (self.review_id,) = open_held_reviews(tx, [("owners", self.world.now, held)])
        ((self.sha256,),) = self.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", self.version_id)
        self.ole = Desk(museum, "ole")

    def say(self, who: str = "ole", verdict: str = "release", **more: Any) -> Steps:
        """Insert a decision with its reason."""
        ((note,),) = self.raw.execute("SELECT COALESCE(MAX(note_id), 0) + 1 FROM notes")
        ((last,),) = self.raw.execute("SELECT COALESCE(MAX(decision_id), 0) FROM held_decisions")
        row = {"decision_id": last + 1, "review_id": self.review_id, "version_id": self.version_id, "note_id": note}
        row |= {"person_id": self.world.person(who), "verdict": verdict, "counted": True, "signature": "none"}
        row |= {"sha256": self.sha256, "basis": "b", "decided_at": LATER}

        def insert() -> None:
            self.raw.insert("notes", note_id=note, salt="s", body="b")
            self.raw.insert("held_decisions", **(row | more))

        return insert

    def leave(self, action: str, actor: str) -> Steps:
        """Append the event that leads out of the quarantine."""
        to = {"release": "submitted", "reject": "rejected"}[action]
        told: dict[str, Any] = {"from_state": "quarantined", "to_state": to, "actor": actor, "reason": "as was said"}
        return lambda: self.raw.event(action, self.version_id, **told)

    def sign(self) -> list[Steps]:
        """Ole enrols and uses up a code for the review."""
        return [self.ole.begin(), self.ole.confirm(), self.ole.use(7, purpose="answer", review_id=self.review_id)]


@pytest.fixture(params=[True, False], ids=["signed", "plain"])
def held(museum: StateMuseum, request: pytest.FixtureRequest) -> tuple[Held, bool]:
    """A version held under either kind of policy, and which."""
    return Held(museum, signed=request.param), request.param


def test_a_signed_quarantine_takes_signed_decisions_only(held: tuple[Held, bool]) -> None:
    """Whatever is said, released or rejected, counted or an opinion; where the policy wants none, none is needed."""
    one, signed = held
    unsigned = UNSIGNED if signed else ""
    for more in ({}, {"verdict": "reject"}, {"counted": False}):
        assert one.raw.attempt(one.say(**more)) == unsigned
        assert one.raw.attempt(*one.sign(), one.say(**more)) == unsigned
        assert one.raw.attempt(*one.sign(), one.say(**more, signature="totp")) == ""


def test_nothing_leaves_the_quarantine_by_itself(held: tuple[Held, bool]) -> None:
    """Not without a decision, not by another person or another word than it was; the deadline may reject."""
    one, _ = held
    ole, lea = (f"person:{one.world.person(who)}" for who in ("ole", "lea"))
    for action, actor in (("release", ole), ("reject", ole), ("release", lea)):
        assert one.raw.attempt(one.leave(action, actor)) == LEFT
    assert one.raw.attempt(one.leave("release", "system:decide_review")) == FOR_PERSONS
    said = [*one.sign(), one.say(signature="totp")]
    assert one.raw.attempt(*said, one.leave("release", ole)) == ""
    for action, actor in (("release", lea), ("reject", ole)):
        assert one.raw.attempt(*said, one.leave(action, actor)) == LEFT
    opinion = [*one.sign(), one.say(signature="totp", counted=False)]
    assert one.raw.attempt(*opinion, one.leave("release", ole)) == LEFT
    assert one.raw.attempt(one.leave("reject", "system:enforce_deadlines")) == ""


def test_who_is_asked_decides(museum: StateMuseum) -> None:
    """Or who stands in for them at that moment: not before, not after, not for themselves, not on their own word."""
    one = Held(museum, signed=False)
    world, until = one.world, "UPDATE delegations SET revoked_at = 1"
    ole, lea = world.person("ole"), world.person("lea")
    assert one.raw.attempt(one.say("lea")) == PEOPLE
    assert one.raw.attempt(one.say("lea", on_behalf_of=ole)) == PEOPLE
    assert one.raw.attempt(one.say("ole", on_behalf_of=ole)) == PEOPLE
    left = f"UPDATE memberships SET removed_at = {LATER} WHERE person_id = {ole}"
    assert one.raw.attempt(lambda: one.raw.execute(left), one.say()) == PEOPLE
    begins, ends = (world.now.replace(year=year) for year in (2030, 2031))
    hand_over(world, "ole", "lea", begins, ends)
    within = int(begins.timestamp()) * 1_000_000
    after = int(ends.timestamp()) * 1_000_000
    stands_in = one.say("lea", on_behalf_of=ole, decided_at=within)
    assert one.raw.attempt(stands_in) == ""
    assert one.raw.attempt(one.say("lea", decided_at=within)) == PEOPLE
    assert one.raw.attempt(one.say("ole", on_behalf_of=lea, decided_at=within)) == PEOPLE
    assert one.raw.attempt(one.say("mia", on_behalf_of=ole, decided_at=within)) == PEOPLE
    for at in (within - 1, after):
        assert one.raw.attempt(one.say("lea", on_behalf_of=ole, decided_at=at)) == PEOPLE
    assert one.raw.attempt(lambda: one.raw.execute(until), stands_in) == PEOPLE


def test_what_a_policy_signs_stays(museum: StateMuseum) -> None:
    """Neither taken away nor added later."""
    one, raw = Held(museum, signed=True), museum.raw
    for sql in ("UPDATE policy_signatures SET policy_sha256 = 'x'", "DELETE FROM policy_signatures"):
        assert raw.attempt(lambda sql=sql: raw.execute(sql)) == IMMUTABLE
    added = lambda: raw.insert("policy_signatures", policy_sha256=one.world.policy, place="quarantine")  # noqa: E731
    assert raw.attempt(added) == ACTIVE
