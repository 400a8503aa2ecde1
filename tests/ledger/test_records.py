"""The roster, policies and grants in the ledger: imported whole, every change audited, nothing forgotten."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ledger.engine import Ledger
from ledger.errors import RuleBroken, UnknownName
from ledger.grants import GrantChange, import_grants, last_import_etag, present_grants
from ledger.policy_store import StoredPolicy, activate_policy, active_policy, store_policy, stored_policy
from ledger.roster import RosterChange, RosterPerson, import_roster, person_id_of, present_people
from ledger.transaction import Origin
from tests.ledger.approval_world import POLICY, START, ApprovalWorld

LEA, BEN = RosterPerson("lea", "Lea", "lea@example.org"), RosterPerson("ben", "Ben")


@pytest.fixture
def bare(ledger: Ledger) -> ApprovalWorld:
    """A ledger without people and policies."""
    return ApprovalWorld(ledger, furnish=False)


def test_a_roster_is_imported_and_imported_again(bare: ApprovalWorld) -> None:
    """The first import joins everybody, the second changes nothing and writes no event."""
    with bare.writing() as tx:
        first = import_roster(tx, [LEA, BEN], {"brand": ["lea", "ben"], "legal": ["lea"]})
    joined = (("brand", "ben"), ("brand", "lea"), ("legal", "lea"))
    assert first == RosterChange(("lea", "ben"), (), joined, ())
    events = bare.ask("SELECT action, COUNT(*) FROM events GROUP BY action ORDER BY action")
    assert events == [("join_group", 3), ("join_roster", 2)]
    with bare.writing() as tx:
        again = import_roster(tx, [LEA, BEN], {"brand": ["ben", "lea"], "legal": ["lea"]})
    assert again.is_empty
    assert bare.ask("SELECT COUNT(*) FROM events") == [(5,)]
    with bare.ledger.reading() as connection:
        assert present_people(connection) == [
            {"person_id": 2, "handle": "ben", "name": "Ben", "groups": ["brand"]},
            {"person_id": 1, "handle": "lea", "name": "Lea", "groups": ["brand", "legal"]},
        ]


def test_who_leaves_and_comes_back_is_the_same_person(bare: ApprovalWorld) -> None:
    """Memberships end and begin anew, the person's id stays; names are no part of the chain."""
    with bare.writing() as tx:
        import_roster(tx, [LEA, BEN], {"brand": ["lea", "ben"]})
    with bare.writing() as tx:
        assert import_roster(tx, [BEN], {"brand": ["ben"]}) == RosterChange((), ("lea",), (), (("brand", "lea"),))
    with bare.ledger.reading() as connection:
        assert person_id_of(connection, "lea") is None
        assert [one["handle"] for one in present_people(connection)] == ["ben"]
    with bare.writing() as tx:
        back = import_roster(tx, [BEN, RosterPerson("lea", "Lea M.")], {"brand": ["ben", "lea"]})
    assert back == RosterChange(("lea",), (), (("brand", "lea"),), ())
    assert bare.ask("SELECT person_id, name, email, left_at FROM people WHERE handle = 'lea'") == [
        (1, "Lea M.", None, None)
    ]
    memberships = bare.ask("SELECT removed_at IS NULL FROM memberships WHERE person_id = 1 ORDER BY membership_id")
    assert memberships == [(False,), (True,)]
    bodies = " ".join(row[0] for row in bare.ask("SELECT body FROM events"))
    assert "Lea" not in bodies
    assert '"lea"' not in bodies


def test_a_clock_that_jumps_back_ends_memberships_all_the_same(bare: ApprovalWorld) -> None:
    """The end of a membership is never dated before the last event: four eyes look at it."""
    with bare.writing() as tx:
        import_roster(tx, [LEA, BEN], {"agency": ["lea", "ben"]})
    last = bare.now
    with bare.ledger.writing(Origin("system:test", last - timedelta(days=3))) as tx:
        import_roster(tx, [LEA, BEN], {"agency": ["ben"]})
    ((ended,), (at,)) = bare.ask(
        "SELECT removed_at FROM memberships WHERE removed_at IS NOT NULL UNION ALL SELECT at FROM events WHERE seq = 1"
    )
    assert ended == at


