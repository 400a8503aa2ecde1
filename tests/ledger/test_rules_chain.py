"""Rule 1: the audit trail is append-only, and its numbers and hashes follow one another."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ledger.canonical import canonical_json
from ledger.engine import Ledger
from tests.ledger.approval_world import RULE, ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.state_museum import StateMuseum, museum

__all__ = ["museum"]

APPEND_ONLY = "signoff: rule 1: the audit trail is append-only"
MUST_FOLLOW = "signoff: rule 1: an event must follow the head of the chain"

ALONE = "signoff: rule 2: a statement that moves a version moves no other, unless all are submitted"


def append(
    raw: RawSql, off: int = 1, previous: str | None = None, digest: str | None = None, how: str = "INSERT"
) -> None:
    """Append a telling event, so many numbers after the head."""
    seq, head = raw.last_event()
    row: dict[str, Any] = {"seq": seq + off, "at": 1, "actor": "system:attacker", "action": "tell"}
    body = canonical_json({**row, "prev": previous or head}).decode()
    raw.insert("events", how=how, **row, body=body, hash=digest or hashlib.sha256(body.encode()).hexdigest())


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("UPDATE events SET actor = 'person:1'", APPEND_ONLY),
        ("UPDATE events SET seq = seq + 1000", APPEND_ONLY),
        ("UPDATE events SET body = body, hash = hash WHERE seq = 1", APPEND_ONLY),
        ("DELETE FROM events", APPEND_ONLY),
        ("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)", APPEND_ONLY),
        ("UPDATE chain_head SET seq = 0", "signoff: rule 1: the head of the chain follows its events"),
        ("UPDATE chain_head SET seq = seq + 1", "signoff: rule 1: the head of the chain follows its events"),
        ("UPDATE chain_head SET hash = 'ff'", "signoff: rule 1: the head of the chain follows its events"),
        ("UPDATE chain_head SET one = 2", "signoff: rule 1: the head of the chain follows its events"),
        ("DELETE FROM chain_head", "signoff: rule 1: the chain has one head"),
        ("INSERT INTO chain_head (one, seq, hash) VALUES (2, 0, 'ff')", "signoff: rule 1: the chain has one head"),
        ("INSERT INTO chain_head (one, seq, hash) VALUES (1, 0, 'ff') ON CONFLICT (one) DO UPDATE SET seq = 0",
         "signoff: rule 1: the chain has one head"),
    ],
)  # fmt: skip
def test_no_event_is_changed_or_taken_out(museum: StateMuseum, sql: str, refusal: str) -> None:
    """UPDATE, DELETE and upserts of events and of the head are refused."""
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)) == refusal


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE", "UPDATE OR REPLACE"])
@pytest.mark.parametrize("table", ["events", "chain_head"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(museum: StateMuseum, table: str, how: str) -> None:
    """SQLite's conflict clauses neither replace an event nor hide a refusal."""
    raw = museum.raw
    sql = f"{how} INTO {table} SELECT * FROM {table} LIMIT 1"
    if how.startswith("UPDATE"):
        sql = f"{how} {table} SET {'one' if table == 'chain_head' else 'seq'} = 1"
    assert raw.attempt(lambda: raw.execute(sql)).startswith("signoff: rule 1: ")


@pytest.mark.parametrize("off", [-1, 0, 2, 100])
def test_numbers_leave_no_gap(museum: StateMuseum, off: int) -> None:
    """An event takes the next number, neither an old one nor one further on."""
    assert museum.raw.attempt(lambda: append(museum.raw, off)) == MUST_FOLLOW


def test_an_event_names_the_one_before(museum: StateMuseum) -> None:
    """The body holds the hash of the head; with it, the event is taken and becomes the head."""
    raw = museum.raw
    assert raw.attempt(lambda: append(raw, previous="0" * 64)) == MUST_FOLLOW
    assert raw.attempt(lambda: append(raw), lambda: append(raw), lambda: append(raw, 2)) == MUST_FOLLOW
    assert raw.attempt(lambda: append(raw), lambda: append(raw)) == ""


@pytest.mark.parametrize("digest", ["", "ff", "0" * 65])
def test_a_hash_has_its_length(museum: StateMuseum, digest: str) -> None:
    """A hash that cannot be one is refused by both databases."""
    assert museum.raw.attempt(lambda: append(museum.raw, digest=digest or "f")) == MUST_FOLLOW


@pytest.mark.parametrize("museum", ["postgresql"], indirect=True)
def test_a_hash_is_that_of_the_body(museum: StateMuseum) -> None:
    """PostgreSQL can compute it; on SQLite, which cannot, the verification finds it."""
    assert museum.raw.attempt(lambda: append(museum.raw, digest="f" * 64)) == MUST_FOLLOW


@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL", "INSERT OR ROLLBACK"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_conflict_clauses_hide_no_refusal(museum: StateMuseum, how: str) -> None:
    """The clause of the statement rules inside its triggers too, but not over what they raise."""
    assert museum.raw.attempt(lambda: append(museum.raw, 7, how=how)) == MUST_FOLLOW


@pytest.mark.parametrize(
    "table",
    [
        "events", "chain_head", "notes", "lifecycle", "versions", "assets", "custody", "policies", "policy_rules",
        "policy_activations", "people", "memberships", "gates", "gate_eligible", "decisions", "effects", "holds",
        "retentions", "seals", "rungs", "notices", "review_versions", "held_decisions", "delegations", "waivers",
        "policy_signatures",
    ],
)  # fmt: skip
@pytest.mark.parametrize("museum", ["postgresql"], indirect=True)
def test_nothing_is_truncated(museum: StateMuseum, table: str) -> None:
    """TRUNCATE fires no row trigger; each table refuses it all the same, cascading or not."""
    for tail in ("", " CASCADE"):
        refusal = museum.raw.attempt(lambda tail=tail: museum.raw.execute(f"TRUNCATE {table}{tail}"))
        # without CASCADE, foreign keys may speak first
        assert refusal == "signoff: rule 1: records are never truncated" or (not tail and "cannot truncate" in refusal)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("museum", ["postgresql"], indirect=True)
