"""Keep open gates in step with the roster, so that no review waits for people who have gone."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ledger.announce import announce_shortages, unannounced_shortages
from ledger.eligibility import (
    EligibilityChange,
    UndecidedGate,
    change_eligibility,
    compare_with_roster,
    undecided_gates,
)
from ledger.rounds import close_round
from policies.errors import PolicyInvalid
from tasks.check_rights import collection_of
from tasks.resources import Resources

_REASON = "The people who may decide here have changed with the roster."


@dataclass(frozen=True, slots=True)
class RosterFollowed:
    """At how many gates who may decide has changed, and (stage, key) of gates that too few people may decide still."""

    changed: int
    short: tuple[tuple[str, str], ...]


def follow_roster(resources: Resources, actor: str, flow_run_id: str | None = None) -> RosterFollowed:
    """Revoke who left the groups of a stage, take back who returned, add people where a quorum is out of reach.

    Reviews that others may decide now are asked again. Gates whose policy is refused today stay as they are;
    `fire_rungs` tells which. Of a gate that too few people may decide even so, the owners of its collection are told,
    once.

    Run twice, it changes nothing the second time. Prefect is not asked: the next sweep parks the new rounds.
    """
    with resources.ledger.reading() as connection:
        changes = _changes(resources, connection)
    changed = [one for one in changes if one.asks_others or one.revoked]
    if changed:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            changes = _changes(resources, tx.connection)  # again, under the lock
            changed = [one for one in changes if one.asks_others or one.revoked]
            change_eligibility(tx, changed)
            rounds = {(one.gate.review_id, one.gate.review_round) for one in changed if one.asks_others}
            for review_id, number in sorted((a, b) for a, b in rounds if a is not None and b is not None):
                close_round(tx, review_id, number, "replaced", _REASON)
    _announce(resources, [one for one in changes if one.missing], actor, flow_run_id)
    return RosterFollowed(len(changed), tuple((one.gate.stage, one.gate.key) for one in changes if one.missing))


def short_gates(resources: Resources) -> tuple[tuple[str, str], ...]:
    """(stage, key) of open gates that too few people may decide, whoever the roster would add; nothing is changed."""
    with resources.ledger.reading() as connection:
        return tuple((one.gate.stage, one.gate.key) for one in _changes(resources, connection) if one.missing)


def _announce(resources: Resources, short: list[EligibilityChange], actor: str, flow_run_id: str | None) -> None:
    if not short:
        return
    owned = [(one.gate, _owner(resources, one.gate)) for one in short]
    with resources.ledger.reading() as connection:
        fresh = unannounced_shortages(connection, owned)
    if fresh:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            announce_shortages(tx, fresh)


def _owner(resources: Resources, gate: UndecidedGate) -> str:
    return collection_of(resources.policy(gate.policy_sha256), gate.collection, gate.key).owner


def _changes(resources: Resources, connection: sa.Connection) -> list[EligibilityChange]:
    gates = undecided_gates(connection)
    groups: dict[int, tuple[str, str]] = {}
    for gate in gates:
        try:
            policy = resources.policy(gate.policy_sha256)
        except PolicyInvalid:
            continue
        reviewers = next(stage.reviewers for stage in policy.approval.stages if stage.name == gate.stage)
        groups[gate.gate_id] = (reviewers, collection_of(policy, gate.collection, gate.key).owner)
    return compare_with_roster(connection, [gate for gate in gates if gate.gate_id in groups], groups)
