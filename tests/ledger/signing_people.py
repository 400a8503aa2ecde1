"""People of the approval world who sign: enrolled by the verbs of the ledger, with codes of their telephones."""

from __future__ import annotations

from datetime import datetime

from ledger.decide import Ballot, Decided, decide
from ledger.enrolment import Enrolling, begin_enrolment, confirm_enrolment
from ledger.review import load_review
from ledger.rounds import close_round
from ledger.secret_box import KeyRing
from ledger.signatures import NotSigned, Signed, sign
from policies.one_time_code import code_at, step_at
from tests.ledger.approval_world import ApprovalWorld

RING = KeyRing.of(bytes(range(32)))


def enrol(world: ApprovalWorld, handle: str, ring: KeyRing = RING) -> str:
    """Enrol somebody, the confirming code being one of long ago; returns the secret."""
    person = world.person(handle)
    with world.writing("operator:people") as tx:
        begun = begin_enrolment(tx, ring, person, None, world.now)
    assert isinstance(begun, Enrolling)
    before = world.now.replace(year=world.now.year - 1)
    with world.writing("operator:people") as tx:
        done = confirm_enrolment(tx, ring, person, shown(begun.secret, before), before)
    assert isinstance(done, Signed)
    return begun.secret


def shown(secret: str, at: datetime, steps: int = 0) -> str:
    """The code that an authenticator shows, its clock some steps ahead."""
    return code_at(secret, step_at(at) + steps)


def give(
    world: ApprovalWorld, handle: str, code: str, at: datetime, purpose: str = "policy", review_id: int | None = None
) -> Signed | NotSigned:
    """Give a code for something, in a transaction of its own."""
    with world.writing() as tx:
        return sign(tx, RING, world.person(handle), code, at, purpose, review_id=review_id)


def answer_signed(
    world: ApprovalWorld, review_id: int, handle: str, code: str, at: datetime, verdict: str = "approve"
) -> Decided | NotSigned:
    """Answer the last round of a review with a code, the same for all of its gates, and end the round."""
    person = world.person(handle)
    with world.writing("system:decide_review") as tx:
        review = load_review(tx.connection, review_id)
        signed = sign(tx, RING, person, code, at, "answer", review_id=review_id)
        if isinstance(signed, NotSigned):
            return signed
        ballots = [Ballot(item.gate_id, verdict, "no") for item in review.shown_items]
        decided = decide(tx, review_id, review.round, person, person, ballots, signed_step=signed.step)
        close_round(tx, review_id, review.round, "answered", "asked again")
    return decided
