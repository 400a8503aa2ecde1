"""Bring a policy into the ledger and make it the active one: the first alone, every later one by two people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ledger.delegations import import_delegations
from ledger.errors import UnknownName
from ledger.policy_store import activate_policy, active_policy, open_proposal, propose_policy, store_policy
from ledger.roster import RosterChange, RosterPerson, import_roster, person_id_of
from ledger.signatures import NotSigned
from ledger.transaction import Transaction
from policies.document import PolicyDocument, load_policy, policy_sha256
from policies.roster import RosterDocument, load_roster, undefined_groups, unreachable_quorums
from tasks.errors import FileMissing, PolicyNotActivated, PolicyRefused, SettingsUnfinished
from tasks.resources import Resources
from tasks.sign_act import CodeRefused, sign_act


@dataclass(frozen=True, slots=True)
class Activation:
    """What was brought in: the policy's SHA-256, whether it became active now, and what changed in the roster."""

    policy_sha256: str
    activated: bool
    roster: RosterChange


@dataclass(frozen=True, slots=True)
class Activated:
    """What became of a request to activate: `proposed` waits for another person, `active` was so before."""

    policy_sha256: str
    status: Literal["activated", "active", "proposed"]
    proposed_by: str


def bring_in_policy(
    resources: Resources, policy_file: Path, roster_file: Path, actor: str, seconded_by: str | None = None
) -> Activation:
    """Check both files against each other, import the roster, store the policy and activate it if it is new.

    Raises `PolicyInvalid`, `RosterInvalid`, `PolicyRefused` (groups that the roster lacks, quorums out of reach, a
    claim that is refuted) before anything is written, `PolicyNotActivated` where a second person is needed, and
    `DelegationRefused` for an absence that cannot be handed over like this.
    """
    text = _read(policy_file)
    policy = load_policy(text, str(policy_file))
    roster = load_roster(_read(roster_file), str(roster_file))
    problems = [*undefined_groups(policy, roster), *unreachable_quorums(policy, roster)]
    if problems:
        raise PolicyRefused(tuple(str(problem) for problem in problems))
    sha256 = policy_sha256(text)
    with resources.ledger.reading() as connection:
        before = active_policy(connection)
    if before is None or (before.sha256 != sha256 and seconded_by is not None):
        _require_proof(policy, roster)
    people = [RosterPerson(one.handle, one.name, one.email) for one in roster.people]
    with resources.ledger.writing(resources.origin(actor)) as tx:
        present = active_policy(tx.connection)
        if present is not None and present.sha256 != sha256 and seconded_by is None:
            raise PolicyNotActivated(sha256, present.sha256)
        change = import_roster(tx, people, roster.groups)
        import_delegations(
            tx, ((one.principal, one.delegate, one.starts_at, one.ends_at) for one in roster.delegations)
        )
        _store(tx, policy, text)
        is_new = present is None or present.sha256 != sha256
        if is_new:
            activate_policy(tx, sha256, actor, seconded_by)
    return Activation(sha256, is_new, change)


def activate_file(
    resources: Resources, policy_file: Path, roster_file: Path | None, person: str, code: str | None = None
) -> Activated:
    """Propose the policy in a file, or confirm what another person proposed; the first one becomes active at once.

    `person` is a handle of the roster, or any name for the first policy, which comes with a roster file; who is
    enrolled signs with a `code`. Raises `PolicyInvalid`, `PolicyRefused` (a claim is refuted), `UnknownName`,
    `SettingsUnfinished`, `CodeRefused`.
    """
    with resources.ledger.reading() as connection:
        present = active_policy(connection)
    if present is None:
        if roster_file is None:
            raise SettingsUnfinished("policy", "roster")
        actor = f"operator:{person}"
        first = bring_in_policy(resources, policy_file, roster_file, actor)
        return Activated(first.policy_sha256, "activated", actor)
    text = _read(policy_file)
    policy = load_policy(text, str(policy_file))
    sha256 = policy_sha256(text)
    actor = _person(resources, person)
    if present.sha256 == sha256:
        return Activated(sha256, "active", actor)
    _require_proof(policy, _roster(resources))
    with resources.ledger.writing(resources.origin(actor)) as tx:
        person_id = person_id_of(tx.connection, person)
        if person_id is None:
            raise UnknownName(f"{person!r} has just left the roster; nothing was changed")
        present = active_policy(tx.connection)  # again, under the lock
        if present is not None and present.sha256 == sha256:
            return Activated(sha256, "active", actor)
        proposal = open_proposal(tx.connection, sha256)
        if proposal is not None and proposal.proposed_by == actor:
            return Activated(sha256, "proposed", actor)
        signed = sign_act(tx, resources, person_id, code, "policy")
        if not isinstance(signed, NotSigned):
            step = None if signed is None else signed.step
            if proposal is None:
                _store(tx, policy, text)
                propose_policy(tx, sha256, signed_step=step)
            else:
                activate_policy(tx, sha256, proposal.proposed_by, actor, signed_step=step)
    if isinstance(signed, NotSigned):
        raise CodeRefused(signed.words)
    if proposal is None:
        return Activated(sha256, "proposed", actor)
    return Activated(sha256, "activated", proposal.proposed_by)


def _store(tx: Transaction, policy: PolicyDocument, text: str) -> None:
    signed = policy.screening.quarantine.signature == "totp"
    rules = (rule.name for rule in policy.approval.automatic)
    store_policy(tx, policy.name, text, rules, signed_quarantine=signed)


def _require_proof(policy: PolicyDocument, roster: RosterDocument | None) -> None:
    from policies.policy_proof import prove_policy, refuted  # the solver takes long to import, and is needed here only
    from tasks.check_policy import stories

    broken = refuted(prove_policy(policy, roster))
    if broken:
        raise PolicyRefused(tuple(stories(broken)))


def _roster(resources: Resources) -> RosterDocument | None:
    from tasks.check_policy import roster_in_ledger

    with resources.ledger.reading() as connection:
        return roster_in_ledger(resources, connection)


def _person(resources: Resources, handle: str) -> str:
    with resources.ledger.reading() as connection:
        person_id = person_id_of(connection, handle)
    if person_id is None:
        raise UnknownName(
            f"{handle!r} is nobody in the roster; activating a policy after the first is an act of a person"
        )
    return f"person:{person_id}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileMissing(path) from error
