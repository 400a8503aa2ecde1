"""Who may decide at open gates, kept in step with the roster: who left a group may not, and a gate is never without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.gates import told_people
from ledger.transaction import Draft, Transaction, batches


@dataclass(frozen=True, slots=True)
class UndecidedGate:
    """An open gate, with the round of the review that carries it now, if any."""

    gate_id: int
    version_id: int
    round: int
    key: str
    collection: str
    policy_sha256: str
    submitter: str | None
    stage: str
    quorum: int
    four_eyes: bool
    review_id: int | None
    review_round: int | None


@dataclass(frozen=True, slots=True)
class EligibilityChange:
    """What the roster asks for at one gate; `missing` is how many people it lacks even then.

    `before` are those who may decide for themselves until now.
    """

    gate: UndecidedGate
    added: Mapping[int, str]
    """person id → `group` or `escalation`"""
    returned: frozenset[int]
    """who might decide there before, and was taken back into their group"""
    revoked: frozenset[int]
    missing: int
    before: frozenset[int]

    @property
    def asks_others(self) -> bool:
        """Whether people may decide from now on who might not until now."""
        return bool(self.added or self.returned)


def undecided_gates(connection: sa.Connection) -> list[UndecidedGate]:
    """Every open gate of a version that is in review, oldest first."""
    t = tables
    query = (
        sa.select(
            t.gates.c.gate_id,
            t.gates.c.version_id,
            t.gates.c.round,
            t.assets.c.key,
            t.versions.c.collection,
            t.versions.c.policy_sha256,
            t.versions.c.submitter,
            t.gates.c.stage,
            t.gates.c.quorum,
            t.gates.c.four_eyes,
            t.parkings.c.review_id,
            t.parkings.c.round.label("review_round"),
        )
        .join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
        .join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
        .outerjoin(t.review_gates, t.review_gates.c.gate_id == t.gates.c.gate_id)
        .outerjoin(
            t.parkings,
            sa.and_(
                t.parkings.c.review_id == t.review_gates.c.review_id, t.parkings.c.status.in_(("to_park", "parked"))
            ),
        )
        .where(
            t.gates.c.opened_at.is_not(None),
            t.gates.c.outcome.is_(None),
            t.versions.c.state == "in_review",
            t.versions.c.round == t.gates.c.round,
        )
        .order_by(t.gates.c.gate_id)
    )
    return [UndecidedGate(**row._mapping) for row in connection.execute(query)]


def compare_with_roster(
    connection: sa.Connection, gates: Sequence[UndecidedGate], groups: Mapping[int, tuple[str, str]]
) -> list[EligibilityChange]:
    """What would have to change so that the gates follow the roster; only gates where anything does, or is missing.

    `groups`: gate id → (reviewers, owner). Who is no longer in the group through which they came may not decide, and
    who was taken back into it since may again. Where the others are too few for the quorum, present reviewers are
    added, then the owner group's people, then those of the groups that the gate's deadline has asked as well.
    """
    members, everybody = group_members(connection)
    asked = _escalated_to(connection, gates)
    eligible, acted = _eligible(connection, gates), _acted(connection, gates)
    changes = []
    for gate in gates:
        reviewers, owner = (members.get(group, frozenset()) for group in groups[gate.gate_id])
        others = owner.union(*(members.get(group, frozenset()) for group in asked.get(gate.gate_id, ())))
        rows = eligible.get(gate.gate_id, {})
        present = {person: row.via for person, row in rows.items() if not row.revoked}
        allowed = {"group": reviewers, "escalation": others, "delegation": frozenset(present)}
        revoked = frozenset(person for person, via in present.items() if person not in allowed[via])
        decided = acted.get(gate.gate_id, frozenset())
        excluded = everybody.get(gate.submitter or "", frozenset()) if gate.four_eyes else frozenset()
        returned = frozenset(
            person for person, row in rows.items() if row.back and person in allowed[row.via] - decided - excluded
        )
        able = (present.keys() - revoked - decided - excluded) | returned
        missing = gate.quorum - len(decided) - len(able)
        barred = rows.keys() | decided | excluded
        wanted: dict[int, str] = {}
        for via, people in (("group", reviewers), ("escalation", owner), ("escalation", others)):
            if missing > len(wanted):
                wanted |= dict.fromkeys(sorted(people - barred - wanted.keys()), via)
        if wanted or returned or revoked or missing > 0:
            lacking = max(0, missing - len(wanted))
            changes.append(EligibilityChange(gate, wanted, returned, revoked, lacking, frozenset(present)))
    return changes


def change_eligibility(tx: Transaction, changes: Iterable[EligibilityChange]) -> None:
    """Add and revoke eligibility as compared, each gate's change as one event."""
    eligible = tables.gate_eligible
    for one in changes:
        gate_id = one.gate.gate_id
        tx.insert(
            eligible,
            [
                {"gate_id": gate_id, "person_id": person, "on_behalf_of": person, "via": via, "added_at": tx.origin.at}
                for person, via in one.added.items()
            ],
        )
        own = eligible.update().where(eligible.c.gate_id == gate_id, eligible.c.person_id == eligible.c.on_behalf_of)
        tx.connection.execute(own.where(eligible.c.person_id.in_(one.returned)).values(revoked_at=None))
        tx.connection.execute(
            eligible.update()
            .where(
                eligible.c.gate_id == gate_id, eligible.c.person_id.in_(one.revoked), eligible.c.revoked_at.is_(None)
            )
            .values(revoked_at=tx.origin.at)
        )
        if one.asks_others or one.revoked:
            tx.append([_told(one)])


