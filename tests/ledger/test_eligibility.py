"""Open gates follow the roster: who left a group may not decide there, and others come where a quorum needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger.eligibility import EligibilityChange, change_eligibility, compare_with_roster, undecided_gates
from ledger.roster import RosterPerson, import_roster
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, GROUPS, PEOPLE, ApprovalWorld
from tests.ledger.raw_sql import RawSql


def regroup(world: ApprovalWorld, **groups: Sequence[str]) -> None:
    """Import the roster with other members of some groups."""
    with world.writing() as tx:
        import_roster(tx, [RosterPerson(one, one.title()) for one in PEOPLE], {**GROUPS, **groups})


def compare(world: ApprovalWorld) -> list[EligibilityChange]:
    """What the roster asks for now, at gates of brand and owners."""
    with world.ledger.reading() as connection:
        gates = undecided_gates(connection)
        return compare_with_roster(connection, gates, {gate.gate_id: ("brand", "owners") for gate in gates})


def follow(world: ApprovalWorld) -> None:
    """Do what the roster asks for."""
    changes = compare(world)
    with world.writing() as tx:
        change_eligibility(tx, changes)


def people(world: ApprovalWorld) -> Mapping[str, str]:
    """Handle → via, of those who may decide."""
    sql = "SELECT handle, via FROM gate_eligible JOIN people USING (person_id) WHERE revoked_at IS NULL"
    return dict(world.ask(sql))


def test_nothing_changes_while_the_roster_stays(world: ApprovalWorld) -> None:
    """A gate whose people are there needs nothing."""
    world.screen(world.submit(), "review", BRAND)
    assert compare(world) == []


def test_who_left_the_group_is_revoked_and_who_joined_is_asked_where_needed(world: ApprovalWorld) -> None:
    """Both leave: the one who joined comes in, and the second time there is nothing to do."""
    world.screen(world.submit(), "review", BRAND)
    assert people(world) == {"lea": "group", "ben": "group"}  # mia is of the agency that submitted it
    regroup(world, brand=["kim", "mia"])
    follow(world)
    assert people(world) == {"kim": "group"}
    assert compare(world) == []
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'change_eligibility'") == [(1,)]


def test_one_who_left_is_no_reason_to_ask_more_people(world: ApprovalWorld) -> None:
    """The quorum is in reach of the others."""
    world.screen(world.submit(), "review", BRAND)
    regroup(world, brand=["ben", "kim"])
    follow(world)
    assert people(world) == {"ben": "group"}


def test_the_owners_come_where_the_group_is_too_small(world: ApprovalWorld) -> None:
    """Two are needed and one is left: the owner is asked too."""
    world.screen(world.submit(), "review", BRAND_BY_TWO)
    regroup(world, brand=["lea"])
    follow(world)
    assert people(world) == {"lea": "group", "ole": "escalation"}


def test_a_gate_that_nobody_can_pass_says_so(world: ApprovalWorld) -> None:
    """Neither group has anybody left: it stays open, and is named each time."""
    world.screen(world.submit(), "review", BRAND)
    regroup(world, brand=[], owners=[])
    follow(world)
    assert people(world) == {}
    (change,) = compare(world)
    assert (change.gate.key, change.added, change.revoked, change.missing) == ("spring/a.jpg", {}, frozenset(), 1)


def test_who_is_taken_back_may_decide_again(world: ApprovalWorld, raw: RawSql) -> None:
    """A mistake in the roster costs nobody the gates that were open: told, believed by the records, held by rule 4."""
    world.screen(world.submit(), "review", BRAND)
    regroup(world, brand=["ben"])
    follow(world)
    assert people(world) == {"ben": "group"}
    mine = f"WHERE person_id = {world.person('lea')}"
    back = f"UPDATE gate_eligible SET revoked_at = NULL {mine}"
    assert raw.attempt(lambda: raw.execute(back)) == "signoff: rule 4: eligibility is only ever revoked"
    regroup(world)
    (change,) = compare(world)
    assert (change.added, change.returned, change.revoked) == ({}, {world.person("lea")}, frozenset())
    follow(world)
    assert people(world) == {"lea": "group", "ben": "group"}
    assert compare(world) == []
    regroup(world, brand=["ben"])
    follow(world)
    assert people(world) == {"ben": "group"}
    with world.ledger.reading() as connection:
        assert list(verify_records(connection)) == []
