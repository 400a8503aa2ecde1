"""Bring the policy and roster files that the settings name into the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.policy_store import activate_policy, active_policy, store_policy
from ledger.roster import RosterChange, RosterPerson, import_roster
from policies.document import load_policy, policy_sha256
from policies.roster import load_roster, undefined_groups, unreachable_quorums
from tasks.errors import FileMissing, PolicyNotActivated, PolicyRefused
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class Activation:
    """What was brought in: the policy's SHA-256, whether it became active now, and what changed in the roster."""

    policy_sha256: str
    activated: bool
    roster: RosterChange


def bring_in_policy(
    resources: Resources, policy_file: Path, roster_file: Path, actor: str, seconded_by: str | None = None
) -> Activation:
    """Check both files against each other, import the roster, store the policy and activate it if it is new.

    Raises `PolicyInvalid`, `RosterInvalid`, `PolicyRefused` (groups that the roster lacks, quorums out of reach) before
    anything is written, and `PolicyNotActivated` when a second person is needed for a later policy.
    """
    text = _read(policy_file)
    policy = load_policy(text, str(policy_file))
    roster = load_roster(_read(roster_file), str(roster_file))
    problems = [*undefined_groups(policy, roster), *unreachable_quorums(policy, roster)]
    if problems:
        raise PolicyRefused(tuple(str(problem) for problem in problems))
    sha256 = policy_sha256(text)
    people = [RosterPerson(one.handle, one.name, one.email) for one in roster.people]
    with resources.ledger.writing(resources.origin(actor)) as tx:
        present = active_policy(tx.connection)
        if present is not None and present.sha256 != sha256 and seconded_by is None:
            raise PolicyNotActivated(sha256, present.sha256)
        change = import_roster(tx, people, roster.groups)
        store_policy(tx, policy.name, text, (rule.name for rule in policy.approval.automatic))
        is_new = present is None or present.sha256 != sha256
        if is_new:
            activate_policy(tx, sha256, actor, seconded_by)
    return Activation(sha256, is_new, change)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileMissing(path) from error
