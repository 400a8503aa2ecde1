"""Gates: opened with their terms and their eligible people, step by step, and closed with an outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, Present, move
from policies.lifecycle import Action, State

_MOST_TOLD: Final = 100
"""People of a gate that its event names: each version has such an event."""


@dataclass(frozen=True, slots=True)
class GateTerms:
    """A stage as it applies to one version. `reviewers` and `owner` are groups of the roster.

    The owner group is added when the reviewers alone, without the submitter's people, cannot reach the quorum.
    """

    stage: str
    step: int
    quorum: int
    four_eyes: bool
    signature: str
    reviewers: str
    owner: str


@dataclass(frozen=True, slots=True)
class Route:
    """The gates that one version needs in its present round."""

    version_id: int
    round: int
    gates: tuple[GateTerms, ...]
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What decided on these gates, for the audit trail."""


def open_gates(tx: Transaction, routes: Sequence[Route], present: Mapping[int, Present]) -> None:
    """Insert the gates of submitted versions, open their first step, and move the versions into review.

    Raises `StaleVersion` when a version is not submitted in that round any more.
    """
    members = _members(tx, {group for route in routes for one in route.gates for group in (one.reviewers, one.owner)})
    submitters = _members(tx, {v.submitter for v in present.values() if v.submitter})
    gate_rows: list[dict[str, Any]] = []
    eligible_rows: list[dict[str, Any]] = []
    told: list[list[Mapping[str, Any]]] = []
    short: list[Draft] = []
    gate_ids = iter(tx.number(tables.gates, sum(len(route.gates) for route in routes)))
    known: dict[tuple[GateTerms, str | None], tuple[dict[int, str], Mapping[str, Any]]] = {}
    for route in routes:
        version = present[route.version_id]
        first = min(one.step for one in route.gates)
        told.append([])
        for terms in route.gates:
            gate_id = next(gate_ids)
            gate_rows.append(_gate_row(gate_id, route, terms, tx.origin.at if terms.step == first else None))
            submitter = version.submitter if terms.four_eyes else None
            if (terms, submitter) not in known:
                chosen = _eligible(terms, members, submitters.get(submitter or "", frozenset()))
                known[terms, submitter] = chosen, _told_gate(terms, chosen)
            chosen, told_gate = known[terms, submitter]
            told[-1].append(told_gate)
            eligible_rows.extend(
                _eligible_row(gate_id, person_id, via, tx.origin.at) for person_id, via in chosen.items()
            )
            if len(chosen) < terms.quorum:
                short.append(_shortage(route, terms, len(chosen), version.policy_sha256))
    tx.insert(tables.gates, gate_rows)
    tx.insert(tables.gate_eligible, eligible_rows)
    move(
        tx,
        [
            Move(
                route.version_id,
                Action.OPEN_GATES,
                State.SUBMITTED,
                round=route.round,
                details={**route.seen, "gates": gates},
            )
            for route, gates in zip(routes, told, strict=True)
        ],
    )
    tx.append(short)


def open_next_step(tx: Transaction, version_ids: Iterable[int]) -> list[int]:
    """Open the gates of the lowest step that is not passed yet, where every earlier one has; returns the gate ids."""
    gates, versions = tables.gates, tables.versions
    opened: list[int] = []
    for batch in batches(version_ids):
        query = (
            sa.select(gates)
            .join(versions, sa.and_(versions.c.version_id == gates.c.version_id, versions.c.round == gates.c.round))
            .where(gates.c.version_id.in_(batch), versions.c.state == str(State.IN_REVIEW))
        )
        waiting: dict[int, list[Any]] = {}
        for row in tx.connection.execute(query):
            if row.outcome != "passed":
                waiting.setdefault(row.version_id, []).append(row)
        for rows in waiting.values():
            step = min(row.step for row in rows)
            opened.extend(row.gate_id for row in rows if row.step == step and row.opened_at is None)
    for batch in batches(opened):
        tx.connection.execute(gates.update().where(gates.c.gate_id.in_(batch)).values(opened_at=tx.origin.at))
    return opened


def _members(tx: Transaction, groups: Iterable[str]) -> dict[str, frozenset[int]]:
    memberships, people = tables.memberships, tables.people
    found: dict[str, set[int]] = {}
    for batch in batches(groups):
        query = (
            sa.select(memberships.c.group_name, memberships.c.person_id)
            .join(people, people.c.person_id == memberships.c.person_id)
            .where(memberships.c.group_name.in_(batch), memberships.c.removed_at.is_(None), people.c.left_at.is_(None))
        )
        for row in tx.connection.execute(query):
            found.setdefault(row.group_name, set()).add(row.person_id)
    return {group: frozenset(ids) for group, ids in found.items()}


def _eligible(terms: GateTerms, members: Mapping[str, frozenset[int]], excluded: frozenset[int]) -> dict[int, str]:
    chosen = dict.fromkeys(sorted(members.get(terms.reviewers, frozenset()) - excluded), "group")
    if len(chosen) < terms.quorum:
        owners = members.get(terms.owner, frozenset()) - excluded - chosen.keys()
        chosen.update(dict.fromkeys(sorted(owners), "escalation"))
    return chosen


def told_people(people: Iterable[int]) -> list[int] | dict[str, Any]:
    """People as an event tells them: by their ids, and where they are very many by their number and a digest.

    >>> told_people({3, 1}), told_people(range(300))["count"]
    ([1, 3], 300)
    """
    ids = sorted(people)
    if len(ids) <= _MOST_TOLD:
        return ids
    return {"count": len(ids), "sha256": hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()}


def _told_gate(terms: GateTerms, eligible: Iterable[int]) -> Mapping[str, Any]:
    return {
        "stage": terms.stage,
        "step": terms.step,
        "quorum": terms.quorum,
        "four_eyes": terms.four_eyes,
        "signature": terms.signature,
        "eligible": told_people(eligible),
    }


def _shortage(route: Route, terms: GateTerms, eligible: int, policy_sha256: str) -> Draft:
    return Draft(
        "gate_cannot_pass",
        version_id=route.version_id,
        round=route.round,
        policy_sha256=policy_sha256,
        reason=f"stage {terms.stage} needs {terms.quorum} approvals and has {eligible} eligible people",
        details={"stage": terms.stage, "reviewers": terms.reviewers, "owner": terms.owner},
    )


def _gate_row(gate_id: int, route: Route, terms: GateTerms, opened_at: Any) -> dict[str, Any]:
    return {
        "gate_id": gate_id,
        "version_id": route.version_id,
        "round": route.round,
        "stage": terms.stage,
        "step": terms.step,
        "quorum": terms.quorum,
        "four_eyes": terms.four_eyes,
        "signature": terms.signature,
        "opened_at": opened_at,
    }


def _eligible_row(gate_id: int, person_id: int, via: str, at: Any) -> dict[str, Any]:
    return {"gate_id": gate_id, "person_id": person_id, "on_behalf_of": person_id, "via": via, "added_at": at}
