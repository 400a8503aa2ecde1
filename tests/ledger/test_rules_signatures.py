"""Rule 4, signatures: codes are used up once by people who are enrolled, and what is signed stands beside its code."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from ledger.gates import GateTerms
from tests.ledger.raw_sql import RawSql
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

SIGNED = GateTerms("signed", 0, 1, True, "totp", "brand", "owners")
BEGINS = "signoff: rule 4: a secret begins unconfirmed, for somebody of the roster"
ENDS = "signoff: rule 4: a secret is confirmed once and ended once"
ONCE = "signoff: rule 4: a code is used up once, by somebody who is enrolled"
COUNTED = "signoff: rule 4: wrong codes are counted, and forgotten for a right one only"
SIGNATURE = "signoff: rule 4: a signature is a code that was used up for this very review"
TRUNCATED = "signoff: rule 1: records are never truncated"

Steps = Callable[[], Any]
_numbers = count(1)
_ids = count(50_000)


class Desk:
    """One person, and callables that each try one thing with what they sign with, by raw SQL."""

    def __init__(self, museum: StateMuseum, handle: str = "lea") -> None:
        """A desk of somebody of the roster."""
        self.raw: RawSql = museum.raw
        self.world = museum.world
        self.person = self.world.person(handle)

    def do(self, sql: str, *values: Any) -> Steps:
        """Send a statement."""
        return lambda: self.raw.execute(sql, *values)

    def begin(self, secret_id: int = 1, how: str = "INSERT", **more: Any) -> Steps:
        """Insert a secret."""
        row = {"secret_id": secret_id, "person_id": self.person, "state": "pending", "key_id": "k", "sealed": "s"}
        return lambda: self.raw.insert("signing_secrets", how=how, **(row | {"made_at": LATER} | more))

    def change(self, what: str, secret_id: int = 1) -> Steps:
        """Update a secret."""
        return self.do(f"UPDATE signing_secrets SET {what} WHERE secret_id = ?", secret_id)

    def confirm(self, secret_id: int = 1) -> Steps:
        """Make a secret active."""
        return self.change(f"state = 'active', confirmed_at = {LATER}", secret_id)

    def end(self, why: str = "unenrolled", secret_id: int = 1) -> Steps:
        """End a secret."""
        gone = f"state = 'ended', sealed = NULL, key_id = NULL, ended_at = {LATER}, ended_for = '{why}'"
        return self.change(gone, secret_id)

    def use(self, step: int, how: str = "INSERT", **more: Any) -> Steps:
        """Use up a code."""
        row = {"person_id": self.person, "step": step, "used_at": LATER, "purpose": "policy", "review_id": None}
        return lambda: self.raw.insert("used_codes", how=how, **(row | more))

    def fail(self, failures: int, how: str = "INSERT", again: int = LATER) -> Steps:
        """Note wrong codes."""
        row = {"person_id": self.person, "failures": failures, "last_at": LATER, "looks_again_at": again}
        return lambda: self.raw.insert("code_failures", how=how, **row)

    def attempt(self, *steps: Steps) -> str:
        """The refusal, or an empty string."""
        return self.raw.attempt(*steps)


@pytest.fixture
def desk(museum: StateMuseum) -> Desk:
    """The desk of lea."""
    return Desk(museum)


def test_a_secret_lives_once(desk: Desk) -> None:
    """Begun, confirmed, sealed anew, ended: allowed in this order; a new one after that too."""
    sealed = desk.change("key_id = 'other', sealed = 'anew'")
    assert desk.attempt(desk.begin(), desk.confirm(), sealed, desk.end(), desk.begin(2), desk.confirm(2)) == ""
    recovered = desk.change("ended_for = 'recovered'")
    assert desk.attempt(desk.begin(), desk.confirm(), desk.end("disowned"), recovered) == ""


def test_secrets_begin_unconfirmed(desk: Desk, museum: StateMuseum) -> None:
    """Not active at birth, not twice, not for who has left or is nobody, not in the place of another one."""
    assert desk.attempt(desk.begin(state="active", confirmed_at=LATER)) == BEGINS
    assert desk.attempt(desk.begin(confirmed_at=LATER)) == BEGINS
    assert desk.attempt(desk.begin(7)) == BEGINS
    assert desk.attempt(desk.begin(), desk.begin(2)) == BEGINS
    assert (
        desk.attempt(desk.do("UPDATE people SET left_at = 1 WHERE person_id = ?", desk.person), desk.begin()) == BEGINS
    )
    if museum.raw.is_sqlite:
        assert desk.attempt(desk.begin(), desk.begin(how="INSERT OR REPLACE")) == BEGINS


def test_secrets_end_once(desk: Desk) -> None:
    """No way back, no second confirmation, no other person, no second active one, no deletion."""
    ben = desk.world.person("ben")
    for refused in (
        [desk.change("state = 'pending'")],
        [desk.change("confirmed_at = 1")],
        [desk.change(f"person_id = {ben}")],
        [desk.change("made_at = 1")],
        [desk.change("secret_id = 9")],
        [desk.begin(2), desk.confirm(2)],
        [desk.end(), desk.change("state = 'active', key_id = 'k', sealed = 's', ended_at = NULL, ended_for = NULL")],
        [desk.end(), desk.change("ended_for = 'recovered'")],
        [desk.end("disowned"), desk.change("ended_for = 'unenrolled'")],
        [desk.do("DELETE FROM signing_secrets")],
    ):
        assert desk.attempt(desk.begin(), desk.confirm(), *refused) == ENDS


def test_a_code_is_used_up_once(desk: Desk, museum: StateMuseum) -> None:
    """By somebody enrolled, and never again: no update, no deletion, no replacing."""
    enrolled = [desk.begin(), desk.confirm(), desk.use(7)]
    assert desk.attempt(*enrolled, desk.use(8)) == ""
    assert desk.attempt(*enrolled, desk.use(7)) == ONCE
    assert desk.attempt(*enrolled, desk.do("UPDATE used_codes SET step = 6")) == ONCE
    assert desk.attempt(*enrolled, desk.do("DELETE FROM used_codes")) == ONCE
    assert desk.attempt(desk.use(7)) == ONCE
    assert desk.attempt(desk.begin(), desk.use(7)) == ONCE
    assert desk.attempt(desk.begin(), desk.confirm(), desk.end(), desk.use(7)) == ONCE
    left = desk.do("UPDATE people SET left_at = 1 WHERE person_id = ?", desk.person)
    assert desk.attempt(desk.begin(), desk.confirm(), left, desk.use(7)) == ONCE
    if museum.raw.is_sqlite:
        assert desk.attempt(*enrolled, desk.use(7, how="INSERT OR REPLACE")) == ONCE


def test_wrong_codes_are_counted(desk: Desk, museum: StateMuseum) -> None:
    """One by one, the wait never shorter; forgotten only beside a code that was used up then."""
    more = "UPDATE code_failures SET failures = failures + 1, looks_again_at = ?"
    none = "UPDATE code_failures SET failures = 0, last_at = ?"
    assert desk.attempt(desk.fail(1), desk.do(more, LATER + 1), desk.do(more, LATER + 1)) == ""
    right = [desk.begin(), desk.confirm(), desk.use(7)]
    assert desk.attempt(desk.fail(1), *right, desk.do(none, LATER), desk.do(more, LATER)) == ""
    assert desk.attempt(desk.fail(1), *right, desk.do(none, LATER + 1)) == COUNTED
    assert desk.attempt(desk.fail(1), desk.do(none, LATER)) == COUNTED
    assert desk.attempt(desk.fail(0)) == COUNTED
    assert desk.attempt(desk.fail(2)) == COUNTED
    assert desk.attempt(desk.fail(1), desk.do(more, LATER - 1)) == COUNTED
    assert desk.attempt(desk.fail(1), desk.do("UPDATE code_failures SET failures = failures + 2")) == COUNTED
    other = desk.do("UPDATE code_failures SET person_id = ?, failures = failures + 1", desk.world.person("ben"))
    assert desk.attempt(desk.fail(1), other) == COUNTED
    assert desk.attempt(desk.fail(1), desk.do("DELETE FROM code_failures")) == COUNTED
    if museum.raw.is_sqlite:
        assert desk.attempt(desk.fail(1), desk.fail(1, how="INSERT OR REPLACE")) == COUNTED


def test_a_decision_stands_beside_its_code(museum: StateMuseum) -> None:
    """One code, used up by this person for this review at this instant: nothing else signs."""
    world = museum.world
    version_id = world.in_review(f"signatures/{next(_numbers)}.jpg", "content", SIGNED)
    other_id = world.in_review(f"signatures/{next(_numbers)}.jpg", "content", SIGNED)
    ((sha256,),) = museum.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", version_id)
    review, other = (world.review_of(one, "signed") for one in (version_id, other_id))
    lea, ben = Desk(museum), Desk(museum, "ben")
    row = {"gate_id": world.gate_of(version_id, "signed"), "verdict": "approve", "counted": True, "signature": "totp"}
    row |= {"person_id": lea.person, "on_behalf_of": lea.person, "sha256": sha256, "basis": "b", "decided_at": LATER}
    decide = lambda **more: lambda: museum.raw.insert("decisions", **(row | {"decision_id": next(_ids)} | more))  # noqa: E731
    enrolled = [lea.begin(), lea.confirm(), ben.begin(2), ben.confirm(2)]
    for_review = {"purpose": "answer", "review_id": review}
    assert lea.attempt(*enrolled, lea.use(7, **for_review), decide()) == ""
    for used in (
        [],
        [lea.use(7)],
        [lea.use(7, purpose="answer", review_id=other)],
        [lea.use(7, used_at=LATER - 1, **for_review)],
        [ben.use(7, **for_review)],
    ):
        assert lea.attempt(*enrolled, *used, decide()) == SIGNATURE
        assert lea.attempt(*enrolled, *used, decide(counted=False)) == SIGNATURE
    unsigned = "signoff: rule 4: this gate wants a signature"
    assert lea.attempt(*enrolled, lea.use(7, **for_review), decide(signature="none")) == unsigned


def test_a_release_stands_beside_its_code(museum: StateMuseum) -> None:
    """What is said of what is held, too."""
    from ledger.held import held_without_review, open_held_reviews

    world, lea = museum.world, Desk(museum, "ole")
    version_id = world.quarantined(f"signatures/{next(_numbers)}.jpg", "content")
    with world.writing() as tx:
        held = [one for one in held_without_review(tx.connection) if one.version_id == version_id]
        (review,) = open_held_reviews(tx, [("owners", world.now, held)])
    notes = museum.raw.execute("SELECT COALESCE(MAX(note_id), 0) + 1 FROM notes")[0][0]
    note = lambda: museum.raw.insert("notes", note_id=notes, salt="s", body="b")  # noqa: E731
    ((last,),) = museum.raw.execute("SELECT COALESCE(MAX(decision_id), 0) FROM held_decisions")
    row = {"decision_id": last + 1, "review_id": review, "version_id": version_id, "person_id": lea.person}
    row |= {"verdict": "release", "counted": True, "signature": "totp", "basis": "b", "note_id": notes}
    ((row["sha256"],),) = museum.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", version_id)
    said = lambda: museum.raw.insert("held_decisions", **row, decided_at=LATER)  # noqa: E731
    enrolled = [note, lea.begin(), lea.confirm()]
    assert lea.attempt(*enrolled, lea.use(7, purpose="answer", review_id=review), said) == ""
    assert lea.attempt(*enrolled, lea.use(7), said) == SIGNATURE
    assert lea.attempt(*enrolled, said) == SIGNATURE


def test_the_tables_are_never_truncated(museum: StateMuseum) -> None:
    """On PostgreSQL, where that is a statement of its own."""
    if museum.raw.is_sqlite:
        return
    for table in ("signing_secrets", "used_codes", "code_failures"):
        assert museum.raw.attempt(lambda table=table: museum.raw.execute(f"TRUNCATE {table}")) == TRUNCATED
