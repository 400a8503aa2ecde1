"""Prove the active policy again with the people there are now, and record what no longer holds."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ledger.announce import announce_broken_policy
from ledger.policy_store import record_check
from ledger.roster import present_delegations, present_people
from policies.claims import ClaimResult
from policies.document import PolicyDocument
from policies.policy_proof import ROSTER_CLAIMS, prove_policy, refuted
from policies.roster import RosterDocument
from tasks.errors import NoActivePolicy
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class PolicyRechecked:
    """The active policy, and what no longer holds of it with the people there are."""

    policy_sha256: str
    refuted: tuple[ClaimResult, ...]


def recheck_policy(resources: Resources, actor: str, flow_run_id: str | None = None) -> PolicyRechecked | None:
    """Prove what depends on the roster; what is refuted becomes one event. Called whenever the roster changes.

    Returns None where no policy is active, or the roster is empty.
    """
    try:
        active = resources.active_policy()
    except NoActivePolicy:
        return None
    with resources.ledger.reading() as connection:
        roster = roster_in_ledger(resources, connection)
    if roster is None:
        return None
    broken = refuted(prove_policy(active.document, roster, ROSTER_CLAIMS))
    if broken:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            record_check(tx, active.sha256, (str(one.claim) for one in broken), stories(broken))
            announce_broken_policy(tx, owners_of(active.document), _announcement(active.document, broken))
    return PolicyRechecked(active.sha256, broken)


def owners_of(policy: PolicyDocument) -> frozenset[str]:
    """The groups that own something under a policy: its collections, and what it holds in quarantine."""
    return frozenset((*(one.owner for one in policy.collections), policy.screening.quarantine.owner))


def _announcement(policy: PolicyDocument, broken: tuple[ClaimResult, ...]) -> str:
    """What owners are told: the claims, and no person's part in them."""
    says = " ".join(one.claim.says for one in broken)
    return (
        f"With the people there are now, the policy {policy.name} does not keep what it did: {says} "
        "`signoff policy check` says why."
    )


def roster_in_ledger(resources: Resources, connection: sa.Connection) -> RosterDocument | None:
    """The people, groups and delegations that the ledger has now; None while it has nobody."""
    people = present_people(connection)
    groups: dict[str, list[str]] = {}
    for person in people:
        for group in person["groups"]:
            groups.setdefault(group, []).append(person["handle"])
    if not groups:
        return None
    return RosterDocument.model_validate(
        {
            "people": [{"handle": one["handle"], "name": one["name"] or one["handle"]} for one in people],
            "groups": groups,
            "delegations": present_delegations(connection, resources.clock.now()),
        }
    )


def stories(broken: tuple[ClaimResult, ...]) -> list[str]:
    """Each claim that does not hold, with its shortest story, as lines for people."""
    lines = []
    for one in broken:
        why = f"Not decided: {one.because}"
        for story in one.counterexamples[:1]:
            why = f"Not so, line {story.line}, {story.field}: {' '.join(story.steps)}"
        lines.append(f"{one.claim.says} {why}")
    return lines
