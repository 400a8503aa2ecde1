"""Reviews: open gates bundled for one reviewer's sitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables
from ledger.review import eligible_pairs
from ledger.rounds import first_round
from ledger.transaction import Draft, Transaction


@dataclass(frozen=True, slots=True)
class OpenGate:
    """An open gate that no review carries yet, with what decides which gates may share a review."""

    gate_id: int
    version_id: int
    key: str
    stage: str
    collection: str
    policy_sha256: str
    quorum: int
    signature: str
    eligible: tuple[tuple[int, int], ...]
    """(person, on behalf of), sorted."""


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
    return [
        OpenGate(
            gate_id=row.gate_id,
            version_id=row.version_id,
            key=row.key,
            stage=row.stage,
            collection=row.collection,
            policy_sha256=row.policy_sha256,
            quorum=row.quorum,
            signature=row.signature,
            eligible=tuple(sorted(eligible.get(row.gate_id, ()))),
        )
        for row in rows
    ]


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
            details={"review": review_id, "stage": one.stage, "position": place},
        )
        for review_id, group in numbered
        for place, one in enumerate(group, 1)
    )
    return list(ids)
