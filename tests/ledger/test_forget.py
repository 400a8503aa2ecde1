"""Forgetting a person: nothing that tells who they were is left, and the chain holds as before."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.decide import Ballot, decide
from ledger.errors import RuleBroken, StillCounted, UnknownName
from ledger.forget import Forgetting, forget_person, let_go, plan_forgetting
from ledger.reader import story
from ledger.review import load_review
from ledger.roster import RosterPerson, import_roster, present_people
from ledger.rounds import close_round
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND_BY_TWO, GROUPS, LEGAL, PEOPLE, ApprovalWorld
from tests.ledger.raw_sql import RawSql

WORDS = "The horizon hangs to the left, said in words that stand nowhere else."


@pytest.fixture
def decided(world: ApprovalWorld) -> ApprovalWorld:
    """Lea has turned something down in so many words, and her answer is told to those who come after her."""
    version_id = world.in_review("spring/a.jpg", "one")
    world.vote(world.review_of(version_id), "lea", "reject", WORDS)
    world.in_review("spring/b.jpg", "two")
    review_id = int(world.ask("SELECT MAX(review_id) FROM reviews")[0][0])
    with world.writing() as tx:
        close_round(tx, review_id, 1, "answered", "Lea has decided on 1 of 2 assets. Ask lea@example.org, not Leander.")
    return world


def forget(world: ApprovalWorld, handle: str = "lea") -> Forgetting:
    """Forget somebody, as an operator does."""
    with world.writing("operator:people") as tx:
        done = forget_person(tx, handle)
    assert let_go(world.ledger)
    return done


def test_nothing_is_left_but_a_number(decided: ApprovalWorld) -> None:
    """Name, address, handle, comment, salt and the notice are gone; decisions stay by number, and all is audited."""
    lea = decided.person("lea")
    with decided.ledger.reading() as connection:
        plan = plan_forgetting(connection, "lea")
    assert plan == Forgetting(lea, "lea", "Lea", "lea@example.org", ("brand", "legal"), 1, (1,), ((2, 2),), ((2, 2),))
    assert forget(decided) == plan
    assert decided.ask("SELECT handle, name, email FROM people WHERE person_id = ?", lea) == [
        (f"forgotten person {lea}", None, None)
    ]
    assert decided.ask("SELECT salt, body FROM notes") == [("", None)]
    assert decided.ask("SELECT reason FROM parkings WHERE round = 2") == [
        ("A forgotten person has decided on 1 of 2 assets. Ask a forgotten person, not Leander.",)
    ]
    assert decided.ask("SELECT verdict FROM decisions WHERE person_id = ?", lea) == [("reject",)]
    told = decided.ask("SELECT action, body FROM events ORDER BY seq DESC LIMIT 4")
    assert [row[0] for row in told] == ["forget_person", "leave_roster", "leave_group", "leave_group"]
    assert f'"details":{{"comments":1,"person":{lea}}}' in told[0][1]
    with decided.ledger.reading() as connection:
        assert (verify_chain(connection).damage, verify_records(connection)) == (None, [])
        assert "lea" not in {one["handle"] for one in present_people(connection)}


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_the_bytes_are_gone_from_the_file(decided: ApprovalWorld) -> None:
    """Not only from the rows: neither the database nor its log holds the words, the name or the address any more."""
    salt = str(decided.ask("SELECT salt FROM notes")[0][0]).encode()
    secrets = (WORDS.encode(), b"lea@example.org", salt)
    path = Path(decided.ledger.url.database or "")

    def found() -> list[bytes]:
        files = [one.read_bytes() for one in path.parent.iterdir() if one.name.startswith(path.name)]
        return [secret for secret in secrets if any(secret in data for data in files)]

    assert found() == list(secrets)
    forget(decided)
    assert found() == []


def test_what_shows_names_shows_a_forgotten_person(decided: ApprovalWorld) -> None:
    """The story of an asset, and a review that is still open."""
    lea = decided.person("lea")
    forget(decided)
    with decided.ledger.reading() as connection:
        (decision,) = story(connection, "spring/a.jpg", "intake")["decisions"]
        review = load_review(connection, 2, 2)
    assert (decision["by"], decision["comment"]) == (f"forgotten person {lea}", None)
    assert lea not in {one.person_id for one in review.people}


def test_a_forgotten_person_decides_no_more(decided: ApprovalWorld) -> None:
    """Not through the ledger's verbs, not by raw SQL, and not by coming back under the old handle."""
    lea = decided.person("lea")
    forget(decided)
    gate_id = decided.ask("SELECT MAX(gate_id) FROM gates")[0][0]
    with decided.writing() as tx:
        refused = decide(tx, 2, 2, lea, lea, [Ballot(int(gate_id), "approve")]).refused
    assert refused == {gate_id: "this person may not decide here"}
    with decided.writing() as tx:
        people = [RosterPerson(one, one.title(), None) for one in PEOPLE]
        assert import_roster(tx, people, GROUPS).joined == ("lea",)
    assert decided.person("lea") != lea


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE people SET left_at = NULL WHERE person_id = ?",
        "UPDATE people SET name = 'Lea' WHERE person_id = ?",
        "UPDATE people SET handle = 'lea' WHERE person_id = ?",
        "DELETE FROM people WHERE person_id = ?",
    ],
)
def test_forgetting_is_not_undone(decided: ApprovalWorld, raw: RawSql, sql: str) -> None:
    """The database itself refuses every way back."""
    lea = decided.person("lea")
    forget(decided)
    refusal = "signoff: rule 4: a person leaves; the record stays"
    assert raw.attempt(lambda: raw.execute(sql, lea)) == refusal


