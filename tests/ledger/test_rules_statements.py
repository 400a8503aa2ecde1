"""PostgreSQL applies the events of a statement together: what one moves has no other part in it (rules 2, 4, 5, 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from ledger.gates import GateTerms
from tests.ledger.approval_world import BRAND, LEGAL
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

pytestmark = pytest.mark.parametrize("museum", ["postgresql"], indirect=True)
NO_OTHER_PART = "signoff: rule 2: a version that a statement moves has no other part in that statement"

_numbers = count(1)


def insert_sql(table: str, row: dict[str, Any]) -> tuple[str, list[Any]]:
    """A statement that inserts one row, and its values."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())


def beside(museum: StateMuseum, table: str, row: dict[str, Any], event: dict[str, Any], *before: Any) -> str:
    """The refusal of a statement that inserts a row in a WITH of an event: PostgreSQL does so after the event is in."""
    outer, outer_values = museum.raw.chained(event)
    inner, inner_values = insert_sql(table, row)
    sql = f"WITH beside AS ({inner}) {outer}"
    return museum.raw.attempt(*before, lambda: museum.raw.execute(sql, *inner_values, *outer_values))


def alone(museum: StateMuseum, table: str, row: dict[str, Any], *before: Any) -> str:
    """The refusal of the row by itself, as one statement: none, where it is well made."""
    sql, values = insert_sql(table, row)
    return museum.raw.attempt(*before, lambda: museum.raw.execute(sql, *values))


def reviewed(museum: StateMuseum, gates: Sequence[GateTerms] = (BRAND, LEGAL)) -> int:
    """A version of its own in review."""
    return museum.world.in_review(f"statements/{next(_numbers)}.jpg", "content", *gates)


def column(museum: StateMuseum, name: str, version_id: int) -> Any:
    """What a version has in a column."""
    return museum.raw.execute(f"SELECT {name} FROM versions WHERE version_id = ?", version_id)[0][0]


def reject_at_brand(museum: StateMuseum, version_id: int) -> list[Any]:
    """Steps after which the version may be rejected: its gate was."""
    raw, lea, gate_id = museum.raw, museum.world.person("lea"), museum.world.gate_of(version_id, "brand")
    said = {"decision_id": 9_000, "gate_id": gate_id, "person_id": lea, "on_behalf_of": lea, "verdict": "reject"}
    said |= {"counted": True, "signature": "none", "sha256": column(museum, "sha256", version_id), "basis": "b"}
    close = "UPDATE gates SET outcome = 'rejected', closed_at = ? WHERE gate_id = ?"
    return [lambda: raw.insert("decisions", **said, decided_at=LATER), lambda: raw.execute(close, LATER, gate_id)]


def test_a_version_is_submitted_once(museum: StateMuseum) -> None:
    """Two births of one version in one statement are refused; one is not."""
    raw, born = museum.raw, {"action": "submit", "version_id": 900, "from_state": "", "to_state": "submitted"}
    once, values = raw.chained(born)
    assert raw.attempt(lambda: raw.execute(once, *values)) == ""
    twice, values = raw.chained(born, born)
    assert raw.attempt(lambda: raw.execute(twice, *values)) == NO_OTHER_PART


@pytest.mark.parametrize("table", ["holds", "retentions"])
def test_nothing_is_kept_while_it_is_disposed_of(museum: StateMuseum, table: str) -> None:
    """No hold and no retention beside the disposal."""
    raw, version_id = museum.raw, museum.versions["rejected"]
    sha256 = column(museum, "sha256", version_id)
    effect = {"effect_id": 9_000, "version_id": version_id, "kind": "dispose", "sha256": sha256, "status": "open"}
    done = "UPDATE effects SET status = 'done', closed_at = ? WHERE effect_id = 9000"
    before = (lambda: raw.insert("effects", **effect, opened_at=LATER), lambda: raw.execute(done, LATER))
    row = {"version_id": version_id} | (
        {"hold_id": 9_000, "matter": "suit", "placed_by": "operator:ada", "placed_at": LATER}
        if table == "holds"
        else {"retention_id": 9_000, "until_at": 1, "set_at": 1}
    )
    event = {"action": "dispose", "version_id": version_id, "from_state": "rejected", "to_state": "disposed"}
    assert alone(museum, table, row, *before) == ""
    assert beside(museum, table, row, {**event, "effect_id": 9_000}, *before) == NO_OTHER_PART


