"""Rule 3: approval needs every gate passed, or an automatic rule of the pinned policy; policies stay what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count

import pytest

from ledger.policy_store import activate_policy, store_policy
from tests.ledger.approval_world import BRAND, LEGAL, RULE
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

NEEDS_GATES = "signoff: rule 3: approve needs every gate of the round passed"
NEEDS_A_RULE = "signoff: rule 3: automatic approval needs a rule of the pinned policy"
NEEDS_A_NEGATIVE = "signoff: rule 3: a negative outcome needs the gate that gave it"
IMMUTABLE = "signoff: rule 3: a stored policy is immutable"
NEEDS_TWO = "signoff: rule 3: after the first, activating a policy needs a second person"
LAX = hashlib.sha256(b"lax").hexdigest()

_numbers = count(1)


def new_key() -> str:
    """A key that no other test of this module uses."""
    return f"rules/{next(_numbers)}.jpg"


def approve(museum: StateMuseum, version_id: int, state: str = "in_review", **more: object) -> Callable[[], None]:
    """A callable that approves a version by an event of its own."""
    return lambda: museum.raw.event("approve", version_id, from_state=state, to_state="approved", **more)


def close_gate(museum: StateMuseum, gate_id: int, outcome: str) -> Callable[[], None]:
    """A callable that closes a gate, after a decision that says so where the outcome needs one."""
    verdict = {"rejected": "reject", "changes_requested": "request_changes"}.get(outcome)
    person = museum.world.person("lea")

    def close() -> None:
        if verdict:
            sql = "SELECT sha256 FROM versions v JOIN gates g ON g.version_id = v.version_id WHERE gate_id = ?"
            ((sha256,),) = museum.raw.execute(sql, gate_id)
            row = {"decision_id": 9_999, "gate_id": gate_id, "verdict": verdict, "counted": True, "sha256": sha256}
            row |= {"person_id": person, "on_behalf_of": person, "signature": "none", "basis": "b"}
            museum.raw.insert("decisions", **row, decided_at=LATER)
        museum.raw.execute("UPDATE gates SET outcome = ?, closed_at = ? WHERE gate_id = ?", outcome, LATER, gate_id)

    return close


def put_lax_policy(museum: StateMuseum) -> Callable[[], None]:
    """A callable that stores a policy with a rule for everything, without activating it."""

    def put() -> None:
        museum.raw.insert("policies", sha256=LAX, name="lax", body="lax", stored_at=1)
        museum.raw.insert("policy_rules", policy_sha256=LAX, rule="anything")

    return put


def test_an_open_gate_approves_nothing(museum: StateMuseum) -> None:
    """While the gate is open the version stays in review."""
    assert museum.raw.attempt(approve(museum, museum.versions["in_review"])) == NEEDS_GATES


@pytest.mark.parametrize("outcome", ["rejected", "changes_requested", "voided"])
def test_a_failed_gate_approves_nothing(museum: StateMuseum, outcome: str) -> None:
    """A gate that ended in anything but `passed` forbids the approval."""
    version_id = museum.versions["in_review"]
    closed = close_gate(museum, museum.world.gate_of(version_id), outcome)
    assert museum.raw.attempt(closed, approve(museum, version_id)) == NEEDS_GATES


def test_one_of_two_gates_is_not_enough(museum: StateMuseum) -> None:
    """The other stage's gate is open still; taking it out of the way is refused too."""
    version_id = museum.world.in_review(new_key(), "two gates", BRAND, LEGAL)
    museum.world.vote(museum.world.review_of(version_id, "brand"), "ben", "approve")
    legal = museum.world.gate_of(version_id, "legal")
    raw = museum.raw
    assert raw.attempt(approve(museum, version_id)) == NEEDS_GATES
    assert raw.attempt(close_gate(museum, legal, "voided"), approve(museum, version_id)) == NEEDS_GATES
    deleted = raw.attempt(lambda: raw.execute("DELETE FROM gates WHERE gate_id = ?", legal))
    assert deleted == "signoff: rule 4: a gate is never deleted"
    moved = raw.attempt(lambda: raw.execute("UPDATE gates SET round = 9 WHERE gate_id = ?", legal))
    assert moved == "signoff: rule 4: the terms of a gate are immutable"


@pytest.mark.parametrize(
    ("rule", "with_policy"), [(None, True), ("anything", True), ("", True), (RULE, False), ("ROUTINE", True)]
)
def test_automatic_approval_names_a_rule_of_the_pinned_policy(
    museum: StateMuseum, rule: str | None, with_policy: bool
) -> None:
    """No rule, one that the policy lacks, or no policy beside it: refused. The pinned policy's own rule: taken."""
    version_id, policy = museum.versions["submitted"], museum.world.policy
    named = {"rule": rule} | ({"policy_sha256": policy} if with_policy else {})
    raw = museum.raw
    assert raw.attempt(approve(museum, version_id, "submitted", **named)) == NEEDS_A_RULE
    assert raw.attempt(approve(museum, version_id, "submitted", rule=RULE, policy_sha256=policy)) == ""