@pytest.mark.parametrize("change", ["name = NULL", "left_at = 5", "left_at = 5, email = NULL", "email = NULL"])
def test_a_handle_goes_only_with_everything_else(decided: ApprovalWorld, raw: RawSql, change: str) -> None:
    """Nobody who is present, or named, loses their handle."""
    lea = decided.person("lea")
    sql = f"UPDATE people SET handle = 'forgotten person {lea}', {change} WHERE person_id = ?"
    assert raw.attempt(lambda: raw.execute(sql, lea)) == "signoff: rule 4: a person leaves; the record stays"


def test_forms_that_offer_them_are_replaced(world: ApprovalWorld) -> None:
    """Those that wait in Prefect are asked anew without the name: also when the roster let them go before."""
    for number in range(2):
        world.in_review(f"spring/{number}.jpg", str(number))
    forget(world, "kim")
    assert world.ask("SELECT DISTINCT round, status FROM parkings") == [(1, "parked")], "kim was offered nowhere"
    with world.writing() as tx:
        people = [RosterPerson(one, one.title(), None) for one in PEOPLE if one not in ("lea", "kim")]
        import_roster(tx, people, {**GROUPS, "brand": ("ben", "mia"), "legal": ()})
    forget(world)
    rounds = world.ask("SELECT round, status, reason FROM parkings ORDER BY review_id, round")
    again = "Somebody whom the form offered or quoted was forgotten."
    assert rounds == [(1, "replaced", None), (2, "to_park", again)] * 2
    with world.ledger.reading() as connection:
        assert [one.handle for one in load_review(connection, 1).people] == ["ben"]
        assert verify_records(connection) == []


def test_forms_that_quote_them_are_replaced(world: ApprovalWorld) -> None:
    """A form shows what was said of the version before; one of another asset stays."""
    version_id = world.in_review("spring/a.jpg", "one", LEGAL)
    world.vote(world.review_of(version_id, "legal"), "kim", "request_changes", WORDS)
    world.in_review("spring/a.jpg", "two")
    world.in_review("spring/b.jpg", "three")
    forget(world, "kim")
    rounds = world.ask("SELECT review_id, round, status FROM parkings WHERE review_id > 1 ORDER BY review_id, round")
    assert rounds == [(2, 1, "replaced"), (2, 2, "to_park"), (3, 1, "parked")]


def test_nobody_is_forgotten_while_they_count_at_an_open_gate(world: ApprovalWorld) -> None:
    """Forgotten and brought in anew, the same human would make a quorum of two alone; once it is over they go."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    review_id = world.review_of(version_id)
    world.vote(review_id, "lea", "approve")
    with pytest.raises(StillCounted, match=f"a decision of lea counts in review {review_id}, which is not over"):
        forget(world)
    assert world.person("lea")
    world.park()
    world.vote(review_id, "ben", "approve")
    assert forget(world).decisions == 1


def test_nobody_joins_as_a_forgotten_person(world: ApprovalWorld, raw: RawSql) -> None:
    """The handle that is left of somebody is given by forgetting alone."""
    refusal = "signoff: rule 4: a person leaves; the record stays"
    person = {"person_id": 77, "joined_at": 1}
    for handle in ("forgotten person 77", "forgotten person 1"):
        told = raw.attempt(lambda handle=handle: raw.insert("people", handle=handle, **person))
        assert told == refusal
    assert raw.attempt(lambda: raw.insert("people", handle="max", **person)) == ""


def test_an_unknown_handle_is_said(world: ApprovalWorld) -> None:
    """And so is the number of somebody who was forgotten before."""
    forget(world, "sam")
    ((known,),) = world.ask("SELECT handle FROM people WHERE name IS NULL")
    for handle in ("nobody", "sam", str(known)):
        with pytest.raises(UnknownName, match=f"nobody of the ledger has the handle '{handle}'"), world.writing() as tx:
            forget_person(tx, handle)


def test_a_failure_erases_nothing(decided: ApprovalWorld, raw: RawSql) -> None:
    """All of it happens, or none."""
    before = decided.ask("SELECT * FROM people ORDER BY person_id")
    with pytest.raises(RuleBroken), decided.writing() as tx:  # noqa: PT012 (what fails is the second step of one whole)
        forget_person(tx, "lea")
        tx.connection.execute(sa.text("DELETE FROM events"))
    assert decided.ask("SELECT * FROM people ORDER BY person_id") == before
    assert raw.execute("SELECT body FROM notes") == [(WORDS,)]
