"""“This was not me”: what was decided in somebody's name is taken back, as far as it can be, and on record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ledger.announce import announce_disowned
from ledger.decide import Ballot, Decided
from ledger.enrolment import EnrolmentRefused, begin_enrolment
from ledger.gates import GateTerms
from ledger.held import decide_held, overrides_of
from ledger.reader import unscreened
from ledger.receipts import (
    DISOWNED,
    Disowned,
    Receipt,
    ReceiptUnknown,
    disown,
    make_receipts_key,
    read_token,
    receipts_key,
    token_of,
    write_receipt,
)
from ledger.review import load_review
from ledger.secret_box import KeyRing
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND, LEGAL, ApprovalWorld
from tests.ledger.signing_people import RING, enrol
from tests.ledger.test_held import open_review, quarantined, say


def take_back(world: ApprovalWorld, handle: str = "lea") -> Disowned:
    """Disown the last decision of somebody."""
    sql = "SELECT MAX(decision_id) FROM decisions WHERE person_id = ?"
    ((last,),) = world.ask(sql, world.person(handle))
    with world.writing("operator:people") as tx:
        return disown(tx, Receipt(world.person(handle), of_versions=False, first=last, last=last))


def sound(world: ApprovalWorld) -> None:
    """The chain holds, and the records are what it tells."""
    with world.ledger.reading() as connection:
        assert verify_chain(connection).damage is None
        assert verify_records(connection) == []


def test_what_was_published_is_withdrawn(world: ApprovalWorld) -> None:
    """By an effect of its own, for a reason that no clearance undoes; it is audited by numbers, once."""
    version_id = world.published()
    assert take_back(world) == Disowned(1, withdrawn=(version_id,))
    assert world.ask("SELECT kind, reason FROM effects WHERE status = 'open'") == [("withdraw", DISOWNED)]
    world.carry_out(version_id)
    assert world.state(version_id) == "withdrawn"
    ((body,),) = world.ask("SELECT body FROM events WHERE action = 'disown'")
    assert json.loads(body)["details"] == {"person": world.person("lea"), "decision": 1, "of_versions": False}
    assert take_back(world) == Disowned(0)
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'disown'") == [(1,)]
    sound(world)


def test_what_was_approved_is_reviewed_again(world: ApprovalWorld) -> None:
    """Its publication is cancelled; the same gates open in a new round, for who may decide there still."""
    version_id = world.approved()
    assert take_back(world) == Disowned(1, asked_again=(version_id,))
    assert world.state(version_id) == "in_review"
    assert world.ask("SELECT status FROM effects") == [("cancelled",)]
    columns = "round, stage, quorum, four_eyes, signature, outcome"
    assert world.ask(f"SELECT {columns} FROM gates ORDER BY gate_id") == [
        (1, "brand", 1, True, "none", "passed"),
        (2, "brand", 1, True, "none", None),
    ]
    world.park()
    decided = world.vote(world.review_of(version_id), "ben", "approve")
    assert decided == Decided(counted=(world.gate_of(version_id),), approved=(version_id,))
    world.carry_out(version_id)
    assert world.state(version_id) == "published"
    sound(world)


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_what_was_turned_down_is_opened_anew(world: ApprovalWorld, verdict: str) -> None:
    """It is screened again, in a new round."""
    version_id = world.turned_down("spring/a.jpg", "one", verdict)
    assert take_back(world) == Disowned(1, reopened=(version_id,))
    assert world.state(version_id) == "submitted"
    assert world.ask("SELECT round FROM versions") == [(2,)]
    sound(world)


def test_what_is_in_review_is_asked_again_before_it_is_published(world: ApprovalWorld) -> None:
    """The other approvals stand; when they would publish it, the gates open once more instead, every one."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND, LEGAL)
    world.vote(world.review_of(version_id), "ben", "approve")
    assert take_back(world, "ben") == Disowned(1, doubted=(version_id,))
    assert world.state(version_id) == "in_review"
    legal = world.gate_of(version_id, "legal")
    assert world.vote(world.review_of(version_id, "legal"), "kim", "approve") == Decided(counted=(legal,))
    assert world.state(version_id) == "in_review"
    assert world.ask("SELECT COUNT(*) FROM effects") == [(0,)]
    assert world.ask("SELECT stage, outcome FROM gates WHERE round = 2 ORDER BY stage") == [
        ("brand", None),
        ("legal", None),
    ]
    world.park()
    world.vote(world.review_of(version_id), "lea", "approve")
    decided = world.vote(world.review_of(version_id, "legal"), "kim", "approve")
    assert decided.approved == (version_id,)
    sound(world)


