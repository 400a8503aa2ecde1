"""Submit: what an arriving object becomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.errors import RuleBroken
from ledger.reader import Sighting, copies_of, refusals, sightings, unscreened
from ledger.submit import Refused, Submission, refuse, submit
from tests.ledger.approval_world import BRAND, POLICY, START, ApprovalWorld, sha256_of


def test_new_bytes_become_a_version(world: ApprovalWorld) -> None:
    """The object is an asset, its bytes version 1, submitted, in custody, seen; the event says all of it."""
    submission = world.submit("spring/a.jpg", "one")
    arrival = submission.arrival
    assert submission == Submission(arrival, 1, 1, 1, "new")
    sha256, policy = sha256_of("one"), world.policy
    assert world.ask("SELECT * FROM assets") == [(1, "intake", "spring/a.jpg", _micros(world))]
    columns = (
        "version_id, asset_id, number, sha256, size_bytes, collection, submitter, policy_sha256, state, state_since"
    )
    (found,) = world.ask(f"SELECT {columns}, round, archived_from FROM versions")
    assert found == (1, 1, 1, sha256, 3, "spring", "agency", policy, "submitted", _micros(world), 1, None)
    (kept,) = world.ask("SELECT version_id, form, bucket, key, object_version, released_at FROM custody")
    assert kept == (1, "copied", "workspace", f"masters/{sha256}", None, None)
    with world.ledger.reading() as connection:
        assert sightings(connection, "intake") == {
            "spring/a.jpg": Sighting("etag-one", 3, arrival.modified_at, 1, None)
        }
        (waiting,) = unscreened(connection)
    assert (waiting.version_id, waiting.key, waiting.sha256, waiting.custody_key) == (
        1, "spring/a.jpg", sha256, f"masters/{sha256}"
    )  # fmt: skip
    event = world.ask(
        "SELECT action, from_state, to_state, round, actor, policy_sha256 FROM events WHERE version_id = 1"
    )
    assert event == [("submit", "", "submitted", 1, "system:ingest_assets", policy)]


def test_submitting_again_changes_nothing(world: ApprovalWorld) -> None:
    """The same object twice: known, without an event."""
    arrival = world.submit().arrival
    before = world.ask("SELECT COUNT(*) FROM events")
    with world.writing() as tx:
        assert submit(tx, [arrival], world.policy) == [Submission(arrival, 1, 1, 1, "known")]
    assert world.ask("SELECT COUNT(*) FROM events") == before


def test_other_bytes_take_the_next_number(world: ApprovalWorld) -> None:
    """New bytes under the key are version 2; the same bytes under another key are that asset's own version 1."""
    world.submit("spring/a.jpg", "one")
    second = world.submit("spring/a.jpg", "two")
    copy = world.submit("spring/b.jpg", "one")
    assert [(one.version_id, one.number, one.outcome) for one in (second, copy)] == [(2, 2, "new"), (3, 1, "new")]


def test_a_key_counts_once_a_batch(world: ApprovalWorld) -> None:
    """Of two arrivals under one key in one call the last is taken."""
    first, last = world.arrival("spring/a.jpg", "one"), world.arrival("spring/a.jpg", "two")
    with world.writing() as tx:
        submissions = submit(tx, [first, last, world.arrival("spring/b.jpg", "one")], world.policy)
    assert [(one.arrival.key, one.arrival.sha256) for one in submissions] == [
        ("spring/a.jpg", sha256_of("two")),
        ("spring/b.jpg", sha256_of("one")),
    ]


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_the_same_bytes_put_again_ask_to_reopen(world: ApprovalWorld, verdict: str) -> None:
    """After a "no" the submitter may ask once more, in a new round; only once they really put it again."""
    version_id = world.turned_down("spring/a.jpg", "one", verdict)
    arrival = world.arrival("spring/a.jpg", "one", put_at=START)
    with world.writing() as tx:
        (listed_again,) = submit(tx, [arrival], world.policy)
    assert (listed_again.outcome, listed_again.round) == ("known", 1)
    put_again = world.submit("spring/a.jpg", "one")
    assert (put_again.version_id, put_again.outcome, put_again.round) == (version_id, "reopened", 2)
    assert world.state(version_id) == "submitted"
    reasons = world.ask("SELECT reason, round FROM events WHERE action = 'reopen'")
    assert reasons == [("the submitter put the same bytes again", 2)]
    assert world.ask("SELECT round, arrived_seq = state_seq FROM versions") == [(2, True)]


def test_the_grain_of_clocks_reopens_nothing(world: ApprovalWorld) -> None:
    """A listing tells milliseconds, a read seconds: less than a second later is the same object."""
    version_id = world.turned_down("spring/a.jpg", "one", "reject")
    ((seen,),) = world.ask("SELECT modified_at FROM sightings")
    put_at = START + timedelta(microseconds=seen - int(START.timestamp() * 1e6)) + timedelta(milliseconds=999)
    with world.writing() as tx:
        (submission,) = submit(tx, [world.arrival("spring/a.jpg", "one", put_at=put_at)], world.policy)
    assert (submission.version_id, submission.outcome) == (version_id, "known")


