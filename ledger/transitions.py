"""Moving versions along the lifecycle: every change of state is one event, and the database applies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.errors import StaleVersion
from ledger.transaction import Draft, Transaction, among, batches
from policies.lifecycle import SUPERSEDABLE, Action, State, allowed


@dataclass(frozen=True, slots=True)
class Present:
    """Where a version stands now."""

    version_id: int
    asset_id: int
    number: int
    sha256: str
    state: str
    round: int
    policy_sha256: str
    collection: str
    submitter: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """An intended step of one version. `expected` is the state the caller decided on; `round` likewise if given."""

    version_id: int
    action: Action
    expected: State
    to_state: State | None = None
    round: int | None = None
    rule: str | None = None
    reason: str | None = None
    effect_id: int | None = None
    actor: str | None = None
    policy_sha256: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


_CANCELLED = (
    *(tables.effects.c[name] for name in ("effect_id", "version_id", "kind", "rule")),
    *(tables.versions.c[name] for name in ("round", "policy_sha256")),
)
_PRESENT = sa.select(*(tables.versions.c[name] for name in Present.__dataclass_fields__))


def present_versions(connection: sa.Connection, version_ids: Iterable[int]) -> dict[int, Present]:
    """Where these versions stand, by version id; ids that do not exist are left out."""
    found: dict[int, Present] = {}
    for batch in batches(version_ids):
        for row in connection.execute(_PRESENT.where(among(connection, tables.versions.c.version_id, batch))):
            found[row.version_id] = Present(**{**row._mapping, "state": row.state or ""})
    return found


def expect(connection: sa.Connection, expected: Iterable[tuple[int, State, int | None]]) -> dict[int, Present]:
    """Where versions stand that are expected in a state and, if given, a round: (version, state, round).

    Raises `StaleVersion` naming those that are not there any more.
    """
    wanted = list(expected)
    found = present_versions(connection, (version_id for version_id, _, _ in wanted))
    stale = [
        version_id
        for version_id, state, round_number in wanted
        if (now := found.get(version_id)) is None
        or now.state != state
        or (round_number is not None and now.round != round_number)
    ]
    if stale:
        raise StaleVersion(stale, " or ".join(sorted({str(state) for _, state, _ in wanted})))
    return found


def move(tx: Transaction, moves: Sequence[Move]) -> dict[int, Present]:
    """Append one event a move; all happen or none. Returns where the versions stood before.

    Raises `StaleVersion` naming those that are not in the expected state or round any more, and `RuleBroken` when a
    guard of the lifecycle does not hold.
    """
    before = expect(tx.connection, ((one.version_id, one.expected, one.round) for one in moves))
    tx.append(_draft(one, before[one.version_id]) for one in moves)
    return before


def _draft(step: Move, now: Present) -> Draft:
    to_state = step.to_state
    if to_state is None:
        (to_state,) = allowed(step.expected, step.action)
    begins_round = step.action in (Action.REOPEN, Action.REVIEW_AGAIN)
    return Draft(
        action=str(step.action),
        version_id=step.version_id,
        from_state=str(step.expected),
        to_state=str(to_state),
        round=now.round + begins_round,
        policy_sha256=step.policy_sha256 or now.policy_sha256,
        rule=step.rule,
        reason=step.reason,
        effect_id=step.effect_id,
        actor=step.actor,
        details=step.details,
    )


def supersede_older(tx: Transaction, version_ids: Iterable[int]) -> list[int]:
    """End every older version of the same assets that still waits or is approved; returns their ids.

    Older is what arrived before: a version whose bytes were put again is newer than what was put in between. Call it
    once the given versions have left screening. Open effects of what ends are cancelled, open gates voided: nobody is
    asked about bytes that have been replaced.
    """
    versions, newer = tables.versions, tables.versions.alias("newer")
    rows: list[Any] = []
    for batch in batches(version_ids):
        query = (
            sa.select(versions.c.version_id, versions.c.state, newer.c.number)
            .join(
                newer,
                sa.and_(newer.c.asset_id == versions.c.asset_id, newer.c.arrived_seq > versions.c.arrived_seq),
            )
            .where(newer.c.version_id.in_(batch), versions.c.state.in_([str(state) for state in SUPERSEDABLE]))
        )
        rows.extend(tx.connection.execute(query))
    ended = {row.version_id: row for row in rows}
    if not ended:
        return []
    cancel_open_effects(tx, ended, "superseded")
    void_open_gates(tx, ended)
    moves = [
        Move(row.version_id, Action.SUPERSEDE, State(row.state), details={"by_number": row.number})
        for row in ended.values()
    ]
    move(tx, moves)
    return list(ended)


def cancel_open_effects(tx: Transaction, version_ids: Iterable[int], reason: str) -> None:
    """Cancel the open effects of these versions and say why in the audit trail."""
    effects, versions = tables.effects, tables.versions
    for batch in batches(version_ids):
        is_open = sa.and_(effects.c.version_id.in_(batch), effects.c.status == "open")
        cancelled = tx.connection.execute(
            sa.select(*_CANCELLED).join(versions, versions.c.version_id == effects.c.version_id).where(is_open)
        ).all()
        if not cancelled:
            continue
        tx.connection.execute(effects.update().where(is_open).values(status="cancelled", closed_at=tx.origin.at))
        tx.append(
            Draft(
                "effect_cancelled",
                version_id=row.version_id,
                round=row.round,
                policy_sha256=row.policy_sha256,
                rule=row.rule,
                effect_id=row.effect_id,
                reason=reason,
                details={"kind": row.kind},
            )
            for row in cancelled
        )


def void_open_gates(tx: Transaction, version_ids: Iterable[int]) -> None:
    """Close every gate of these versions that has no outcome yet: nobody needs to decide on them any more."""
    gates = tables.gates
    for batch in batches(version_ids):
        tx.connection.execute(
            gates.update()
            .where(gates.c.version_id.in_(batch), gates.c.outcome.is_(None))
            .values(outcome="voided", closed_at=tx.origin.at)
        )