def test_the_authenticator_is_trusted_no_longer(world: ApprovalWorld) -> None:
    """It ends, and another one takes a recovery by two others first."""
    enrol(world, "lea")
    world.approved()
    assert take_back(world).ended
    assert world.ask("SELECT state, ended_for, sealed FROM signing_secrets") == [("ended", "disowned", None)]
    with pytest.raises(EnrolmentRefused, match="two other people recover it first"), world.writing() as tx:
        begin_enrolment(tx, RING, world.person("lea"), None, world.now)


def test_tokens_prove_their_receipt(world: ApprovalWorld) -> None:
    """Only the key makes them, every part of them counts, and an exchange of the identity key leaves them good."""
    from ledger.enrolment import seal_anew

    receipt = Receipt(7, of_versions=False, first=12, last=35)
    with world.writing() as tx:
        assert receipts_key(tx.connection, RING) is None
        key = make_receipts_key(tx, RING)
        assert make_receipts_key(tx, RING) == key
    token = token_of(receipt, key)
    assert read_token(f" {token}\n", key) == receipt
    assert read_token(token_of(replace(receipt, of_versions=True), key), key).of_versions
    tag = token.rpartition(".")[2]
    forged = [
        f"8.g12-35.{tag}",
        f"7.v12-35.{tag}",
        f"7.g12-36.{tag}",
        f"7.g11-35.{tag}",
        token[:-1],
        "",
        "7.g12-35.",
        "é",
    ]
    for wrong in forged:
        with pytest.raises(ReceiptUnknown):
            read_token(wrong, key)
    with pytest.raises(ReceiptUnknown):
        read_token(token, None)
    coming = KeyRing.of(bytes(range(1, 33)), RING.keys[RING.current])
    with world.writing() as tx:
        assert seal_anew(tx, coming) == 1
    with world.ledger.reading() as connection:
        assert receipts_key(connection, KeyRing.of(bytes(range(1, 33)))) == key
    with pytest.raises(ReceiptUnknown, match="not in this ledger"), world.writing() as tx:
        disown(tx, receipt)


def test_a_receipt_is_written_for_what_was_decided(world: ApprovalWorld) -> None:
    """One for each answer, with numbers and keys, without a token; none where nothing was decided."""
    version_id = world.approved()
    review = world.review_of(version_id)
    with world.writing() as tx:
        loaded = load_review(tx.connection, review, 1)
        write_receipt(tx, loaded, world.person("lea"), {item.gate_id: item.key for item in loaded.items})
    assert world.ask("SELECT COUNT(*) FROM notices") == [(0,)], "it was another transaction that decided"


def held_and_released(world: ApprovalWorld) -> int:
    """A version that somebody, it seems ole, released from quarantine."""
    version_id = quarantined(world, "spring/a.jpg", "one")
    open_review(world)
    say(world, "ole", "release", version_id)
    return version_id


def disown_release(world: ApprovalWorld) -> Disowned:
    """It was not ole."""
    with world.writing("operator:people") as tx:
        return disown(tx, Receipt(world.person("ole"), of_versions=True, first=1, last=1))


def overridden(world: ApprovalWorld, version_id: int) -> list[tuple[int, str]]:
    """What releases of a version override."""
    with world.ledger.reading() as connection:
        return overrides_of(connection, [version_id])