@pytest.mark.parametrize(
    "way", ["submitted", "in_review", "approved", "published", "withdrawn", "quarantined", "archived"]
)
def test_other_states_are_left_alone(world: ApprovalWorld, way: str) -> None:
    """Bytes put again where nobody said no change nothing."""
    version_id = getattr(world, way)("spring/a.jpg", "one")
    state = world.state(version_id)
    assert world.submit("spring/a.jpg", "one").outcome == "known"
    assert world.state(version_id) == state


def test_reopening_cancels_an_open_archiving(world: ApprovalWorld) -> None:
    """A rejected version that was about to be archived is looked at again; its effect is cancelled."""
    version_id = world.turned_down("spring/a.jpg", "one", "reject")
    world.open_effect("archive", version_id, "old rejects")
    assert world.submit("spring/a.jpg", "one").outcome == "reopened"
    assert world.ask("SELECT status FROM effects") == [("cancelled",)]
    assert world.story(version_id)[-2:] == ["effect_cancelled", "reopen"]


def test_a_reopened_version_is_newer_than_what_came_between(world: ApprovalWorld) -> None:
    """First put, rejected, replaced, put again: the old bytes win over those put in between, wherever they stand."""
    first = world.turned_down("spring/a.jpg", "one", "reject")
    second = world.published("spring/a.jpg", "two")
    third = world.in_review("spring/a.jpg", "three")
    again = world.submit("spring/a.jpg", "one")
    assert (again.version_id, again.outcome) == (first, "reopened")
    world.screen(again, "review", BRAND)
    assert [world.state(one) for one in (first, second, third)] == ["in_review", "published", "superseded"]
    world.park()
    world.vote(world.review_of(first), "ben", "approve")
    world.carry_out(first)
    assert [world.state(one) for one in (first, second)] == ["published", "withdrawn"]


def test_reopening_pins_the_policy_of_then(world: ApprovalWorld) -> None:
    """A version that is looked at again is routed by the policy that is active now."""
    from ledger.policy_store import activate_policy, store_policy

    version_id = world.turned_down("spring/a.jpg", "one", "reject")
    with world.writing() as tx:
        world.policy = store_policy(tx, "second", POLICY + "# changed\n", [])
        activate_policy(tx, world.policy, "operator:ada", "operator:bob")
    world.submit("spring/a.jpg", "one")
    assert world.ask("SELECT policy_sha256 FROM versions WHERE version_id = ?", version_id) == [(world.policy,)]


def test_a_policy_that_is_not_active_pins_nothing(world: ApprovalWorld) -> None:
    """The database refuses the whole submission."""
    with (
        pytest.raises(RuleBroken, match="rule 2: a version is pinned to a policy that was activated"),
        world.writing() as tx,
    ):
        submit(tx, [world.arrival("spring/a.jpg", "one")], "ff" * 32)
    assert world.ask("SELECT COUNT(*) FROM versions") == [(0,)]


def test_what_cannot_become_a_version_is_remembered(world: ApprovalWorld) -> None:
    """It is audited and seen, listed as refused, and forgotten once the object is read after all."""
    gone = Refused("intake", "spring/a.jpg", "e", 3, world.now, "it vanished while it was read")
    with world.writing() as tx:
        refuse(tx, [gone])
    with world.ledger.reading() as connection:
        assert refusals(connection, "intake") == [{"key": gone.key, "reason": gone.reason, "seen_at": world.now}]
    assert world.ask("SELECT action, reason FROM events WHERE action = 'refuse_object'") == [
        ("refuse_object", gone.reason)
    ]
    world.submit("spring/a.jpg", "one")
    with world.ledger.reading() as connection:
        assert refusals(connection, "intake") == []


def _micros(world: ApprovalWorld) -> int:
    from ledger.tables import to_micros

    return to_micros(world.now)


def test_copies_are_found_by_the_first_digits_of_their_hash(world: ApprovalWorld) -> None:
    """Every version with the same bytes, oldest first, by the index over prefixes and not by reading all versions."""
    for key, content in (("spring/a.jpg", "one"), ("spring/b.jpg", "two"), ("spring/c.jpg", "one")):
        world.submit(key, content)
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        sent.append((statement, parameters))

    with world.ledger.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        found = copies_of(connection, [sha256_of("one"), sha256_of("three")])
        sa.event.remove(connection, "before_cursor_execute", note)
        if not world.ledger.is_sqlite:  # it would rather read so few rows whole
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on")
        explain = "EXPLAIN QUERY PLAN" if world.ledger.is_sqlite else "EXPLAIN"
        ((statement, parameters),) = sent
        plan = [str(tuple(row)) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]
    assert [tuple(row) for row in found] == [
        (sha256_of("one"), 1, 1, "spring/a.jpg", "submitted"),
        (sha256_of("one"), 3, 3, "spring/c.jpg", "submitted"),
    ]
    if world.ledger.is_sqlite:  # PostgreSQL plans by the size of the tables: here they are small
        assert [step for step in plan if "ix_versions_sha256_prefix" in step] != [], plan
