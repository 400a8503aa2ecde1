"""Verification: whatever is changed behind the triggers' back is found and located; what is sound is not accused."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from ledger.canonical import canonical_json
from ledger.copy_records import rules_asleep
from ledger.engine import Ledger
from ledger.verify import Damage, Verification, verify_chain
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import RawSql, asleep

Tamper = Callable[[RawSql, int, random.Random], int]
"""Does damage at about this event; returns the number of the first event that does not hold any more."""


def verified(ledger: Ledger, page: int = 7, **more: Any) -> Verification:
    """What the verification says, with pages so small that every boundary is met."""
    with ledger.reading() as connection:
        return verify_chain(connection, page=page, **more)


@dataclass(frozen=True, slots=True)
class Told:
    """A ledger with some fifty events, a connection on which no trigger wakes, and the chain as it was."""

    ledger: Ledger
    raw: RawSql
    events: list[tuple[Any, ...]]
    head: tuple[Any, ...]

    def restore(self) -> None:
        """Put the chain back as it was."""
        self.raw.begin()
        self.raw.execute("DELETE FROM events")
        self.raw.execute("DELETE FROM chain_head")
        for table, rows in (("events", self.events), ("chain_head", [self.head])):
            marks = ", ".join("?" * len(rows[0]))
            for row in rows:
                self.raw.execute(f"INSERT INTO {table} VALUES ({marks})", *row)
        self.raw.execute("COMMIT")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def written(request: pytest.FixtureRequest, new_ledger: Callable[[str], Ledger]) -> Iterator[Told]:
    """That ledger, written once for this module."""
    world = ApprovalWorld(new_ledger(request.param))
    world.published("spring/a.jpg", "one")
    world.published("spring/a.jpg", "two")
    world.archived("spring/b.jpg", "three")
    world.quarantined("spring/c.jpg", "four")
    world.superseded("spring/d.jpg")
    with RawSql(world.ledger.url) as raw:
        events = raw.execute("SELECT * FROM events ORDER BY seq")
        (head,) = raw.execute("SELECT * FROM chain_head")
        yield Told(world.ledger, asleep(raw), events, head)


@pytest.fixture
def told(written: Told) -> Iterator[Told]:
    """That ledger, whole again after each test."""
    yield written
    written.restore()


def test_nothing_is_found_in_a_sound_ledger(told: Told) -> None:
    """Whole, in pages of any size; and an empty chain is sound too."""
    _, seq, head, _ = told.head
    assert {verified(told.ledger, page) for page in (1, 2, 3, 50, 10_000)} == {Verification(seq, head, None)}


def test_an_empty_chain_is_sound(ledger: Ledger) -> None:
    """Before the first event there is nothing to find."""
    assert verified(ledger) == Verification(0, "0" * 64, None)


def set_column(column: str, value: Any) -> Tamper:
    """Change one column of one event."""

    def tamper(raw: RawSql, seq: int, _: random.Random) -> int:
        raw.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", value, seq)
        return seq

    return tamper


def flip_a_character(raw: RawSql, seq: int, dice: random.Random) -> int:
    """Change one character of a body."""
    ((body,),) = raw.execute("SELECT body FROM events WHERE seq = ?", seq)
    place = dice.randrange(len(body))
    changed = body[:place] + chr(33 + (ord(body[place]) - 32) % 90) + body[place + 1 :]
    raw.execute("UPDATE events SET body = ? WHERE seq = ?", changed, seq)
    return seq


def remove(raw: RawSql, seq: int, _: random.Random) -> int:
    """Take one event out."""
    raw.execute("DELETE FROM events WHERE seq = ?", seq)
    return seq


def remove_and_close_the_gap(raw: RawSql, seq: int, _: random.Random) -> int:
    """Take one out and move the later ones up."""
    raw.execute("DELETE FROM events WHERE seq = ?", seq)
    raw.execute("UPDATE events SET seq = -seq WHERE seq > ?", seq)
    raw.execute("UPDATE events SET seq = -seq - 1 WHERE seq < 0")
    return seq


def swap(raw: RawSql, seq: int, _: random.Random) -> int:
    """Exchange two neighbours."""
    raw.execute("UPDATE events SET seq = -seq WHERE seq IN (?, ?)", seq - 1, seq)
    raw.execute("UPDATE events SET seq = CASE seq WHEN ? THEN ? ELSE ? END WHERE seq < 0", -seq, seq - 1, seq)
    return seq - 1


def cut_off(raw: RawSql, seq: int, _: random.Random) -> int:
    """Take the tail away."""
    raw.execute("DELETE FROM events WHERE seq >= ?", seq)
    return seq


def forge(raw: RawSql, seq: int, _: random.Random) -> int:
    """Rewrite the body of one event and hash it properly, columns and all."""
    ((body,),) = raw.execute("SELECT body FROM events WHERE seq = ?", seq)
    forged = canonical_json({**json.loads(body), "actor": "person:1"}).decode()
    digest = hashlib.sha256(forged.encode()).hexdigest()
    raw.execute("UPDATE events SET body = ?, hash = ?, actor = 'person:1' WHERE seq = ?", forged, digest, seq)
    return seq + 1


def hash_nonsense(raw: RawSql, seq: int, _: random.Random) -> int:
    """A body that is no JSON, or no object, with its true hash."""
    for nonsense in ("{", "[]"):
        digest = hashlib.sha256(nonsense.encode()).hexdigest()
        raw.execute("UPDATE events SET body = ?, hash = ? WHERE seq = ?", nonsense, digest, seq)
    return seq


def insert_between(raw: RawSql, seq: int, _: random.Random) -> int:
    """Push later events on and put one of one's own in between."""
    raw.execute("UPDATE events SET seq = -seq WHERE seq >= ?", seq)
    raw.execute("UPDATE events SET seq = -seq + 1 WHERE seq < 0")
    raw.execute(
        "INSERT INTO events (seq, at, actor, action, body, hash) SELECT ?, at, actor, 'tell', body, hash "
        "FROM events WHERE seq = ?", seq, seq - 1
    )  # fmt: skip
    return seq


