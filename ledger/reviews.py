"""Reviews: open gates bundled for one reviewer's sitting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables
from ledger.review_items import rights_block
from ledger.review_people import eligible_pairs
from ledger.rounds import first_round
from ledger.transaction import Draft, Transaction, batches
from policies.clearance_codes import waived_codes


@dataclass(frozen=True, slots=True)
class OpenGate:
    """An open gate that no review carries yet, with what decides which gates may share a review."""

    gate_id: int
    version_id: int
    round: int
    key: str
    stage: str
    collection: str
    policy_sha256: str
    quorum: int
    signature: str
    eligible: tuple[tuple[int, int], ...]
    """(person, on behalf of), sorted."""
    rights: str = ""
    """What rights ask of a decision: nothing, `waive`, or `blocked`: so that one answer fits a whole review."""


def gates_without_review(connection: sa.Connection) -> list[OpenGate]:
    """Open gates that wait to be bundled into a review, oldest first."""
    gates, versions, assets, carried = tables.gates, tables.versions, tables.assets, tables.review_gates
    rows = connection.execute(
        sa.select(gates, assets.c.key, versions.c.collection, versions.c.policy_sha256)
        .join(versions, versions.c.version_id == gates.c.version_id)
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .outerjoin(carried, carried.c.gate_id == gates.c.gate_id)
        .where(
            carried.c.gate_id.is_(None),
            gates.c.opened_at.is_not(None),
            gates.c.outcome.is_(None),
            versions.c.state == "in_review",
            versions.c.round == gates.c.round,
        )
        .order_by(gates.c.gate_id)
    ).all()
    eligible = eligible_pairs(connection, (row.gate_id for row in rows))
    rights = _rights(connection, [row.gate_id for row in rows])
    return [
        OpenGate(
            gate_id=row.gate_id,
            version_id=row.version_id,
            round=row.round,
            key=row.key,
            stage=row.stage,
            collection=row.collection,
            policy_sha256=row.policy_sha256,
            quorum=row.quorum,
            signature=row.signature,
            eligible=tuple(sorted(eligible.get(row.gate_id, ()))),
            rights=rights.get(row.gate_id, ""),
        )
        for row in rows
    ]


def _rights(connection: sa.Connection, gate_ids: Sequence[int]) -> dict[int, str]:
    """Gate → `waive` or `blocked`, of gates that answer for rights which block. One question for 5,000 gates."""
    gates, screenings, clearances = tables.gates, tables.screenings, tables.clearances
    found: dict[int, str] = {}
    for batch in batches(gate_ids):
        query = (
            sa.select(gates.c.gate_id, gates.c.stage, screenings.c.clearance, screenings.c.route, clearances.c.reasons)
            .join(
                screenings,
                sa.and_(screenings.c.version_id == gates.c.version_id, screenings.c.round == gates.c.round),
            )
            .join(clearances, clearances.c.clearance_id == screenings.c.clearance_id)
            .where(gates.c.gate_id.in_(batch), screenings.c.clearance != "cleared")
        )
        for row in connection.execute(query):
            codes = [one["code"] for one in json.loads(row.reasons)]
            if rights_block(row.route, row.stage, row.clearance, codes):
                found[row.gate_id] = "waive" if waived_codes(row.clearance, codes) else "blocked"
    return found


def count_gates_without_review(connection: sa.Connection) -> int:
    """How many open gates no review carries yet, those of versions that moved on included: none means nothing to do."""
    gates, carried = tables.gates, tables.review_gates
    query = (
        sa.select(sa.func.count())
        .select_from(gates.outerjoin(carried, carried.c.gate_id == gates.c.gate_id))
        .where(carried.c.gate_id.is_(None), gates.c.opened_at.is_not(None), gates.c.outcome.is_(None))
    )
    return connection.scalar(query) or 0


def open_reviews(tx: Transaction, groups: Sequence[Sequence[OpenGate]]) -> list[int]:
    """Open one review for each group of gates and note its first round as `to park`; returns the review ids."""
    ids = tx.number(tables.reviews, len(groups))
    numbered = list(zip(ids, groups, strict=True))
    tx.insert(
        tables.reviews,
        [
            {
                "review_id": review_id,
                "purpose": "gate",
                "stage": group[0].stage,
                "collection": group[0].collection,
                "policy_sha256": group[0].policy_sha256,
                "opened_at": tx.origin.at,
            }
            for review_id, group in numbered
        ],
    )
    tx.insert(
        tables.review_gates,
        [
            {"review_id": review_id, "position": place, "gate_id": one.gate_id}
            for review_id, group in numbered
            for place, one in enumerate(group, 1)
        ],
    )
    tx.insert(tables.parkings, [first_round(review_id, tx.origin.at) for review_id in ids])
    tx.append(
        Draft(
            "open_review",
            version_id=one.version_id,
            round=one.round,
            policy_sha256=one.policy_sha256,
            details={"review": review_id, "stage": one.stage, "position": place},
        )
        for review_id, group in numbered
        for place, one in enumerate(group, 1)
    )
    return list(ids)
