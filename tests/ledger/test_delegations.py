"""Absences in the ledger: a part is with one person at a time, who decides from the first moment of it to the last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.delegations import (
    change_stand_ins,
    compare_with_absences,
    delegate_part,
    import_delegations,
    present_and_coming,
    stand_in_at_new_gates,
    take_back_part,
)
from ledger.eligibility import undecided_gates
from ledger.errors import DelegationRefused, UnknownName
from ledger.gates import GateTerms
from ledger.notices import waiting_notices
from ledger.review import load_review
from ledger.waits import reviews_of_person
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, START, ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_ladder import is_sound

DAY = timedelta(days=1)
BEGIN, END = START + DAY, START + 5 * DAY


def hand_over(world: ApprovalWorld, principal: str, delegate: str, begin: datetime = BEGIN, end: datetime = END) -> int:
    """Hand a part over."""
    with world.writing("operator:people") as tx:
        return delegate_part(tx, principal, delegate, begin, end)


def follow(world: ApprovalWorld, at: datetime | None = None) -> list[tuple[list[str], list[str]]]:
    """Let gates follow the absences of an instant: who begins and who ends to stand in at each, as `delegate for x`."""
    world.now = max(world.now, at or world.now)
    handles = dict(world.ask("SELECT person_id, handle FROM people"))
    with world.writing("system:enforce_deadlines") as tx:
        changes = compare_with_absences(tx.connection, undecided_gates(tx.connection), tx.origin.at)
        change_stand_ins(tx, changes)
    return [
        tuple(
            [f"{handles[one]} for {handles[other]}" for one, other in pairs] for pairs in (change.added, change.revoked)
        )
        for change in changes
    ]  # type: ignore[misc]


def offered(world: ApprovalWorld, review_id: int) -> list[str]:
    """Whom the form of a review offers."""
    with world.ledger.reading() as connection:
        people = load_review(connection, review_id).people
    return [
        one.handle if one.person_id == one.on_behalf_of else f"{one.handle} for {one.on_behalf_name.lower()}"
        for one in people
        if not one.has_decided
    ]


def test_who_stands_in_decides_within_the_time_and_no_longer(world: ApprovalWorld) -> None:
    """Nothing before; from the first moment on offered and counted on behalf; after the last one neither."""
    first, second = world.in_review("spring/a.jpg", "one"), world.in_review("spring/b.jpg", "two")
    hand_over(world, "lea", "kim")
    assert follow(world, BEGIN - timedelta(minutes=5)) == []
    assert world.vote(world.review_of(first), "kim", "approve", on_behalf_of="lea").counted == ()
    world.park()
    assert follow(world, BEGIN) == [(["kim for lea"], [])] * 2
    assert follow(world) == []
    assert offered(world, world.review_of(first)) == ["ben", "kim for lea", "lea"]
    with world.ledger.reading() as connection:
        assert reviews_of_person(connection, "kim") == {world.review_of(first), world.review_of(second)}
    assert world.vote(world.review_of(first), "kim", "approve", on_behalf_of="lea").counted == (world.gate_of(first),)
    assert world.state(first) == "approved"
    assert world.ask("SELECT person_id, on_behalf_of FROM decisions") == [(world.person("kim"), world.person("lea"))]

    world.now = END  # nobody has swept yet
    late = world.vote(world.review_of(second), "kim", "approve", on_behalf_of="lea")
    assert late.refused == {world.gate_of(second): "this person does not stand in for the other now"}
    world.park()
    assert follow(world) == [([], ["kim for lea"])]
    assert offered(world, world.review_of(second)) == ["ben", "lea"]
    assert follow(world, END + DAY) == []
    is_sound(world)


def test_a_part_can_be_handed_over_again(world: ApprovalWorld) -> None:
    """Away twice while the same gate is open: who stands in may decide in both times, and not in between."""
    version_id = world.in_review()
    hand_over(world, "lea", "kim", BEGIN, BEGIN + DAY)
    hand_over(world, "lea", "kim", BEGIN + 2 * DAY, BEGIN + 3 * DAY)
    told = [follow(world, BEGIN + number * DAY) for number in range(4)]
    assert told == [[(["kim for lea"], [])], [([], ["kim for lea"])], [(["kim for lea"], [])], [([], ["kim for lea"])]]
    assert world.story(version_id).count("change_stand_ins") == 4
    is_sound(world)


def test_taken_back_it_ends_at_once(world: ApprovalWorld) -> None:
    """Back early: what runs and what was to come ends; nothing is left to take back."""
    world.in_review()
    hand_over(world, "lea", "kim")
    hand_over(world, "lea", "ole", END + DAY, END + 2 * DAY)
    follow(world, BEGIN)
    with world.writing("operator:people") as tx:
        assert [one.delegate for one in take_back_part(tx, "lea", "kim")] == ["kim"]
        assert [one.delegate for one in take_back_part(tx, "lea")] == ["ole"]
    assert follow(world) == [([], ["kim for lea"])]
    with world.ledger.reading() as connection:
        assert present_and_coming(connection, world.now) == []
    with world.writing("operator:people") as tx, pytest.raises(DelegationRefused, match="lea has handed nothing over"):
        take_back_part(tx, "lea")
    events = [row[0] for row in world.ask("SELECT action FROM events WHERE action LIKE '%delegate' ORDER BY seq")]
    assert events == ["delegate", "delegate", "undelegate", "undelegate"]
    with world.ledger.reading() as connection:
        told = [(row.person_id, row.occasion) for row in waiting_notices(connection) if row.kind == "delegated"]
    kim, ole = world.person("kim"), world.person("ole")
    begun = [(kim, "delegation 1 begins"), (ole, "delegation 2 begins")]
    assert told == [*begun, (kim, "delegation 1 ends"), (ole, "delegation 2 ends")]
    ((bodies,),) = [[tuple(row[0] for row in world.ask("SELECT body FROM events WHERE action LIKE '%delegate'"))]]
    assert not any(name in body for body in bodies for name in ("lea", "kim", "ole", "Lea", "Kim", "Ole"))


def test_a_file_hands_over_once(world: ApprovalWorld) -> None:
    """What is new in it and not over; imported again, or taken back meanwhile, nothing is handed over twice."""
    local = timezone(timedelta(hours=1))
    wanted = [
        ("lea", "kim", BEGIN.astimezone(local), END.astimezone(local)),
        ("ben", "mia", START - 9 * DAY, START - DAY),
        ("ben", "mia", BEGIN, END),
    ]
    told = []
    for number in range(3):
        with world.writing("operator:up") as tx:
            told.append(import_delegations(tx, wanted))
            if number == 1:
                take_back_part(tx, "ben")
    assert told == [[1, 2], [], []]
    with world.writing("operator:up") as tx, pytest.raises(DelegationRefused, match="the part of lea is with kim"):
        import_delegations(tx, [("lea", "mia", BEGIN, END + DAY)])


def test_what_cannot_be_handed_over_says_why(world: ApprovalWorld) -> None:
    """To oneself, to nobody, in the past, twice, in a circle, on from hand to hand: each with what to do."""
    hand_over(world, "lea", "ben")
    for principal, delegate, begin, end, problem in (
        ("mia", "mia", BEGIN, END, "mia cannot stand in for mia"),
        ("mia", "zoe", BEGIN, END, "nobody in the roster has the handle 'zoe'"),
        ("mia", "kim", END, BEGIN, "before it begins"),
        ("mia", "kim", START - DAY, START, "which is over"),
        ("mia", "kim", datetime(1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), END, "is not a moment of the years 1970"),
        ("mia", "kim", BEGIN, datetime.max.replace(tzinfo=UTC), "is not a moment of the years 1970 to 9997; nothing"),
        ("lea", "kim", END - DAY, END + DAY, "the part of lea is with ben"),
        ("ben", "lea", BEGIN, END, "the part of lea is with ben from .* it would go in a circle"),
        ("mia", "lea", BEGIN, END, "lea is away .* and their part is with ben; choose .* undelegate lea"),
        ("ben", "kim", BEGIN, END, "ben stands in for lea .* not handed on; choose .* undelegate lea"),
    ):
        with pytest.raises((DelegationRefused, UnknownName), match=problem):
            hand_over(world, principal, delegate, begin, end)
    hand_over(world, "ben", "lea", END, END + DAY)  # in turn
    hand_over(world, "mia", "ben", BEGIN, END)  # for two
    assert world.ask("SELECT COUNT(*) FROM delegations") == [(3,)]


def test_an_absence_of_before_the_calendar_can_be_read(world: ApprovalWorld, raw: RawSql) -> None:
    """An older release took it: everybody else's absences are read all the same, and it can be taken back."""
    number = hand_over(world, "lea", "ben")
    ids = {handle: person for person, handle in world.ask("SELECT person_id, handle FROM people")}
    row = {"delegation_id": number + 1, "principal_id": ids["mia"], "delegate_id": ids["kim"]}
    raw.insert("delegations", **row, starts_at=-62135600008000000, ends_at=4_000_000_000_000_000)
    with world.ledger.reading() as connection:
        found = present_and_coming(connection, world.now)
    assert [(one.principal, one.starts_at.year) for one in found] == [("mia", 1), ("lea", BEGIN.year)]
    with world.writing() as tx:
        assert [one.delegate for one in take_back_part(tx, "mia")] == ["kim"]