def test_rules_of_another_policy_do_not_help(museum: StateMuseum) -> None:
    """A laxer policy, stored but not pinned, gives no rule, and cannot be pinned while it is not active."""
    raw, policy = museum.raw, museum.world.policy
    submitted, rejected = museum.versions["submitted"], museum.versions["rejected"]
    put = put_lax_policy(museum)
    foreign = approve(museum, submitted, "submitted", rule="anything", policy_sha256=policy)
    pinned = approve(museum, submitted, "submitted", rule="anything", policy_sha256=LAX)
    reopened = {"from_state": "rejected", "to_state": "submitted", "round": 2, "reason": "because"}
    another = "signoff: rule 2: only reopen and review_again pin another policy, one that was activated"
    assert raw.attempt(put, foreign) == NEEDS_A_RULE
    assert raw.attempt(put, pinned) == another
    assert raw.attempt(put, lambda: raw.event("reopen", rejected, **reopened, policy_sha256=LAX)) == another


@pytest.mark.parametrize("gates", ["none", "unopened", "of another round"])
def test_review_needs_an_open_gate(museum: StateMuseum, gates: str) -> None:
    """No version waits in review without a gate that somebody can pass."""
    raw, world = museum.raw, museum.world
    version_id = world.submitted(new_key(), "no gates")
    terms = {"gate_id": 9000, "version_id": version_id, "stage": "brand", "step": 0, "quorum": 1, "signature": "none"}
    steps: list[Callable[[], object]] = []
    if gates == "unopened":
        steps.append(lambda: raw.insert("gates", **terms, round=1, four_eyes=True))
    if gates == "of another round":
        version_id = world.turned_down(new_key(), "again", "reject")
        begun = {"from_state": "rejected", "to_state": "submitted", "round": 2, "reason": "because"}
        steps.append(lambda: raw.event("reopen", version_id, **begun))
    number = len(steps) if gates == "of another round" else 0
    steps.append(
        lambda: raw.event("open_gates", version_id, from_state="submitted", to_state="in_review", round=1 + number)
    )
    assert raw.attempt(*steps) == "signoff: rule 3: in_review needs an open gate of this round"


@pytest.mark.parametrize(
    ("action", "to_state", "outcome"),
    [
        ("reject", "rejected", None),
        ("request_changes", "changes_requested", None),
        ("reject", "rejected", "changes_requested"),
        ("request_changes", "changes_requested", "rejected"),
        ("reject", "rejected", "voided"),
    ],
)
def test_a_negative_outcome_comes_from_a_gate(
    museum: StateMuseum, action: str, to_state: str, outcome: str | None
) -> None:
    """A version in review is turned down only as its gate was."""
    version_id = museum.versions["in_review"]
    closed = [close_gate(museum, museum.world.gate_of(version_id), outcome)] if outcome else []
    turned = lambda: museum.raw.event(action, version_id, from_state="in_review", to_state=to_state)  # noqa: E731
    assert museum.raw.attempt(*closed, turned) == NEEDS_A_NEGATIVE


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("UPDATE policies SET body = 'lax'", IMMUTABLE),
        ("UPDATE policies SET sha256 = 'ff'", IMMUTABLE),
        ("DELETE FROM policies", IMMUTABLE),
        ("UPDATE policy_rules SET rule = 'anything'", IMMUTABLE),
        ("DELETE FROM policy_rules", IMMUTABLE),
        ("INSERT INTO policy_rules SELECT sha256, 'anything' FROM policies",
         "signoff: rule 3: an activated policy gets no further rules"),
        ("UPDATE policy_activations SET seconded_by = 'operator:eve'", "signoff: rule 3: an activation is history"),
        ("DELETE FROM policy_activations", "signoff: rule 3: an activation is history"),
        ("INSERT INTO policy_activations VALUES (90, 'ff', 1, 'operator:a', 'operator:b')",
         "signoff: rule 3: only a stored policy is activated"),
    ],
)  # fmt: skip
def test_policies_stay_what_they_were(museum: StateMuseum, sql: str, refusal: str) -> None:
    """A stored policy, its rules and its activation are never changed, deleted or added to."""
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)) == refusal


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize("table", ["policies", "policy_rules", "policy_activations"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(museum: StateMuseum, table: str, how: str) -> None:
    """REPLACE takes out no policy, rule or activation."""
    sql = f"{how} INTO {table} SELECT * FROM {table}"
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)).startswith("signoff: rule 3: ")


@pytest.mark.parametrize("second", [None, "", "  ", "operator:ada", " Operator:ADA "])
def test_a_later_policy_needs_a_second_person(museum: StateMuseum, second: str | None) -> None:
    """Nobody, an empty name, or the same one in other letters is no second person."""
    raw = museum.raw
    activation = {"activation_id": 90, "policy_sha256": LAX, "activated_at": 1, "activated_by": "operator:ada"}
    alone = lambda: raw.insert("policy_activations", **activation, seconded_by=second)  # noqa: E731
    together = lambda: raw.insert("policy_activations", **activation, seconded_by="operator:bob")  # noqa: E731
    assert raw.attempt(put_lax_policy(museum), alone) == NEEDS_TWO
    assert raw.attempt(put_lax_policy(museum), together) == ""


def test_after_a_second_policy_versions_keep_their_own(museum: StateMuseum) -> None:
    """A version pinned to the first policy is not approved by a rule of the second, although that one is active."""
    world = museum.world
    version_id = world.submitted(new_key(), "pinned")
    with world.writing() as tx:
        second = store_policy(tx, "second", "name: second\n", ["anything"])
        activate_policy(tx, second, "operator:ada", "operator:bob")
    tried = approve(museum, version_id, "submitted", rule="anything", policy_sha256=second)
    another = "signoff: rule 2: only reopen and review_again pin another policy, one that was activated"
    assert museum.raw.attempt(tried) == another
