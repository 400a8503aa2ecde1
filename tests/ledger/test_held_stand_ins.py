"""Absences where versions wait by themselves: whoever is away hands over the quarantine and requested changes too."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.asked_people import rounds_with_other_people
from ledger.decide import Ballot, Decided
from ledger.held import decide_held, held_without_review, open_held_reviews
from ledger.review import load_review
from ledger.rounds import close_round, mark_parked
from ledger.verify_decisions import decision_mismatches
from ledger.waits import reviews_of_person
from ledger.workload import workloads
from tests.ledger.approval_world import BRAND, START, ApprovalWorld
from tests.ledger.test_delegations import hand_over
from tests.ledger.test_eligibility import regroup

BEGIN, END = START + timedelta(days=1), START + timedelta(days=3)


def ask(world: ApprovalWorld, owner: str) -> int:
    """Put what waits by itself before a group, and park it; returns the review."""
    with world.writing() as tx:
        (review_id,) = open_held_reviews(tx, [(owner, END, held_without_review(tx.connection))])
    park(world, review_id)
    return review_id


def park(world: ApprovalWorld, review_id: int) -> list[str]:
    """Park the last round of a review; returns whom its form offers."""
    with world.writing() as tx:
        review = load_review(tx.connection, review_id, now=world.now)
        basis = {item.gate_id: item.basis for item in review.open_items}
        pairs = [(one.person_id, one.on_behalf_of) for one in review.people]
        mark_parked(tx, review_id, review.round, f"run-{review_id}-{review.round}", basis, END, pairs)
    mine = [(one.handle, one.on_behalf_name, one.on_behalf_of == one.person_id) for one in review.people]
    return [handle if own else f"{handle} for {name.lower()}" for handle, name, own in mine]


def others(world: ApprovalWorld, at: datetime) -> list[tuple[bool, bool]]:
    """(begun, ended) of rounds that offer others than they should at this moment; they are parked again."""
    world.now = at
    with world.writing() as tx:
        changed = rounds_with_other_people(tx.connection, world.now)
        for one in changed:
            close_round(tx, one.review_id, one.round, "replaced", "others")
    for one in changed:
        park(world, one.review_id)
    return [(one.begun, one.ended) for one in changed]


def answer(world: ApprovalWorld, review_id: int, who: str, verdict: str, *, on_behalf_of: str | None = None) -> Decided:
    """Answer the last round of a review for everything in it."""
    with world.writing("system:decide_review") as tx:
        review = load_review(tx.connection, review_id, now=world.now)
        ballots = [Ballot(item.gate_id, verdict, "seen") for item in review.items]
        principal = world.person(on_behalf_of) if on_behalf_of else None
        return decide_held(tx, review, world.person(who), ballots, on_behalf_of=principal)


def test_the_quarantine_is_handed_over(world: ApprovalWorld) -> None:
    """From the first moment the form offers who stands in; the decision, and its event, say on whose behalf."""
    version_id = world.quarantined()
    review_id = ask(world, "owners")
    hand_over(world, "ole", "lea", BEGIN, END)
    assert others(world, BEGIN - timedelta(hours=1)) == []
    early = answer(world, review_id, "lea", "release", on_behalf_of="ole")
    assert (early.counted, list(early.refused.values())) == ((), ["this person does not stand in for the other now"])
    assert others(world, BEGIN) == [(True, False)]
    assert others(world, BEGIN) == []
    with world.ledger.reading() as connection:
        offered = [(one.handle, one.on_behalf_name) for one in load_review(connection, review_id, now=BEGIN).people]
        assert offered == [("lea", "Ole"), ("ole", "Ole")]
        assert reviews_of_person(connection, "lea", BEGIN) == {review_id}
        assert {one.handle: one.open_reviews for one in workloads(connection, BEGIN)}["lea"] == 1
    assert answer(world, review_id, "lea", "release", on_behalf_of="ole").counted == (version_id,)
    lea, ole = world.person("lea"), world.person("ole")
    assert world.ask("SELECT person_id, on_behalf_of FROM held_decisions") == [(lea, ole)]
    ((actor, body),) = world.ask("SELECT actor, body FROM events WHERE action = 'release'")
    assert (actor, f'"on_behalf_of":{ole}' in body) == (f"person:{lea}", True)
    with world.ledger.reading() as connection:
        assert list(decision_mismatches(connection)) == []


def test_it_ends_with_its_time(world: ApprovalWorld) -> None:
    """After the last moment the form is asked anew without them, and what they say is not taken, swept or not."""
    world.quarantined()
    review_id = ask(world, "owners")
    hand_over(world, "ole", "lea", BEGIN, END)
    assert others(world, BEGIN) == [(True, False)]
    world.now = END
    late = answer(world, review_id, "lea", "reject", on_behalf_of="ole")
    assert (late.counted, set(late.refused.values())) == ((), {"this person does not stand in for the other now"})
    assert others(world, END) == [(False, True)]
    assert answer(world, review_id, "ole", "reject").turned_down != ()


def test_forms_of_versions_follow_the_roster(world: ApprovalWorld) -> None:
    """Who comes to the group that is asked is offered in a new round, who goes no more."""
    world.quarantined()
    review_id = ask(world, "owners")
    regroup(world, owners=["kim"])
    assert others(world, world.now) == [(False, False)]
    assert [one["handle"] for one in people(world, review_id)] == ["kim"]
    assert others(world, world.now) == []


def people(world: ApprovalWorld, review_id: int) -> list[dict[str, str]]:
    """Who may decide in a review."""
    with world.ledger.reading() as connection:
        return [{"handle": one.handle} for one in load_review(connection, review_id).people]


def test_requested_changes_are_handed_over_but_not_to_who_asked_for_them(world: ApprovalWorld) -> None:
    """Who submitted is away: lea, who sent it back, does not answer in their place; somebody else does."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND)
    world.vote(world.review_of(version_id), "lea", "request_changes")
    review_id = ask(world, "agency")
    hand_over(world, "sam", "lea", BEGIN, END)
    hand_over(world, "mia", "kim", BEGIN, END)
    assert others(world, BEGIN) == [(True, False)]
    refused = answer(world, review_id, "lea", "reopen", on_behalf_of="sam").refused
    assert list(refused.values()) == ["who sent an asset back does not answer for who submitted it"]
    assert answer(world, review_id, "kim", "reopen", on_behalf_of="mia").counted == (version_id,)
    assert world.state(version_id) == "submitted"
