"""Check the rights of approved versions again, right before publishing, and hold back what may not go out."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.inspection import Inspection
from ledger.effects import Effect
from ledger.reader import PublicationBasis, publication_basis
from ledger.screen import Recheck, record_rechecks
from policies.clearance_codes import waived_codes
from policies.document import PolicyDocument
from tasks.check_rights import Clearance, RightsSubject, check_clearances, load_grants
from tasks.inspect_contents import unread_rights
from tasks.resources import Resources


def held_back(
    resources: Resources, effects: Sequence[Effect], actor: str, flow_run_id: str | None = None
) -> dict[int, str]:
    """Effect id → why it may not be carried out now: the clearance blocks, and nobody has waived these findings.

    A waiver at the rights gate takes the findings upon itself that it names, for the use and the grants that it was
    shown; a finding that came later, or that one of those who approved there does not name, was waived by nobody. What
    changed since the last check is recorded. An embargoed version thus stays approved until its day.
    """
    with resources.ledger.reading() as connection:
        bases = publication_basis(connection, [one.version_id for one in effects])
    grants = load_grants(resources)
    now = resources.clock.now()
    held: dict[int, str] = {}
    changed: list[Recheck] = []
    for policy_sha256 in dict.fromkeys(basis.policy_sha256 for basis in bases.values()):
        policy = resources.policy(policy_sha256)
        batch = [one for one in effects if bases[one.version_id].policy_sha256 == policy_sha256]
        clearances = check_clearances([_subject(bases[one.version_id]) for one in batch], policy, grants, now)
        for one in batch:
            basis, clearance = bases[one.version_id], clearances[one.version_id]
            if (clearance.status, clearance.digest) != (basis.clearance, basis.digest):
                changed.append(Recheck(clearance.record, basis.round, policy_sha256, basis.clearance, basis.digest))
            reason = _blocks(clearance, basis, policy)
            if reason:
                held[one.effect_id] = reason
    if changed:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            record_rechecks(tx, changed)
    return held


def _blocks(clearance: Clearance, basis: PublicationBasis, policy: PolicyDocument) -> str | None:
    if clearance.status not in policy.rights.block or _is_waived(clearance, basis, policy):
        return None
    return f"held back: its rights are {clearance.status} ({', '.join(clearance.codes)})"


def _is_waived(clearance: Clearance, basis: PublicationBasis, policy: PolicyDocument) -> bool:
    shown = (basis.screened_digest, basis.screened_intent) == (clearance.digest, clearance.record.intent)
    blocking = set(waived_codes(clearance.status, clearance.codes))
    named = bool(blocking) and blocking <= basis.waived.get(policy.rights.gate, frozenset())
    return policy.rights.gate in basis.passed_stages and shown and named


def _subject(basis: PublicationBasis) -> RightsSubject:
    inspection = Inspection.from_json(basis.inspection) if basis.inspection else None
    return RightsSubject(
        version_id=basis.version_id,
        key=basis.key,
        collection=basis.collection,
        kind=basis.kind,
        embedded=inspection.embedded if inspection else unread_rights(),
        people_detected=inspection.people_detected if inspection else None,
    )