def test_old_snapshots_do_not_write(museum: StateMuseum, level: str) -> None:
    """Above READ COMMITTED a check would not see what was committed while it waited for a lock."""
    raw = museum.raw
    refusal = raw.attempt(lambda: raw.execute(f"SET TRANSACTION ISOLATION LEVEL {level}"), lambda: append(raw))
    assert refusal == "signoff: rule 1: the ledger is written in READ COMMITTED, where checks see what others committed"


@pytest.mark.parametrize("museum", ["postgresql"], indirect=True)
def test_temporary_tables_deceive_no_trigger(museum: StateMuseum) -> None:
    """A session's own table of the same name, with a step that suits it, is not what the triggers read."""
    raw, version_id = museum.raw, museum.versions["submitted"]
    rejected = raw.attempt(
        lambda: raw.execute("CREATE TEMP TABLE lifecycle ON COMMIT DROP AS SELECT * FROM public.lifecycle"),
        lambda: raw.execute("INSERT INTO lifecycle VALUES ('submitted', 'open_gates', 'approved', '')"),
        lambda: raw.event("open_gates", version_id, from_state="submitted", to_state="approved"),
    )
    assert rejected == "signoff: rule 2: this step is not in the lifecycle"


@pytest.mark.parametrize(
    ("sql", "is_open"),
    [
        ("UPDATE notes SET body = 'yes' ", False),
        ("UPDATE notes SET salt = 'x', body = NULL, erased_at = 1", False),
        ("UPDATE notes SET body = NULL", False),
        ("DELETE FROM notes", False),
        ("UPDATE notes SET body = NULL, erased_at = 1", False),
        ("UPDATE notes SET salt = '', erased_at = 1", False),
        ("UPDATE notes SET salt = '', body = NULL, erased_at = 1", True),
    ],
)
def test_words_are_only_erased(museum: StateMuseum, sql: str, is_open: bool) -> None:
    """What people wrote may be forgotten, never changed."""
    refusal = museum.raw.attempt(lambda: museum.raw.execute(sql))
    assert refusal == ("" if is_open else "signoff: rule 1: what people said is only ever erased")


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_words_are_not_replaced(museum: StateMuseum, how: str) -> None:
    """REPLACE takes the place of no note."""
    sql = f"{how} INTO notes SELECT note_id, salt, 'yes', NULL FROM notes"
    assert (
        museum.raw.attempt(lambda: museum.raw.execute(sql)) == "signoff: rule 1: what people said is only ever erased"
    )


def test_the_head_follows_every_commit(ledger: Ledger) -> None:
    """After one event or many, in one transaction or several, immediate constraints or not, it is the last event."""
    with RawSql(ledger.url) as raw:
        ask = "SELECT h.seq = e.seq AND h.hash = e.hash FROM chain_head h, events e ORDER BY e.seq DESC LIMIT 1"
        for count in (1, 5, 2):
            raw.begin()
            if count == 5 and not raw.is_sqlite:
                raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for _ in range(count):
                append(raw)
            raw.execute("COMMIT")
            assert [bool(row[0]) for row in raw.execute(ask)] == [True]
        assert raw.execute("SELECT seq, touched_by FROM chain_head") == [(8, 0)]


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_touched_head_settles(ledger: Ledger) -> None:
    """Whoever pretends that the head is being moved moves nothing: it settles at the last event."""
    with RawSql(ledger.url) as raw:
        append(raw)
        raw.begin()
        raw.execute("UPDATE chain_head SET touched_by = txid_current()")
        append(raw)
        raw.execute("COMMIT")
        raw.execute("UPDATE chain_head SET touched_by = txid_current() + 1")
        assert raw.execute("SELECT seq, touched_by FROM chain_head") == [(2, 0)]


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("steps", "refusal"),
    [
        (["tell", "tell", "tell"], ""),
        (["tell", "approve"], ""),
        (["approve", "tell"], ALONE),
        (["approve", "approve"], ALONE),
    ],
)  # fmt: skip
def test_what_moves_a_version_is_a_statement_of_its_own(
    world: ApprovalWorld, raw: RawSql, steps: list[str], refusal: str
) -> None:
    """PostgreSQL applies the events of a statement together: no check may look at what has not been applied yet."""
    versions = [world.submitted(f"spring/{number}.jpg", str(number)) for number in range(len(steps))]
    seq, previous = raw.last_event()
    rows: list[Any] = []
    for number, (action, version_id) in enumerate(zip(steps, versions, strict=True), start=1):
        states = ("submitted", "approved") if action == "approve" else (None, None)
        body = canonical_json({"prev": previous, "number": number}).decode()
        previous = hashlib.sha256(body.encode()).hexdigest()
        rows += [seq + number, 1, "a", action, version_id, *states, 1, world.policy, RULE, body, previous]
    names = "seq, at, actor, action, version_id, from_state, to_state, round, policy_sha256, rule, body, hash"
    marks = ", ".join([f"({', '.join('?' * 12)})"] * len(steps))
    assert raw.attempt(lambda: raw.execute(f"INSERT INTO events ({names}) VALUES {marks}", *rows)) == refusal