def _told(change: EligibilityChange) -> Draft:
    gate = change.gate
    details = {
        "gate": gate.gate_id,
        "stage": gate.stage,
        "added": [{"person": person, "via": via} for person, via in change.added.items()],
        **({"returned": sorted(change.returned)} if change.returned else {}),
        "revoked": sorted(change.revoked),
        "before": told_people(change.before),
    }
    return Draft(
        "change_eligibility",
        version_id=gate.version_id,
        round=gate.round,
        policy_sha256=gate.policy_sha256,
        details=details,
    )


def group_members(connection: sa.Connection) -> tuple[dict[str, frozenset[int]], dict[str, frozenset[int]]]:
    """Group → people who are in it now; group → people who ever were."""
    memberships, people = tables.memberships, tables.people
    query = sa.select(memberships.c.group_name, memberships.c.person_id, memberships.c.removed_at, people.c.left_at)
    now: dict[str, set[int]] = {}
    ever: dict[str, set[int]] = {}
    for row in connection.execute(query.join(people, people.c.person_id == memberships.c.person_id)):
        ever.setdefault(row.group_name, set()).add(row.person_id)
        if row.removed_at is None and row.left_at is None:
            now.setdefault(row.group_name, set()).add(row.person_id)
    return {name: frozenset(ids) for name, ids in now.items()}, {name: frozenset(ids) for name, ids in ever.items()}


def _escalated_to(connection: sa.Connection, gates: Sequence[UndecidedGate]) -> dict[int, set[str]]:
    """Gate id → groups that its deadline has asked as well."""
    rungs = tables.rungs
    found: dict[int, set[str]] = {}
    for batch in batches(gate.gate_id for gate in gates):
        query = sa.select(rungs.c.gate_id, rungs.c.group_name)
        for row in connection.execute(query.where(rungs.c.gate_id.in_(batch), rungs.c.kind == "escalate")):
            found.setdefault(row.gate_id, set()).add(row.group_name)
    return found


@dataclass(frozen=True, slots=True)
class _Row:
    """How somebody came to a gate, whether that was taken from them, and whether a group has them again since."""

    via: str
    revoked: bool
    back: bool


def _eligible(connection: sa.Connection, gates: Sequence[UndecidedGate]) -> dict[int, dict[int, _Row]]:
    """Gate id → person id → of those who stand for themselves, how they came and whether they still may."""
    table, memberships = tables.gate_eligible, tables.memberships
    taken_back = sa.exists().where(
        memberships.c.person_id == table.c.person_id,
        memberships.c.removed_at.is_(None),
        memberships.c.added_at > table.c.revoked_at,
    )
    columns = (table.c.gate_id, table.c.person_id, table.c.via, table.c.revoked_at)
    back = sa.case((table.c.revoked_at.is_not(None), taken_back), else_=sa.false()).label("back")
    found: dict[int, dict[int, _Row]] = {}
    for batch in batches(gate.gate_id for gate in gates):
        query = sa.select(*columns, back).where(table.c.gate_id.in_(batch), table.c.person_id == table.c.on_behalf_of)
        for row in connection.execute(query):
            found.setdefault(row.gate_id, {})[row.person_id] = _Row(row.via, row.revoked_at is not None, bool(row.back))
    return found


def _acted(connection: sa.Connection, gates: Sequence[UndecidedGate]) -> dict[int, frozenset[int]]:
    """Gate id → people whose decision counts there."""
    table = tables.decisions
    found: dict[int, set[int]] = {}
    for batch in batches(gate.gate_id for gate in gates):
        query: sa.Select[Any] = sa.select(table.c.gate_id, table.c.on_behalf_of)
        for row in connection.execute(query.where(table.c.gate_id.in_(batch), table.c.counted)):
            found.setdefault(row.gate_id, set()).add(row.on_behalf_of)
    return {gate_id: frozenset(people) for gate_id, people in found.items()}
