"""Decide: what ballots come to."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ledger.decide import Ballot, Decided, decide, note_attempt
from ledger.errors import UnknownName
from ledger.reader import story
from ledger.review import load_review
from ledger.roster import RosterPerson, import_roster
from ledger.screen import ClearanceRecord, record_clearances
from tests.ledger.approval_world import (
    BRAND,
    BRAND_BY_TWO,
    GROUPS,
    LEGAL,
    LEGAL_AFTER,
    PEOPLE,
    ApprovalWorld,
)
from tests.ledger.raw_sql import RawSql, asleep

NOT_HERE = "this person may not decide here"


def answer(world: ApprovalWorld, review_id: int, handle: str, *ballots: Ballot, for_whom: str | None = None) -> Decided:
    """Decide on the last round of a review, without ending the round."""
    person, principal = world.person(handle), world.person(for_whom or handle)
    with world.writing("system:decide_review") as tx:
        round_number = load_review(tx.connection, review_id).round
        return decide(tx, review_id, round_number, person, principal, ballots)


def test_an_approval_approves_and_opens_the_publication(world: ApprovalWorld) -> None:
    """One gate, one approval: passed, approved, to be published; the decision is in the trail, by person id."""
    version_id = world.in_review()
    gate_id, review_id = world.gate_of(version_id), world.review_of(version_id)
    decided = answer(world, review_id, "lea", Ballot(gate_id, "approve"))
    assert decided == Decided(counted=(gate_id,), approved=(version_id,))
    assert world.ask("SELECT outcome FROM gates") == [("passed",)]
    assert world.ask("SELECT kind, status FROM effects") == [("publish", "open")]
    assert world.story(version_id)[-3:] == ["decide", "approve", "open_effect"]
    assert world.ask("SELECT actor FROM events WHERE action = 'decide'") == [(f"person:{world.person('lea')}",)]
    columns = "gate_id, person_id, on_behalf_of, verdict, counted, signature"
    lea = world.person("lea")
    assert world.ask(f"SELECT {columns} FROM decisions") == [(gate_id, lea, lea, "approve", True, "none")]


@pytest.mark.parametrize(("verdict", "state"), [("reject", "rejected"), ("request_changes", "changes_requested")])
def test_the_first_negative_decides(world: ApprovalWorld, verdict: str, state: str) -> None:
    """It turns the version down and voids its other gates; later answers there are kept as opinions."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND, LEGAL)
    brand, legal = world.gate_of(version_id), world.gate_of(version_id, "legal")
    decided = answer(world, world.review_of(version_id), "ben", Ballot(brand, verdict, "too dark"))
    assert decided == Decided(counted=(brand,), turned_down=(version_id,))
    assert world.state(version_id) == state
    outcomes = {"reject": "rejected", "request_changes": "changes_requested"}
    assert world.ask("SELECT stage, outcome FROM gates ORDER BY gate_id") == [
        ("brand", outcomes[verdict]),
        ("legal", "voided"),
    ]
    late = answer(world, world.review_of(version_id, "legal"), "kim", Ballot(legal, "approve"))
    assert late == Decided(opinions=(legal,))
    assert world.ask("SELECT gate_id, counted FROM decisions ORDER BY decision_id") == [(brand, True), (legal, False)]
    assert world.state(version_id) == state


def test_comments_lie_beside_the_chain(world: ApprovalWorld) -> None:
    """The words are in a note, the chain has their salted hash only."""
    version_id = world.in_review()
    answer(world, world.review_of(version_id), "lea", Ballot(world.gate_of(version_id), "reject", "that is Erika"))
    ((salt, body),) = world.ask("SELECT salt, body FROM notes")
    assert body == "that is Erika"
    ((event,),) = world.ask("SELECT body FROM events WHERE action = 'decide'")
    assert "Erika" not in event
    assert hashlib.sha256((salt + body).encode()).hexdigest() in event
    with world.ledger.reading() as connection:
        (told,) = story(connection, "spring/a.jpg")["decisions"]
    assert (told["by"], told["verdict"], told["comment"]) == ("lea", "reject", "that is Erika")


def test_a_quorum_of_two(world: ApprovalWorld) -> None:
    """The first approval leaves the gate open and asks on; the second, of somebody else, passes it."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    gate_id, review_id = world.gate_of(version_id), world.review_of(version_id)
    assert world.vote(review_id, "lea", "approve") == Decided(counted=(gate_id,))
    assert world.state(version_id) == "in_review"
    world.park()
    twice = answer(world, review_id, "lea", Ballot(gate_id, "approve"))
    assert twice.refused == {gate_id: "this person, or whom they stand for, has decided here already"}
    with world.ledger.reading() as connection:
        people = {one.handle: one.has_decided for one in load_review(connection, review_id).people}
    assert people == {"ben": False, "lea": True}
    assert world.vote(review_id, "ben", "approve") == Decided(counted=(gate_id,), approved=(version_id,))


def test_steps_follow_one_another(world: ApprovalWorld) -> None:
    """The second step opens when the first has passed; the version is approved after the last."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND, LEGAL_AFTER)
    legal = world.gate_of(version_id, "legal")
    assert world.ask("SELECT COUNT(*) FROM reviews") == [(1,)]
    assert world.vote(world.review_of(version_id), "ben", "approve") == Decided(counted=(world.gate_of(version_id),))
    assert world.state(version_id) == "in_review"
    assert world.ask("SELECT opened_at IS NOT NULL FROM gates WHERE gate_id = ?", legal) == [(True,)]
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'open_step'") == [(1,)]
    world.park()
    decided = world.vote(world.review_of(version_id, "legal"), "kim", "approve")
    assert decided == Decided(counted=(legal,), approved=(version_id,))


