"""Races: of two who want the same step one gets it, the other is told, and nothing is lost in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ledger.engine import Ledger
from ledger.verify import verify_chain
from tests.ledger.approval_world import BRAND_BY_TWO, RULE, ApprovalWorld
from tests.ledger.other_processes import (
    publish_together,
    run_together,
    screen_together,
    submit_together,
    write_for_a_while,
)
from tests.ledger.raw_sql import RawSql


def address(world: ApprovalWorld) -> str:
    """The ledger's address for another process."""
    return world.ledger.url.render_as_string(hide_password=False)


def is_sound(world: ApprovalWorld) -> bool:
    """Whether the chain holds from end to end."""
    with world.ledger.reading() as connection:
        return verify_chain(connection).damage is None


def test_one_of_two_publishes(world: ApprovalWorld) -> None:
    """The loser is told that the version has moved, and takes its bytes back."""
    version_id = world.approved()
    told = run_together(publish_together, [(address(world), version_id)] * 2)
    assert sorted(told) == ["published", f"stale ({version_id},)"]
    assert world.story(version_id)[-2:] == ["open_effect", "publish"]
    assert is_sound(world)


def test_one_of_two_screens(world: ApprovalWorld) -> None:
    """A whole batch goes through once; the loser's is refused whole."""
    ids = tuple(world.submitted(f"spring/{number}.jpg", str(number)) for number in range(3))
    told = run_together(screen_together, [(address(world), world.policy)] * 2)
    assert sorted(told) == ["screened 3", f"stale {ids}"]
    assert world.ask("SELECT COUNT(*) FROM gates") == [(3,)]
    assert is_sound(world)


def test_the_same_objects_become_versions_once(world: ApprovalWorld) -> None:
    """Two listings see the same five objects: five versions, new for one, known for the other."""
    told = run_together(submit_together, [(address(world), world.policy)] * 2)
    assert sorted(told) == ["known", "new"]
    assert world.ask("SELECT COUNT(*), MIN(number), MAX(number) FROM versions") == [(5, 1, 1)]
    assert is_sound(world)


def load(world: ApprovalWorld, seconds: float) -> dict[str, int]:
    """Four processes write for so long; what they did, and that every row of it is there."""
    told = run_together(write_for_a_while, [(address(world), world.policy, number, seconds) for number in range(4)])
    assert all(isinstance(one, dict) for one in told), told
    done = {name: sum(one[name] for one in told) for name in told[0]}
    assert done["busy"] == 0
    assert is_sound(world)
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'submit'") == [(done["submitted"],)]
    assert world.ask("SELECT COUNT(*) FROM events WHERE action IN ('publish')") == [(done["published"],)]
    assert world.ask("SELECT COUNT(*) FROM screenings") == [(done["screened"],)]
    assert (
        world.ask("SELECT asset_id FROM versions WHERE state = 'published' GROUP BY asset_id HAVING COUNT(*) > 1") == []
    )
    return done


def test_four_writers(world: ApprovalWorld) -> None:
    """A few seconds of everything at once: the chain holds, no lock error comes through, nothing is lost."""
    done = load(world, 3)
    assert min(done["submitted"], done["screened"]) > 0


@pytest.mark.soak
def test_four_writers_for_a_minute(world: ApprovalWorld) -> None:
    """The same (or `SIGNOFF_SOAK_S` seconds), long enough for the log to be folded in and the tables to grow."""
    load(world, float(os.environ.get("SIGNOFF_SOAK_S", "60")))


def test_readers_keep_their_moment(world: ApprovalWorld) -> None:
    """What is committed meanwhile is not seen, and neither waits for the other."""
    world.submitted("spring/a.jpg", "one")
    with world.ledger.reading() as connection:
        before = verify_chain(connection).events
        world.submitted("spring/b.jpg", "two")
        assert verify_chain(connection).events == before
    with world.ledger.reading() as connection:
        assert verify_chain(connection).events == before + 1