TAMPERINGS: dict[str, Tamper] = {
    "actor": set_column("actor", "person:1"),
    "action": set_column("action", "tell"),
    "at": set_column("at", 1),
    "version": set_column("version_id", None),
    "from": set_column("from_state", "approved"),
    "to": set_column("to_state", None),
    "round": set_column("round", 99),
    "policy": set_column("policy_sha256", "ff"),
    "rule": set_column("rule", "anything"),
    "reason": set_column("reason", "another one"),
    "flow run": set_column("flow_run_id", "another"),
    "effect": set_column("effect_id", 999),
    "hash": set_column("hash", "ff" * 32),
    "body": set_column("body", "{}"),
    "character": flip_a_character,
    "removed": remove,
    "gap closed": remove_and_close_the_gap,
    "reordered": swap,
    "cut off": cut_off,
    "forged": forge,
    "nonsense": hash_nonsense,
    "inserted": insert_between,
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering_is_found_where_it_happened(told: Told, kind: str) -> None:
    """Every kind, at several places: the first event that does not hold is named, and those before it hold."""
    dice = random.Random(kind)  # noqa: S311 (damage that can be repeated, not a secret)
    _, last, *_ = told.head
    for seq in {last, *(dice.randrange(2, last + 1) for _ in range(6))}:
        told.raw.begin()
        first = TAMPERINGS[kind](told.raw, seq, dice)
        is_changed = told.raw.execute("SELECT * FROM events ORDER BY seq") != told.events
        told.raw.execute("COMMIT")
        found = verified(told.ledger)
        if is_changed:
            assert found.damage is not None, (kind, seq)
            assert (found.damage.seq, found.events) == (first, first - 1), (kind, seq, found)
        else:
            assert found.damage is None
        told.restore()
    assert verified(told.ledger).damage is None


@pytest.mark.parametrize("page", [3, 7, 1_000])
def test_a_gap_in_the_numbers_alone_is_found(told: Told, page: int) -> None:
    """Every hash and link is in order, but the events from one on are numbered one higher: that number is missing."""
    _, last, *_ = told.head
    for seq in (last, 22, 21, 8, 1):
        told.raw.begin()
        told.raw.execute("UPDATE events SET seq = -seq WHERE seq >= ?", seq)
        told.raw.execute("UPDATE events SET seq = 1 - seq WHERE seq < 0")
        told.raw.execute("COMMIT")
        found = verified(told.ledger, page, columns=False)
        assert found.events == seq - 1
        assert found.damage == Damage(seq, f"missing: the next event is {seq + 1}")
        told.restore()


@pytest.mark.parametrize("change", ["seq = seq - 1", "hash = 'ff'", "seq = seq + 5", "seq = 0", None])
def test_a_false_head_is_found(told: Told, change: str | None) -> None:
    """The head says less, more or other than the last event, or is gone."""
    _, last, *_ = told.head
    told.raw.execute(f"UPDATE chain_head SET {change}" if change else "DELETE FROM chain_head")
    found = verified(told.ledger)
    assert found.events == last
    assert found.damage is not None
    assert found.damage.seq == last + 1
    assert found.damage.reason.startswith("cut off: ")


def rewrite_from(raw: RawSql, seq: int) -> None:
    """Change one event and rehash everything after it, the head included."""
    rows = raw.execute("SELECT seq, body FROM events WHERE seq >= ? ORDER BY seq", seq)
    ((head,),) = raw.execute("SELECT hash FROM events WHERE seq = ?", seq - 1)
    for number, body in rows:
        told = {**json.loads(body), "prev": head} | ({"reason": "forged"} if number == seq else {})
        forged = canonical_json(told).decode()
        head = hashlib.sha256(forged.encode()).hexdigest()
        raw.execute(
            "UPDATE events SET body = ?, hash = ?, reason = ? WHERE seq = ?", forged, head, told["reason"], number
        )
    raw.execute("UPDATE chain_head SET hash = ?", head)


def test_only_seals_tell_a_whole_rewritten_chain(told: Told) -> None:
    """Rehashed to the end it is sound in itself; a seal taken before says otherwise, from its event on."""
    seals = dict(told.raw.execute("SELECT seq, hash FROM events WHERE seq IN (5, 20, 30)"))
    assert verified(told.ledger, sealed=seals).damage is None
    rewrite_from(told.raw, 12)
    assert verified(told.ledger).damage is None
    found = verified(told.ledger, sealed=seals)
    assert found.damage is not None
    assert (found.damage.seq, found.damage.reason) == (
        20,
        "rewritten: it is not the event that was sealed; the change is in events 6 to 20",
    )


def test_seals_tell_a_tail_cut_off_with_its_head(told: Told) -> None:
    """The chain ends soundly, but too early."""
    seals = dict(told.raw.execute("SELECT seq, hash FROM events WHERE seq IN (5, 30)"))
    told.raw.execute("DELETE FROM events WHERE seq > 20")
    told.raw.execute("UPDATE chain_head SET seq = 20, hash = (SELECT hash FROM events WHERE seq = 20)")
    assert verified(told.ledger).damage is None
    found = verified(told.ledger, sealed=seals)
    assert found.damage is not None
    assert (found.damage.seq, found.damage.reason) == (21, "cut off: event 30 was sealed")


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["body", "actor", "at", "hash"])
def test_what_cannot_be_read_is_found_too(told: Told, column: str) -> None:
    """SQLite takes any bytes in any column: they are damage at their event, not a crash."""
    told.raw.execute(f"UPDATE events SET {column} = CAST(x'ff00fe' AS TEXT) WHERE seq = 17")
    found = verified(told.ledger, page=10)
    assert found.damage is not None
    assert (found.damage.seq, found.events) == (17, 16)
    assert found.damage.reason.startswith(("unreadable: ", "changed: "))


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["CAST(body AS BLOB)", "7"])
@pytest.mark.parametrize("columns", [True, False])
def test_a_body_that_is_no_text_is_damage(told: Told, value: str, columns: bool) -> None:
    """Not even the same bytes as a BLOB: it is named by its number, and nothing crashes."""
    told.raw.execute(f"UPDATE events SET body = {value} WHERE seq = 17")
    found = verified(told.ledger, page=10, columns=columns)
    assert found.damage is not None
    assert (found.damage.seq, found.events) == (17, 16)
    assert found.damage.reason == "changed: the body does not have the recorded hash"


