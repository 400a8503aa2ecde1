"""Who is told of what: reviewers of what waits, submitters of what was rejected, owners of what lacks people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ledger import tables
from ledger.announce import (
    announce_broken_policy,
    announce_opened,
    announce_rejected,
    announce_shortages,
    unannounced_shortages,
)
from ledger.eligibility import undecided_gates
from ledger.review import load_review
from ledger.rounds import close_round
from tests.ledger.approval_world import BRAND_BY_TWO, ApprovalWorld


def told(world: ApprovalWorld) -> list[tuple[str, str]]:
    """(handle, kind) of every notice, in order."""
    return [
        (handle, kind)
        for handle, kind in world.ask(
            "SELECT p.handle, n.kind FROM notices n JOIN people p ON p.person_id = n.person_id ORDER BY n.notice_id"
        )
    ]


def body(world: ApprovalWorld) -> Mapping[str, Any]:
    """What the last notice is made of."""
    ((text,),) = world.ask("SELECT body FROM notices ORDER BY notice_id DESC LIMIT 1")
    found: Mapping[str, Any] = json.loads(text)
    return found


def announce(world: ApprovalWorld, review_id: int) -> None:
    """Tell those who are asked in a review."""
    with world.writing() as tx:
        announce_opened(tx, [load_review(tx.connection, review_id)])


def test_reviewers_are_told_once_of_what_waits_for_them(world: ApprovalWorld) -> None:
    """Everybody who may decide; parked anew, only those who come in new; who has decided is asked nothing more."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    review_id = world.review_of(version_id)
    announce(world, review_id)
    asked = told(world)
    assert asked == [("lea", "opened"), ("ben", "opened")]
    assert body(world) == {"stage": "brand", "collection": "spring", "assets": 1, "keys": ["spring/a.jpg"]}
    world.vote(review_id, "lea", "approve")
    with world.writing() as tx:
        pair = {"gate_id": world.gate_of(version_id), "person_id": 5, "on_behalf_of": 5}
        tx.insert(tables.gate_eligible, [{**pair, "via": "escalation", "added_at": tx.origin.at}])
    announce(world, review_id)
    announce(world, review_id)
    assert told(world) == [*asked, ("ole", "opened")]


def test_submitters_are_told_what_was_rejected(world: ApprovalWorld) -> None:
    """Those of the group that submitted it, with the keys; what was only sent back is left to its own review."""
    rejected = world.turned_down("spring/a.jpg", "one", "reject")
    sent_back = world.turned_down("spring/b.jpg", "two", "request_changes")
    with world.writing() as tx:
        review = load_review(tx.connection, world.review_of(rejected))
        announce_rejected(tx, review, [])
        announce_rejected(tx, review, [sent_back])
        announce_rejected(tx, review, [rejected, sent_back])
    assert told(world) == [("mia", "decided"), ("sam", "decided")]
    assert body(world) == {
        "stage": "brand", "collection": "spring", "assets": 1, "keys": ["spring/a.jpg"], "outcome": "rejected",
        "group": "agency",
    }  # fmt: skip


def test_owners_are_told_once_what_lacks_people(world: ApprovalWorld) -> None:
    """One notice a review, whatever it holds; told again only if it becomes another review's trouble."""
    world.in_review("spring/a.jpg", "one")
    world.in_review("spring/b.jpg", "two")
    with world.ledger.reading() as connection:
        short = [(gate, "owners") for gate in undecided_gates(connection)]
        assert unannounced_shortages(connection, short) == short
    with world.writing() as tx:
        announce_shortages(tx, short)
        announce_shortages(tx, short)
    reviews = {gate.review_id for gate, _ in short}
    assert told(world) == [("ole", "roster_short")] * len(reviews)
    with world.ledger.reading() as connection:
        assert unannounced_shortages(connection, short) == []


def test_owners_are_told_what_broke(world: ApprovalWorld) -> None:
    """Everybody of the groups once, each time anew."""
    with world.writing() as tx:
        announce_broken_policy(tx, ["owners", "brand", "nobody"], "It broke.")
    assert told(world) == [(handle, "policy_broken") for handle in ("lea", "ben", "mia", "ole")]
    close = world.in_review("spring/a.jpg", "one")
    with world.writing() as tx:
        close_round(tx, world.review_of(close), 1, "replaced", None)
        announce_broken_policy(tx, ["owners"], "It broke again.")
    assert told(world)[-1] == ("ole", "policy_broken")
    assert body(world) == {"text": "It broke again."}