def test_no_effect_is_opened_beside_a_step(museum: StateMuseum) -> None:
    """Not the archiving of a rejected version beside its reopening."""
    version_id = museum.versions["rejected"]
    sha256 = column(museum, "sha256", version_id)
    row = {"effect_id": 9_000, "version_id": version_id, "kind": "archive", "sha256": sha256, "status": "open"}
    event = {"action": "reopen", "version_id": version_id, "from_state": "rejected", "to_state": "submitted"}
    event |= {"round": 2, "reason": "because"}
    row |= {"opened_at": LATER}
    assert alone(museum, "effects", row) == ""
    assert beside(museum, "effects", row, event) == NO_OTHER_PART


def test_no_gate_is_opened_beside_a_step(museum: StateMuseum) -> None:
    """Not a gate of a version that is quarantined meanwhile."""
    version_id = museum.versions["submitted"]
    row = {"gate_id": 9_000, "version_id": version_id, "round": 1, "stage": "brand", "step": 0, "quorum": 1}
    row |= {"four_eyes": True, "signature": "none"}
    event = {"action": "quarantine", "version_id": version_id, "from_state": "submitted", "to_state": "quarantined"}
    assert alone(museum, "gates", row) == ""
    assert beside(museum, "gates", row, {**event, "reason": "because"}) == NO_OTHER_PART


@pytest.mark.parametrize("table", ["decisions", "rungs"])
def test_nothing_happens_at_a_gate_beside_a_step(museum: StateMuseum, table: str) -> None:
    """No decision counts and no rung fires at a gate of a version that is rejected meanwhile."""
    version_id, kim = reviewed(museum), museum.world.person("kim")
    legal, before = museum.world.gate_of(version_id, "legal"), reject_at_brand(museum, version_id)
    if table == "decisions":
        row = {"decision_id": 9_001, "gate_id": legal, "person_id": kim, "on_behalf_of": kim, "verdict": "approve"}
        row |= {"counted": True, "signature": "none", "sha256": column(museum, "sha256", version_id)}
        row |= {"basis": "b", "decided_at": LATER}
    else:
        row = {"rung_id": 1, "version_id": version_id, "round": 1, "gate_id": legal, "number": 0}
        row |= {"kind": "finally", "outcome": "reject"}
        row |= {"since_seq": column(museum, "state_seq", version_id), "planned_at": LATER, "fired_at": LATER}
    event = {"action": "reject", "version_id": version_id, "from_state": "in_review", "to_state": "rejected"}
    assert alone(museum, table, row, *before) == ""
    assert beside(museum, table, row, event, *before) == NO_OTHER_PART


def test_nothing_is_put_before_its_owner_beside_a_step(museum: StateMuseum) -> None:
    """No review carries a version that is rejected meanwhile."""
    raw, version_id = museum.raw, museum.versions["quarantined"]
    review = {"review_id": 9_000, "purpose": "quarantine", "stage": "quarantine", "collection": "spring"}
    opened = lambda: raw.insert("reviews", **review, policy_sha256=museum.world.policy, opened_at=LATER)  # noqa: E731
    row = {"review_id": 9_000, "position": 1, "version_id": version_id, "owner": "owners"}
    row |= {"since_seq": column(museum, "state_seq", version_id)}
    event = {"action": "reject", "version_id": version_id, "from_state": "quarantined", "to_state": "rejected"}
    assert alone(museum, "review_versions", row, opened) == ""
    assert beside(museum, "review_versions", row, {**event, "reason": "because"}, opened) == NO_OTHER_PART