def test_four_eyes_holds_for_both(world: ApprovalWorld) -> None:
    """Neither who submits through a reviewer, nor a reviewer through who submits: sam and mia are the agency's."""
    world.in_review("spring/a.jpg", "one", BRAND)
    hand_over(world, "lea", "sam")
    hand_over(world, "mia", "ole")
    assert follow(world, BEGIN) == []
    assert world.ask("SELECT COUNT(*) FROM gate_eligible WHERE via = 'delegation'") == [(0,)]


def test_one_who_stands_for_two_acts_once(world: ApprovalWorld) -> None:
    """Two approvals are needed and one person holds both parts: the second one is refused, and a third is needed."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    for principal in ("lea", "ben"):
        hand_over(world, principal, "kim")
    assert follow(world, BEGIN) == [(["kim for lea", "kim for ben"], [])]
    review_id = world.review_of(version_id)
    assert len(world.vote(review_id, "kim", "approve", on_behalf_of="lea").counted) == 1
    world.park()
    assert offered(world, review_id) == ["ben"]
    refused = world.vote(review_id, "kim", "approve", on_behalf_of="ben").refused
    assert list(refused.values()) == ["this person, or whom they stand for, has decided here already"]
    assert world.state(version_id) == "in_review"
    world.park()
    world.vote(review_id, "ben", "approve")
    assert world.state(version_id) == "approved"
    is_sound(world)


@pytest.mark.parametrize("terms", [BRAND, BRAND_BY_TWO], ids=["one", "two"])
def test_the_first_form_offers_who_stands_in_already(world: ApprovalWorld, terms: GateTerms) -> None:
    """What arrives during an absence needs no second round for it."""
    hand_over(world, "lea", "kim")
    world.now = BEGIN
    world.screen(world.submit(), "review", terms)
    with world.writing() as tx:
        stand_in_at_new_gates(tx)
    (review_id,) = world.park()
    assert offered(world, review_id) == ["ben", "kim for lea", "lea"]
    assert follow(world) == []


def test_who_leaves_stands_in_no_more(world: ApprovalWorld) -> None:
    """The principal leaves the group or the roster: who stood in for them goes too."""
    from tests.ledger.test_eligibility import follow as follow_roster
    from tests.ledger.test_eligibility import regroup

    world.in_review()
    hand_over(world, "lea", "kim")
    follow(world, BEGIN)
    regroup(world, brand=["ben", "mia"])
    follow_roster(world)
    assert follow(world) == [([], ["kim for lea"])]
    is_sound(world)


def test_parts_stay_as_they_were_handed_over(world: ApprovalWorld, raw: RawSql) -> None:
    """By raw SQL: no circle, no second hand, none for nobody; nothing changed, revived, taken out; nobody slips in."""
    version_id = world.in_review()
    hand_over(world, "lea", "ben")
    lea, ben, kim = (world.person(one) for one in ("lea", "ben", "kim"))
    begin, end = (int(one.timestamp()) * 1_000_000 for one in (BEGIN, END))
    row: dict[str, Any] = {
        "delegation_id": 2,
        "principal_id": kim,
        "delegate_id": ben,
        "starts_at": begin,
        "ends_at": end,
    }
    once = "signoff: rule 4: a part is handed to one person at a time, who keeps their own"
    stays = "signoff: rule 4: a delegation is ended once; the record stays"

    def attempt(**changed: Any) -> str:
        return raw.attempt(lambda: raw.insert("delegations", **row | changed))

    assert [attempt(), attempt(principal_id=ben, delegate_id=lea, starts_at=end, ends_at=end + 1)] == ["", ""]
    circle = {"principal_id": ben, "delegate_id": lea}
    for wrong in (
        circle, {"principal_id": lea}, {"delegate_id": lea}, {"principal_id": ben, "delegate_id": kim},
        {"principal_id": ben}, {"principal_id": 99}, {"delegate_id": 99}, {"ends_at": begin}, {"revoked_at": begin},
        {"delegation_id": 1}, {"delegation_id": 7},
    ):  # fmt: skip
        assert attempt(**wrong) == once, wrong
    if raw.is_sqlite:
        replaced = row | {"delegation_id": 1}
        assert raw.attempt(lambda: raw.insert("delegations", how="INSERT OR REPLACE", **replaced)) == once
    for statement in ("delegate_id = 4", "principal_id = 4", "ends_at = ends_at + 1", "starts_at = 1"):
        assert raw.attempt(lambda statement=statement: raw.execute(f"UPDATE delegations SET {statement}")) == stays
    assert raw.attempt(lambda: raw.execute("DELETE FROM delegations")) == stays
    taken_back = [lambda: raw.execute("UPDATE delegations SET revoked_at = 5")]
    revived = "UPDATE delegations SET revoked_at = NULL"
    assert [raw.attempt(*taken_back), raw.attempt(*taken_back, lambda: raw.execute(revived))] == ["", stays]

    given = {"gate_id": world.gate_of(version_id), "person_id": ben, "on_behalf_of": lea, "via": "delegation"}
    handed = "signoff: rule 4: who stands for somebody was handed their part"

    def let(*before: Any, **changed: Any) -> str:
        return raw.attempt(*before, lambda: raw.insert("gate_eligible", added_at=1, **given | changed))

    assert [let(), let(*taken_back)] == ["", handed]
    for wrong in ({"via": "group"}, {"person_id": kim}, {"person_id": kim, "on_behalf_of": kim}):
        assert let(**wrong) == handed
    insert = [lambda: raw.insert("gate_eligible", added_at=1, **given)]
    own = "UPDATE gate_eligible SET revoked_at = {} WHERE via = 'delegation'"
    revoked = [*insert, lambda: raw.execute(own.format(begin))]
    again = [lambda: raw.execute(own.format("NULL"))]
    over = [*insert, lambda: raw.execute(own.format(end))]
    only = "signoff: rule 4: eligibility is only ever revoked"
    assert raw.attempt(*revoked, *again) == ""
    assert raw.attempt(*over, *again) == only
    assert raw.attempt(*revoked, *taken_back, *again) == only
