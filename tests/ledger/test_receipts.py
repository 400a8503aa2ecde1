"""“This was not me”: what was decided in somebody's name is taken back, as far as it can be, and on record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ledger.decide import Decided
from ledger.enrolment import EnrolmentRefused, begin_enrolment
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