def test_a_group_of_strangers_is_refused(bare: ApprovalWorld) -> None:
    """Whom the file does not name cannot be in a group; nothing is written."""
    with pytest.raises(UnknownName, match="group brand names eve"), bare.writing() as tx:
        import_roster(tx, [LEA], {"brand": ["lea", "eve"]})
    assert bare.ask("SELECT COUNT(*) FROM people") == [(0,)]


def test_a_policy_is_stored_once_and_activated_by_two(bare: ApprovalWorld) -> None:
    """The first activation takes one, every later one two; stored again it is the same."""
    with bare.ledger.reading() as connection:
        assert active_policy(connection) is None
    with bare.writing() as tx:
        first = store_policy(tx, "p", POLICY, ["routine"])
        assert store_policy(tx, "p", POLICY, ["anything"]) == first
        activate_policy(tx, first, "operator:ada")
    second_text = POLICY + "# second\n"
    with bare.writing() as tx:
        second = store_policy(tx, "p2", second_text, [])
    with pytest.raises(RuleBroken, match=r"^rule 3: after the first"), bare.writing() as tx:
        activate_policy(tx, second, "operator:ada", "operator:ada")
    with bare.ledger.reading() as connection:
        assert active_policy(connection) == StoredPolicy(first, "p", POLICY)
    with bare.writing() as tx:
        activate_policy(tx, second, "operator:ada", "operator:bob")
    with bare.ledger.reading() as connection:
        assert active_policy(connection) == StoredPolicy(second, "p2", second_text)
        assert stored_policy(connection, first).body == POLICY
        with pytest.raises(UnknownName, match="no policy ff is stored"):
            stored_policy(connection, "ff")
    assert bare.ask("SELECT rule FROM policy_rules") == [("routine",)]
    told = bare.ask("SELECT action FROM events ORDER BY seq")
    assert told == [("store_policy",), ("activate_policy",), ("store_policy",), ("activate_policy",)]


def test_grants_have_revisions(bare: ApprovalWorld) -> None:
    """Added, changed, retired, brought back: each import says what changed, and history stays."""
    source, told = "s3://contracts/grants.csv", []
    for etag, grants in (
        ("e1", {"a": "1", "b": "1"}),
        ("e2", {"a": "2", "b": "1"}),
        ("e3", {"a": "2"}),
        ("e4", {"a": "2", "b": "1"}),
    ):
        with bare.writing() as tx:
            told.append(import_grants(tx, source, etag, "ab" * 32, grants))
    assert told == [
        GrantChange(("a", "b"), (), ()),
        GrantChange((), ("a",), ()),
        GrantChange((), (), ("b",)),
        GrantChange(("b",), (), ()),
    ]
    rows = bare.ask("SELECT grant_id, revision, body, retired_at IS NULL FROM grants ORDER BY grant_id, revision")
    assert rows == [("a", 1, "1", False), ("a", 2, "2", True), ("b", 1, "1", False), ("b", 2, "1", True)]
    with bare.ledger.reading() as connection:
        assert present_grants(connection) == ["2", "1"]
        assert last_import_etag(connection, source) == "e4"
        assert last_import_etag(connection, "elsewhere") is None
    ((body,),) = bare.ask("SELECT body FROM events ORDER BY seq DESC LIMIT 1")
    assert json.loads(body)["details"]["added"] == ["b"]


def test_sources_of_grants_do_not_mix(bare: ApprovalWorld) -> None:
    """An import retires only what came from the same source."""
    with bare.writing() as tx:
        import_grants(tx, "contracts", "e", "ab" * 32, {"a": "1"})
        assert import_grants(tx, "people", "e", "ab" * 32, {"b": "2"}) == GrantChange(("b",), (), ())
    with bare.ledger.reading() as connection:
        assert present_grants(connection) == ["1", "2"]


def test_a_transaction_that_fails_leaves_nothing(bare: ApprovalWorld) -> None:
    """Whatever was written before the exception is gone, and the next transaction takes the same numbers."""

    def crash_after_writing() -> None:
        with bare.ledger.writing(Origin("system:test", START)) as tx:
            import_roster(tx, [LEA], {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash_after_writing()
    with bare.writing() as tx:
        assert tx.last_seq == 0
        import_roster(tx, [LEA], {})
        assert tx.last_seq == 1
