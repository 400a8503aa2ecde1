"""Review again: what was approved, or withdrawn since, is put before people anew, in a new round of the same gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.gates import told_people
from ledger.transaction import Transaction
from ledger.transitions import Move, cancel_open_effects, move, present_versions
from policies.lifecycle import Action, State

_CARRIED = ("group", "escalation")
"""Ways of being eligible that go on in a new round; who stands in for whom is settled anew by the next sweep."""


def review_again(tx: Transaction, version_ids: Sequence[int], reason: str) -> list[int]:
    """Open the gates of these versions once more, in a new round, for who may decide there still.

    What was to be published is cancelled. A version that people never decided on, or that newer bytes have overtaken,
    is left as it is; returns the others, which wait for a review now. Raises `StaleVersion` unless all of them are
    approved or withdrawn.
    """
    asked = [version_id for version_id in version_ids if version_id not in _overtaken(tx.connection, version_ids)]
    cancel_open_effects(tx, asked, reason)
    moves = []
    for version_id, now in present_versions(tx.connection, asked).items():
        told = _open_anew(tx, version_id, now.round)
        if told:
            step = Move(version_id, Action.REVIEW_AGAIN, State(now.state), reason=reason, details={"gates": told})
            moves.append(step)
    move(tx, moves)
    return [one.version_id for one in moves]


def _open_anew(tx: Transaction, version_id: int, round_number: int) -> list[dict[str, Any]]:
    """Copy the gates of a round, their people who are still there, and what routed it, into the next round."""
    gates, eligible, people = tables.gates, tables.gate_eligible, tables.people
    these = sa.and_(gates.c.version_id == version_id, gates.c.round == round_number)
    before = tx.connection.execute(sa.select(gates).where(these).order_by(gates.c.gate_id)).all()
    if not before:
        return []
    first = min(one.step for one in before)
    told = []
    for gate_id, one in zip(tx.number(gates, len(before)), before, strict=True):
        terms = {name: getattr(one, name) for name in ("stage", "step", "quorum", "four_eyes", "signature")}
        opened_at = tx.origin.at if one.step == first else None
        place = {"gate_id": gate_id, "version_id": version_id, "round": round_number + 1}
        tx.insert(gates, [{**place, **terms, "opened_at": opened_at}])
        still = (
            sa.select(eligible.c.person_id, eligible.c.via)
            .join(people, people.c.person_id == eligible.c.person_id)
            .where(
                eligible.c.gate_id == one.gate_id,
                eligible.c.on_behalf_of == eligible.c.person_id,
                eligible.c.via.in_(_CARRIED),
                eligible.c.revoked_at.is_(None),
                people.c.left_at.is_(None),
            )
        )
        rows = [
            {"gate_id": gate_id, "person_id": row.person_id, "on_behalf_of": row.person_id, "via": row.via}
            for row in tx.connection.execute(still).all()
        ]
        tx.insert(eligible, [{**row, "added_at": tx.origin.at} for row in rows])
        told.append({**terms, "eligible": told_people(row["person_id"] for row in rows)})
    _carry_screening(tx, version_id, round_number)
    return told


def _carry_screening(tx: Transaction, version_id: int, round_number: int) -> None:
    screenings = tables.screenings
    this = sa.and_(screenings.c.version_id == version_id, screenings.c.round == round_number)
    row = tx.connection.execute(sa.select(screenings).where(this)).one()
    tx.insert(screenings, [{**row._mapping, "round": round_number + 1}])


def _overtaken(connection: sa.Connection, version_ids: Sequence[int]) -> frozenset[int]:
    """Those whose asset has newer bytes that have left screening."""
    versions, newer = tables.versions, tables.versions.alias("newer")
    query = sa.select(versions.c.version_id).join(
        newer,
        sa.and_(
            newer.c.asset_id == versions.c.asset_id,
            newer.c.arrived_seq > versions.c.arrived_seq,
            newer.c.state.in_(("in_review", "approved", "published")),
        ),
    )
    return frozenset(connection.scalars(query.where(versions.c.version_id.in_(version_ids))))
