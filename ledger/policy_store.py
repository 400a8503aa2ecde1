"""Policies in the ledger: stored by SHA-256, activated by people, pinned by versions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ledger import tables
from ledger.errors import UnknownName
from ledger.transaction import Draft, Transaction


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy document as it was stored, byte for byte."""

    sha256: str
    name: str
    body: str


def store_policy(
    tx: Transaction, name: str, body: str, automatic_rules: Iterable[str], *, signed_quarantine: bool = False
) -> str:
    """Keep a policy document and the names of its automatic rules; returns its SHA-256. The same again is harmless.

    `signed_quarantine`: what it holds is decided with a signature only, which the database sees to from then on.
    """
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    policies = tables.policies
    if tx.connection.scalar(sa.select(policies.c.sha256).where(policies.c.sha256 == sha256)) is None:
        tx.insert(policies, [{"sha256": sha256, "name": name, "body": body, "stored_at": tx.origin.at}])
        rules = sorted(set(automatic_rules))
        tx.insert(tables.policy_rules, [{"policy_sha256": sha256, "rule": rule} for rule in rules])
        if signed_quarantine:
            tx.insert(tables.policy_signatures, [{"policy_sha256": sha256, "place": "quarantine"}])
        tx.append([Draft("store_policy", policy_sha256=sha256, details={"name": name, "rules": rules})])
    return sha256


def activate_policy(
    tx: Transaction,
    sha256: str,
    activated_by: str,
    seconded_by: str | None = None,
    *,
    signed_step: int | None = None,
) -> None:
    """Make a stored policy the one that routes what arrives from now on; `signed_step`: of the code of who confirms.

    The first activation of an empty ledger needs one actor, every later one a second (`RuleBroken` otherwise).
    """
    before = active_policy(tx.connection)
    (activation_id,) = tx.number(tables.policy_activations)
    tx.insert(
        tables.policy_activations,
        [
            {
                "activation_id": activation_id,
                "policy_sha256": sha256,
                "activated_at": tx.origin.at,
                "activated_by": activated_by,
                "seconded_by": seconded_by,
            }
        ],
    )
    details = {"by": activated_by, "seconded_by": seconded_by, "before": before.sha256 if before else None}
    tx.append([Draft("activate_policy", policy_sha256=sha256, details=details | _signed(signed_step))])


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that one person wants to be active, and that another has still to confirm."""

    sha256: str
    proposed_by: str
    proposed_at: datetime


def propose_policy(tx: Transaction, sha256: str, *, signed_step: int | None = None) -> None:
    """Record that whoever acts wants a stored policy to be active; `signed_step`: of the code that signs it."""
    tx.append([Draft("propose_policy", policy_sha256=sha256, details=_signed(signed_step))])


def _signed(step: int | None) -> dict[str, int]:
    """What an event tells of a signature; nothing where none was given, so that events of before read the same."""
    return {} if step is None else {"signed_step": step}


def open_proposal(connection: sa.Connection, sha256: str) -> Proposal | None:
    """The last proposal of a policy since any policy was activated, by somebody who has not left since; or None."""
    events, people = tables.events, tables.people
    activated = sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0)).where(events.c.action == "activate_policy")
    row = connection.execute(
        sa.select(events.c.actor, events.c.at)
        .where(
            events.c.action == "propose_policy",
            events.c.policy_sha256 == sha256,
            events.c.seq > activated.scalar_subquery(),
            sa.exists().where(
                events.c.actor == sa.literal("person:") + sa.cast(people.c.person_id, sa.Text),
                people.c.left_at.is_(None),
            ),
        )
        .order_by(events.c.seq.desc())
        .limit(1)
    ).first()
    return None if row is None else Proposal(sha256, row.actor, row.at)


def record_check(tx: Transaction, sha256: str, refuted: Iterable[str], stories: Iterable[str]) -> None:
    """Record that a policy no longer keeps what was proved of it, and why: nothing else changes."""
    details = {"refuted": list(refuted), "stories": list(stories)}
    tx.append([Draft("policy_check_failed", policy_sha256=sha256, details=details)])


def active_policy(connection: sa.Connection) -> StoredPolicy | None:
    """The policy that routes new arrivals, or None in a ledger where none was activated."""
    activations = tables.policy_activations
    sha256 = connection.scalar(
        sa.select(activations.c.policy_sha256).order_by(activations.c.activation_id.desc()).limit(1)
    )
    return None if sha256 is None else stored_policy(connection, sha256)


def stored_policy(connection: sa.Connection, sha256: str) -> StoredPolicy:
    """A policy by its SHA-256. Raises `UnknownName`."""
    row = connection.execute(sa.select(tables.policies).where(tables.policies.c.sha256 == sha256)).one_or_none()
    if row is None:
        raise UnknownName(f"no policy {sha256} is stored in the ledger")
    return StoredPolicy(row.sha256, row.name, row.body)