def screened_again(world: ApprovalWorld, outcome: str, *gates: GateTerms) -> None:
    """Screen what waits for it."""
    with world.ledger.reading() as connection:
        (one,) = unscreened(connection)
    held = outcome == "quarantine"
    route = json.dumps({"findings": ["quarantine_when"]}) if held else "{}"
    world.screen(world.submission_of(one), outcome, *gates, rule="type_mismatch" if held else None, route=route)


def test_a_disowned_release_overrides_nothing(world: ApprovalWorld) -> None:
    """Not screened since: it is held again for the same findings, and a release by who it really is counts."""
    version_id = held_and_released(world)
    assert len(overridden(world, version_id)) == 2
    assert disown_release(world) == Disowned(1, held_again=(version_id,))
    assert overridden(world, version_id) == []
    assert disown_release(world) == Disowned(0)
    screened_again(world, "quarantine")
    assert world.state(version_id) == "quarantined"
    (review_id,) = open_review(world)
    with world.writing() as tx:
        review = load_review(tx.connection, review_id)
        decide_held(tx, review, world.person("ole"), [Ballot(version_id, "release", "seen, really")])
    assert (world.state(version_id), overridden(world, version_id)) == ("submitted", [(version_id, "quarantine_when")])
    sound(world)


def test_reviewers_are_told_of_a_disowned_release(world: ApprovalWorld) -> None:
    """In review: asked anew with the reason on top, and when they have passed it, once more instead of publishing."""
    version_id = held_and_released(world)
    screened_again(world, "review", BRAND)
    world.park()
    review_id = world.review_of(version_id)
    assert disown_release(world) == Disowned(1, doubted=(version_id,))
    ((status, reason),) = world.ask("SELECT status, reason FROM parkings WHERE review_id = ? AND round = 2", review_id)
    assert (status, "by a release that is none" in reason, "spring/a.jpg" in reason) == ("to_park", True, True)
    world.park()
    assert world.vote(review_id, "lea", "approve").approved == ()
    assert (world.state(version_id), world.ask("SELECT count(*) FROM effects")) == ("in_review", [(0,)])
    world.park()
    assert world.vote(world.review_of(version_id), "lea", "approve").approved == (version_id,)
    sound(world)


@pytest.mark.parametrize("published", [True, False])
def test_what_followed_from_a_disowned_release_is_taken_back(world: ApprovalWorld, published: bool) -> None:
    """Published by reviewers who trusted it: withdrawn. Approved: asked again."""
    version_id = held_and_released(world)
    screened_again(world, "review", BRAND)
    world.park()
    world.vote(world.review_of(version_id), "lea", "approve")
    if published:
        world.carry_out(version_id)
    these = (version_id,)
    now = Disowned(1, withdrawn=these) if published else Disowned(1, asked_again=these)
    assert disown_release(world) == now
    sound(world)


@pytest.mark.parametrize(("reason", "comes_back"), [("rights: expired", True), ("takedown", False)])
def test_what_its_rights_alone_keep_out_does_not_come_back(world: ApprovalWorld, reason: str, comes_back: bool) -> None:
    """Withdrawn for rights it would be published again one day on an approval that was none; taken down it stays so."""
    version_id = world.withdrawn(reason=reason)
    these = (version_id,)
    assert take_back(world) == (Disowned(1, asked_again=these) if comes_back else Disowned(1, unchanged=these))
    assert world.state(version_id) == ("in_review" if comes_back else "withdrawn")
    sound(world)


def test_owners_are_told_of_what_was_disowned(world: ApprovalWorld) -> None:
    """Each alone, naming the assets and nobody; what could not be taken back is said to stay."""
    first, second = world.published("spring/a.jpg", "one"), world.submitted("spring/b.jpg", "two")
    with world.writing() as tx:
        announce_disowned(tx, {"owners": [first, second], "nobody": [first]}, [second])
    ((person, kind, body),) = world.ask("SELECT person_id, kind, body FROM notices")
    assert (person, kind) == (world.person("ole"), "security")
    assert json.loads(body)["text"] == (
        "Somebody decided in another's name, who disowned it: spring/a.jpg, spring/b.jpg. What follows from it was "
        "taken back, but not of spring/b.jpg: look at that yourselves."
    )