def waits_for_a_lock(observer: RawSql, thread: threading.Thread) -> bool:
    """Whether that thread's statement came to wait for another transaction."""
    until = time.monotonic() + 20
    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while time.monotonic() < until and thread.is_alive():
        if observer.execute(waiting) != [(0,)]:
            return True
        time.sleep(0.01)  # between two looks
    return False


def side_by_side(ledger: Ledger, first: Callable[[RawSql], Any], second: Callable[[RawSql], Any]) -> tuple[bool, str]:
    """`first` in an open transaction, then `second` in another; then both commit, in that order.

    Returns whether the second had to wait for the first, and what refused the second, if anything.
    """
    refusals: list[str] = []
    with RawSql(ledger.url) as one, RawSql(ledger.url) as two, RawSql(ledger.url) as observer:

        def attempt() -> None:
            try:
                two.begin()
                second(two)
                two.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 (handed to the test)
                refusals.append(str(error).splitlines()[0])
                two.execute("ROLLBACK")

        one.begin()
        first(one)
        thread = threading.Thread(target=attempt)
        thread.start()
        had_to_wait = waits_for_a_lock(observer, thread)
        one.execute("COMMIT")
        thread.join()
    return had_to_wait, "".join(refusals)


class Gate:
    """A gate of two with one approval given, and the two statements that must not pass each other."""

    def __init__(self, world: ApprovalWorld) -> None:
        """A version in review, approved by lea and ben; kim may decide as well."""
        self.world = world
        self.version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
        self.gate_id = world.gate_of(self.version_id)
        ((self.sha256,),) = world.ask("SELECT sha256 FROM versions WHERE version_id = ?", self.version_id)

    def decide(self, raw: RawSql, handle: str, verdict: str) -> None:
        """Insert a decision."""
        person = self.world.person(handle)
        row = {"decision_id": 100 + person, "gate_id": self.gate_id, "person_id": person, "on_behalf_of": person}
        row |= {"verdict": verdict, "counted": True, "signature": "none", "sha256": self.sha256, "basis": "b"}
        raw.insert("decisions", **row, decided_at=1)

    def pass_it(self, raw: RawSql) -> None:
        """Give the gate its outcome."""
        raw.execute("UPDATE gates SET outcome = 'passed', closed_at = 1 WHERE gate_id = ?", self.gate_id)

    def let(self, raw: RawSql, handle: str) -> None:
        """Make somebody eligible."""
        person = self.world.person(handle)
        row = {"gate_id": self.gate_id, "person_id": person, "on_behalf_of": person, "via": "escalation"}
        raw.insert("gate_eligible", **row, added_at=1)