IN_TWO = {"long": 2, "page": 5}
"""So short a chain is not worth a second process otherwise."""


@pytest.mark.parametrize("columns", [True, False])
def test_two_processes_say_what_one_says(told: Told, columns: bool) -> None:
    """Of a sound chain, sealed on both sides of the border: everything holds, and the progress ends at its end."""
    _, last, head, _ = told.head
    seals = dict(told.raw.execute("SELECT seq, hash FROM events WHERE seq IN (3, 36, 37, 38, ?)", last))
    done: list[int] = []
    found = verified(told.ledger, **IN_TWO, columns=columns, sealed=seals, progress=done.append)
    assert found == Verification(last, head, None)
    assert done == sorted(done)
    assert done[-1] == last


@pytest.mark.parametrize("kind", ["actor", "hash", "removed", "reordered", "forged", "nonsense"])
def test_two_processes_name_the_first_damage(told: Told, kind: str) -> None:
    """In the half of either, and at the border between them, which is event 37 of so many as these."""
    _, last, *_ = told.head
    assert (last // 2) + (last // 2) // 2 in (36, 37, 38, 39)
    for seq in (9, 36, 37, 38, 39, last):
        told.raw.begin()
        first = TAMPERINGS[kind](told.raw, seq, random.Random(kind))  # noqa: S311 (see above)
        told.raw.execute("COMMIT")
        found = verified(told.ledger, **IN_TWO)
        assert found.damage is not None, (kind, seq)
        assert (found.damage.seq, found.events) == (first, first - 1), (kind, seq, found)
        told.restore()


def test_a_false_seal_in_the_half_of_the_other_process_is_found(told: Told) -> None:
    """It has the seals of its half."""
    _, last, *_ = told.head
    found = verified(told.ledger, **IN_TWO, sealed={last - 2: "00" * 32})
    assert found.damage is not None
    assert (found.damage.seq, found.damage.kind) == (last - 2, "rewritten")


def test_a_second_process_that_is_lost_costs_its_half_again(told: Told) -> None:
    """Killed before it said anything: this process checks the other half too, and finds the damage in it."""
    _, last, head, _ = told.head
    killed: list[int] = []

    def kill(_: int) -> None:
        for child in psutil.Process().children():
            with suppress(psutil.ZombieProcess):  # killed before
                if "ledger.chain_process" in child.cmdline():
                    child.kill()
                    killed.append(child.pid)

    assert verified(told.ledger, **IN_TWO, progress=kill) == Verification(last, head, None)
    told.raw.execute("UPDATE events SET actor = 'person:1' WHERE seq = ?", last - 1)
    found = verified(told.ledger, **IN_TWO, progress=kill)
    assert (found.damage and found.damage.seq, len(set(killed))) == (last - 1, 2)


def test_what_is_not_committed_is_not_looked_for_by_another_process(told: Told) -> None:
    """A restore verifies what only its own transaction sees: the sound chain that is there otherwise proves nothing."""
    _, last, *_ = told.head
    with told.ledger.migrating() as connection:
        with rules_asleep(connection):
            connection.exec_driver_sql(f"DELETE FROM events WHERE seq = {last - 1}")
            found = verify_chain(connection, long=2)
        connection.rollback()
    assert found.damage is not None
    assert found.damage.seq == last - 1