def test_many_assets_in_one_review(world: ApprovalWorld) -> None:
    """Each asset of a review has its own verdict."""
    from ledger.reviews import gates_without_review, open_reviews
    from ledger.rounds import mark_parked

    versions = []
    for number in range(3):
        submission = world.submit(f"spring/{number}.jpg", f"content {number}")
        world.screen(submission, "review", BRAND)
        versions.append(submission.version_id)
    with world.writing() as tx:
        (review_id,) = open_reviews(tx, [gates_without_review(tx.connection)])
        review = load_review(tx.connection, review_id)
        mark_parked(tx, review_id, 1, "run", {item.gate_id: item.basis for item in review.items}, None)
    one, two, three = (world.gate_of(version_id) for version_id in versions)
    ballots = Ballot(one, "approve"), Ballot(two, "reject", "no"), Ballot(three, "request_changes", "brighter")
    assert answer(world, review_id, "lea", *ballots) == Decided(
        counted=(one, two, three), approved=(versions[0],), turned_down=(versions[1], versions[2])
    )
    assert [world.state(one) for one in versions] == ["approved", "rejected", "changes_requested"]


def test_refused_ballots(world: ApprovalWorld) -> None:
    """Strangers, submitters, foreign assets, missing comments, doubled answers: refused in words, nothing raised."""
    version_id = world.in_review()
    gate_id, review_id = world.gate_of(version_id), world.review_of(version_id)
    approve, silent = Ballot(gate_id, "approve"), Ballot(gate_id, "reject", "  ")
    assert answer(world, review_id, "kim", approve).refused == {gate_id: NOT_HERE}
    assert answer(world, review_id, "kim", approve, for_whom="lea").refused == {
        gate_id: "this person does not stand in for the other now"
    }
    assert answer(world, review_id, "sam", approve).refused == {
        gate_id: "four eyes: who submitted an asset does not decide on it"
    }
    assert answer(world, review_id, "lea", Ballot(99, "approve")).refused == {
        99: "this asset is not part of the review"
    }
    assert answer(world, review_id, "lea", silent).refused == {
        gate_id: "a comment is needed to waive, to reject and to request changes"
    }
    assert world.ask("SELECT COUNT(*) FROM decisions") == [(0,)]
    doubled = answer(world, review_id, "lea", approve, Ballot(gate_id, "reject", "no"))
    assert doubled.counted == (gate_id,)
    assert doubled.refused == {gate_id: "the answer decides twice on this asset; only the first counts"}


def test_who_left_meanwhile_decides_nothing(world: ApprovalWorld) -> None:
    """Lea has left and Ben joined the submitters between the parking and the answer: both are told so."""
    version_id = world.in_review()
    gate_id, review_id = world.gate_of(version_id), world.review_of(version_id)
    people = [RosterPerson(one, one.title(), None) for one in PEOPLE if one != "lea"]
    groups = {**GROUPS, "brand": ("ben", "mia"), "legal": ("kim",), "agency": ("sam", "mia", "ben")}
    with world.writing() as tx:
        import_roster(tx, people, groups)
    assert answer(world, review_id, "lea", Ballot(gate_id, "approve")).refused == {gate_id: NOT_HERE}
    assert answer(world, review_id, "ben", Ballot(gate_id, "approve")).refused == {
        gate_id: "four eyes: who submitted an asset does not decide on it"
    }


def test_a_stage_that_wants_a_signature(world: ApprovalWorld) -> None:
    """A declared decision is refused in words."""
    version_id = world.in_review("spring/a.jpg", "one", replace(BRAND, signature="totp"))
    gate_id = world.gate_of(version_id)
    decided = answer(world, world.review_of(version_id), "lea", Ballot(gate_id, "approve"))
    assert decided.refused == {gate_id: "this stage wants a signature, which the answer does not carry"}


def test_a_changed_basis_is_not_decided_on(world: ApprovalWorld) -> None:
    """The screening that the form showed was replaced: the ballot is refused, and the gate stays open."""
    version_id = world.in_review()
    gate_id, review_id = world.gate_of(version_id), world.review_of(version_id)
    clearance = ClearanceRecord(version_id, "{}", "expired", "[]", "[]", "another digest", None)
    with world.writing() as tx:
        (cleared,) = record_clearances(tx, [clearance]).values()
    with RawSql(world.ledger.url) as raw:  # no verb does it while people are asked
        screenings = "UPDATE screenings SET clearance = 'expired', clearance_id = ?"
        asleep(raw).execute(screenings, cleared.clearance_id)
    decided = answer(world, review_id, "lea", Ballot(gate_id, "approve"))
    assert decided == Decided(refused={gate_id: "what the form showed has changed meanwhile"})
    assert world.ask("SELECT outcome FROM gates") == [(None,)]


def test_a_round_that_is_not_parked_shows_nothing(world: ApprovalWorld) -> None:
    """An answer to a round that was never shown is refused."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    review_id, gate_id = world.review_of(version_id), world.gate_of(version_id)
    world.vote(review_id, "lea", "approve")
    decided = answer(world, review_id, "ben", Ballot(gate_id, "approve"))
    assert decided.refused == {gate_id: "what the form showed has changed meanwhile"}


def test_an_answer_to_no_review(world: ApprovalWorld) -> None:
    """The message names the command that lists reviews."""
    with pytest.raises(UnknownName, match="there is no review 7"), world.writing() as tx:
        decide(tx, 7, 1, 1, 1, [])


def test_attempts_are_audited(world: ApprovalWorld) -> None:
    """A resume that decided nothing leaves its reason in the trail."""
    with world.writing("system:decide_review") as tx:
        note_attempt(tx, 4, 2, "no form")
    assert world.ask("SELECT actor, reason FROM events WHERE action = 'refuse_answer'") == [
        ("system:decide_review", "no form")
    ]