@pytest.fixture
def gate(world: ApprovalWorld, raw: RawSql) -> Gate:
    """A gate that has its quorum and was not closed yet."""
    made = Gate(world)
    made.let(raw, "kim")
    made.decide(raw, "lea", "approve")
    made.decide(raw, "ben", "approve")
    return made


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_rejection_and_a_pass_do_not_cross(gate: Gate) -> None:
    """READ COMMITTED: whoever comes second waits, sees what the first one did, and is refused."""
    ledger = gate.world.ledger
    waited, refusal = side_by_side(ledger, lambda raw: gate.decide(raw, "kim", "reject"), gate.pass_it)
    assert (waited, refusal) == (True, "signoff: rule 4: a gate passes only with its quorum of approvals")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_pass_and_a_rejection_do_not_cross(gate: Gate) -> None:
    """The other way round: the gate is closed, and the rejection counts no more."""
    ledger = gate.world.ledger
    waited, refusal = side_by_side(ledger, gate.pass_it, lambda raw: gate.decide(raw, "kim", "reject"))
    not_open = "signoff: rule 4: a decision counts only on an open gate of the round, for these bytes"
    assert (waited, refusal) == (True, not_open)


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_revocation_and_a_decision_do_not_cross(world: ApprovalWorld) -> None:
    """Eligibility that is being revoked is waited for, and then gone."""
    gate = Gate(world)
    revoke = "UPDATE gate_eligible SET revoked_at = 1 WHERE gate_id = ?"
    waited, refusal = side_by_side(
        world.ledger,
        lambda raw: raw.execute(revoke, gate.gate_id),
        lambda raw: gate.decide(raw, "lea", "approve"),
    )
    assert (waited, refusal) == (True, "signoff: rule 4: only an eligible person decides")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_one_person_does_not_count_twice_side_by_side(world: ApprovalWorld) -> None:
    """Two decisions of the same person in two transactions: the second waits and is refused."""
    gate = Gate(world)
    again = (
        "INSERT INTO decisions SELECT 999, gate_id, person_id, on_behalf_of, 'approve', true, 'none', ?, 'b', NULL, 1 "
        "FROM gate_eligible WHERE gate_id = ? AND person_id = ?"
    )
    lea = world.person("lea")
    waited, refusal = side_by_side(
        world.ledger,
        lambda raw: gate.decide(raw, "lea", "approve"),
        lambda raw: raw.execute(again, gate.sha256, gate.gate_id, lea),
    )
    assert (waited, refusal) == (True, "signoff: rule 4: one person acts once and one principal counts once in a gate")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_events_take_their_numbers_one_after_the_other(world: ApprovalWorld) -> None:
    """The second appender waits for the head; the number that it had read is taken by then."""
    waited, refusal = side_by_side(world.ledger, lambda raw: raw.event("tell"), lambda raw: raw.event("tell"))
    assert (waited, refusal) == (True, "signoff: rule 1: an event must follow the head of the chain")
    assert is_sound(world)


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_two_effects_do_not_open_side_by_side(world: ApprovalWorld) -> None:
    """The second one waits for the version, and finds it taken."""
    version_id = world.withdrawn()
    sql = (
        "INSERT INTO effects (effect_id, version_id, kind, sha256, status, opened_at) "
        "SELECT ?, version_id, ?, sha256, 'open', 1 FROM versions WHERE version_id = ?"
    )
    waited, refusal = side_by_side(
        world.ledger,
        lambda raw: raw.execute(sql, 901, "archive", version_id),
        lambda raw: raw.execute(sql, 902, "publish", version_id),
    )
    assert (waited, refusal) == (True, "signoff: rule 7: at most one open effect a version")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_hold_and_a_disposal_do_not_cross(world: ApprovalWorld) -> None:
    """A hold that is being placed is waited for: the disposal does not open."""
    version_id = world.turned_down("spring/a.jpg", "one", "reject")
    hold = {"hold_id": 1, "version_id": version_id, "matter": "case", "placed_by": "person:1", "placed_at": 1}
    opened = (
        "INSERT INTO effects (effect_id, version_id, kind, sha256, status, opened_at) "
        "SELECT 901, version_id, 'dispose', sha256, 'open', 1 FROM versions WHERE version_id = ?"
    )
    place, dispose = (lambda raw: raw.insert("holds", **hold)), (lambda raw: raw.execute(opened, version_id))
    waited, refusal = side_by_side(world.ledger, place, dispose)
    assert (waited, refusal) == (True, "signoff: rule 6: what is held or retained is not disposed of")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_rule_and_an_activation_do_not_cross(world: ApprovalWorld) -> None:
    """A rule that comes while its policy is being activated waits, and is too late."""
    with RawSql(world.ledger.url) as raw:
        raw.insert("policies", sha256="ff", name="lax", body="lax", stored_at=1)
    activation = {"activation_id": 9, "policy_sha256": "ff", "activated_at": 1, "activated_by": "a", "seconded_by": "b"}
    waited, refusal = side_by_side(
        world.ledger,
        lambda raw: raw.insert("policy_activations", **activation),
        lambda raw: raw.insert("policy_rules", policy_sha256="ff", rule=RULE),
    )
    assert (waited, refusal) == (True, "signoff: rule 3: an activated policy gets no further rules")
