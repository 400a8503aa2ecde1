"""What automatic actions tell: who acted, under which policy, rule and round, what was seen, and before and after."""

from __future__ import annotations

import json
from typing import Any

from ledger.effects import note_failure
from ledger.policy_store import activate_policy, store_policy
from ledger.told_events import Mismatch
from ledger.verify_records import verify_records
from tests.ledger.approval_world import BRAND_BY_TWO, RULE, ApprovalWorld
from tests.ledger.raw_sql import RawSql, asleep
from tests.ledger.test_delegations import BEGIN, hand_over
from tests.ledger.test_delegations import follow as follow_absences
from tests.ledger.test_eligibility import follow, regroup
from tests.ledger.test_ladder import HOUR, sweep, waits


def last(world: ApprovalWorld, action: str) -> dict[str, Any]:
    """The last event of an action: its columns and its details."""
    names = ("actor", "from_state", "to_state", "round", "policy_sha256", "rule", "reason")
    sql = f"SELECT {', '.join(names)}, body FROM events WHERE action = ? ORDER BY seq DESC LIMIT 1"
    ((*values, body),) = world.ask(sql, action)
    return {**dict(zip(names, values, strict=True)), **json.loads(body)["details"]}


def told(world: ApprovalWorld, action: str, *names: str) -> tuple[Any, ...]:
    """Some of it; policy, round and rule always."""
    event = last(world, action)
    return tuple(event[name] for name in ("policy_sha256", "round", "rule", *names))


def test_opened_gates_are_told_with_their_terms_and_people(world: ApprovalWorld) -> None:
    """Stage, step, quorum, four eyes, signature, and who may decide by id; with the facts that routed it."""
    world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    event = last(world, "open_gates")
    assert event["gates"] == [
        {
            "stage": "brand", "step": 0, "quorum": 2, "four_eyes": True, "signature": "none",
            "eligible": [world.person("lea"), world.person("ben")],
        }
    ]  # fmt: skip
    assert (event["from_state"], event["to_state"], event["policy_sha256"], event["round"]) == (
        "submitted", "in_review", world.policy, 1,
    )  # fmt: skip
    assert "facts" in event


def test_changed_eligibility_is_told_with_what_was_before(world: ApprovalWorld) -> None:
    """By the gate, with policy and round; and the records are what the events tell."""
    world.screen(world.submit(), "review", BRAND_BY_TWO)
    lea, ben, kim, ole = (world.person(one) for one in ("lea", "ben", "kim", "ole"))
    regroup(world, brand=["kim"])
    follow(world)
    assert told(world, "change_eligibility", "gate", "stage", "before", "added", "revoked") == (
        world.policy, 1, None, 1, "brand", [lea, ben],
        [{"person": kim, "via": "group"}, {"person": ole, "via": "escalation"}], [lea, ben],
    )  # fmt: skip
    with world.ledger.reading() as connection:
        assert verify_records(connection) == []


def test_a_part_that_nobody_handed_over_is_found(world: ApprovalWorld) -> None:
    """Who stands in for whom is told by events; a row put there behind the triggers' back is not."""
    version_id = world.in_review()
    hand_over(world, "lea", "kim")
    assert follow_absences(world, BEGIN) == [(["kim for lea"], [])]
    with world.ledger.reading() as connection:
        assert verify_records(connection) == []
    with RawSql(world.ledger.url) as raw:
        moved = "UPDATE gate_eligible SET person_id = ? WHERE via = 'delegation'"
        asleep(raw).execute(moved, world.person("ole"))
    with world.ledger.reading() as connection:
        assert verify_records(connection) == [
            Mismatch(
                "gate_eligible",
                str(world.gate_of(version_id)),
                "those who may decide there are not those whom its events tell",
            )
        ]


def test_rungs_are_told_with_what_was_before(world: ApprovalWorld) -> None:
    """A reminder with its due time, an escalation with those who could decide and those who can now."""
    world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    (wait,) = waits(world)
    begun = wait.since_at
    sweep(world, begun + 24 * HOUR)
    due = (begun + 48 * HOUR).isoformat()
    rule = "deadline: stage brand"
    assert told(world, "remind", "rung", "due_before", "due_at") == (world.policy, 1, rule, 0, due, due)
    sweep(world, begun + 48 * HOUR)
    people = [world.person("lea"), world.person("ben")]
    assert told(world, "escalate", "rung", "due_before", "due_at", "before", "added") == (
        world.policy, 1, rule, 1, due, (begun + 72 * HOUR).isoformat(), people, [world.person("ole")],
    )  # fmt: skip
    with world.ledger.reading() as connection:
        assert verify_records(connection) == []


def test_effects_are_told_with_policy_and_rule(world: ApprovalWorld) -> None:
    """Opened, failed, cancelled and done: under which policy, in which round, by which rule if one opened it."""
    version_id = world.published()
    assert told(world, "open_effect", "kind", "actor") == (world.policy, 1, None, "publish", "system:decide_review")
    assert told(world, "publish", "from_state", "to_state", "sha256") == (
        world.policy, 1, None, "approved", "published", world.ask("SELECT sha256 FROM versions")[0][0],
    )  # fmt: skip
    world.open_effect("withdraw", version_id, "rights: expired")
    effect = world.effect(version_id)
    with world.writing() as tx:
        note_failure(tx, effect, "the store was away")
    assert told(world, "effect_failed", "kind", "reason") == (world.policy, 1, None, "withdraw", "the store was away")
    world.carry_out(version_id)
    assert told(world, "withdraw", "reason") == (world.policy, 1, None, "rights: expired")


def test_a_cancelled_effect_is_told_with_policy_and_round(world: ApprovalWorld) -> None:
    """A newer version has left screening: what the older one waited for is over."""
    world.approved("spring/a.jpg", "one")
    world.screen(world.submit("spring/a.jpg", "two"), "automatic", rule=RULE)
    assert told(world, "effect_cancelled", "kind", "reason") == (world.policy, 1, None, "publish", "superseded")
    assert told(world, "supersede", "by_number") == (world.policy, 1, None, 2)
    assert told(world, "approve")[2] == RULE


def test_an_activation_is_told_with_the_policy_before(world: ApprovalWorld) -> None:
    """None before the first."""
    assert last(world, "activate_policy")["before"] is None
    with world.writing("person:1") as tx:
        second = store_policy(tx, "next", "name: next\n", [])
        activate_policy(tx, second, "person:1", "person:2")
    event = last(world, "activate_policy")
    assert (event["policy_sha256"], event["before"], event["by"], event["seconded_by"]) == (
        second, world.policy, "person:1", "person:2",
    )  # fmt: skip
    with world.ledger.reading() as connection:
        assert verify_records(connection) == []
