"""Enforce deadlines: fire the rungs that are due, for reviews, for the quarantine and for requested changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import sqlalchemy as sa

from ledger.ladder import Firing, Terms, fire_due
from ledger.waits import Wait, waiting_gates, waiting_versions
from policies.deadlines import RungKind, ladder_of
from policies.document import Deadline, PolicyDocument
from policies.errors import PolicyInvalid
from policies.lifecycle import State
from tasks.check_rights import collection_of
from tasks.park_run import close_run
from tasks.resources import Resources

_VERSIONS_AT_ONCE: Final = 500
_PAGE: Final = 200
_ENDED: Final = {
    RungKind.ESCALATE: "Its time was over: the next round asks more people.",
    RungKind.FINALLY: "Its time was over: the deadline of the policy has decided.",
}


@dataclass(frozen=True, slots=True)
class RungsFired:
    """How many gates and versions had a reminder, were put before more people, and were ended by their deadline.

    `refused`: (SHA-256, why) of policies that cannot be read; what is pinned to them was left as it is.
    """

    reminded: int
    escalated: int
    ended: int
    refused: tuple[tuple[str, str], ...] = ()


def fire_rungs(resources: Resources, actor: str, flow_run_id: str | None = None) -> RungsFired:
    """Fire every rung that is due by the injected clock, a transaction a review; at most one rung a wait.

    A review whose run in Prefect does not wait is left to those who take up its answer: what was said before the
    deadline is recorded before it. What is said in the moment between is kept as an opinion. Run twice or side by side,
    it fires nothing twice. A policy that is refused today stops only what is pinned to it, and is told in the result.
    Raises `PrefectAway` and `LedgerBusy` (transient).
    """
    terms = _TermsOf(resources)
    with resources.ledger.reading() as connection:
        waits = [*waiting_gates(connection), *waiting_versions(connection)]
    now = resources.clock.now()
    due = [wait for wait in waits if terms.are_known(wait) and terms(wait).is_due(wait, now)]
    parked = _parked_runs(resources, sorted({wait.review.flow_run_id for wait in due if wait.review}))
    fired: list[Firing] = []
    for together in _transactions([wait for wait in due if _is_answerable(wait, parked)]):
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            present = _again(tx.connection, together)
            ready = [one for one in present if _is_answerable(one, parked) and terms.are_known(one)]
            fired += fire_due(tx, ready, terms)
    _close_runs(resources, fired)
    kinds = [one.rung.kind for one in fired]
    return RungsFired(
        reminded=kinds.count(RungKind.REMIND),
        escalated=kinds.count(RungKind.ESCALATE),
        ended=kinds.count(RungKind.FINALLY),
        refused=tuple(sorted(terms.refused.items())),
    )


class _TermsOf:
    """The terms of each wait, from the policy that its version is pinned to; each read once."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._known: dict[tuple[str, ...], Terms] = {}
        self.refused: dict[str, str] = {}
        """Policies that are refused today, and why."""

    def are_known(self, wait: Wait) -> bool:
        """Whether the policy of a wait can be read; one that cannot is noted."""
        if wait.policy_sha256 not in self.refused:
            try:
                self._resources.policy(wait.policy_sha256)
            except PolicyInvalid as error:
                self.refused[wait.policy_sha256] = str(error)
        return wait.policy_sha256 not in self.refused

    def __call__(self, wait: Wait) -> Terms:
        policy = self._resources.policy(wait.policy_sha256)
        owner = collection_of(policy, wait.collection, wait.key).owner
        stage = wait.gate.stage if wait.gate else ""
        key = (wait.policy_sha256, wait.state, stage, owner, wait.submitter or "")
        if key not in self._known:
            self._known[key] = _terms(policy, wait, owner)
        return self._known[key]


def _terms(policy: PolicyDocument, wait: Wait, owner: str) -> Terms:
    """Who may decide is reminded at a gate, the owner of the quarantine there, and who submits of requested changes."""
    submitter = (wait.submitter,) if wait.submitter else ()
    deadline: Deadline
    reminded: tuple[str, ...] = ()
    if wait.gate is not None:
        deadline = next(one.deadline for one in policy.approval.stages if one.name == wait.gate.stage)
    elif wait.state == State.QUARANTINED:
        deadline, reminded = policy.screening.quarantine.deadline, (policy.screening.quarantine.owner,)
    else:
        deadline, reminded = policy.approval.changes_requested, (*submitter, owner)
    told = (*reminded, owner, *submitter)
    return Terms(policy.calendar, ladder_of(deadline, policy.calendar), reminded, told)


def _parked_runs(resources: Resources, run_ids: Sequence[str]) -> frozenset[str]:
    """Which of these runs wait for a person now."""
    pages = [run_ids[start : start + _PAGE] for start in range(0, len(run_ids), _PAGE)]
    states = [state for page in pages for state in resources.prefect.read_runs(page)]
    return frozenset(state.flow_run_id for state in states if state.is_parked)


def _is_answerable(wait: Wait, parked: frozenset[str]) -> bool:
    """Whether no answer to it is on its way: its run waits, or nobody is asked."""
    return wait.review is None or wait.review.flow_run_id in parked


def _transactions(waits: Sequence[Wait]) -> Iterator[list[Wait]]:
    """What is written together: the gates of one review; versions that wait by themselves, some hundreds."""
    gates = sorted((wait for wait in waits if wait.gate), key=_review_of)
    for _, group in groupby(gates, key=_review_of):
        yield list(group)
    versions = [wait for wait in waits if wait.gate is None]
    for start in range(0, len(versions), _VERSIONS_AT_ONCE):
        yield versions[start : start + _VERSIONS_AT_ONCE]


def _review_of(wait: Wait) -> int:
    return wait.review.review_id if wait.review else 0


def _again(connection: sa.Connection, waits: Sequence[Wait]) -> list[Wait]:
    """The same waits as they stand under the lock, as far as they still wait."""
    if waits[0].gate is not None:
        return waiting_gates(connection, {_review_of(wait) for wait in waits})
    return waiting_versions(connection, [wait.version_id for wait in waits])


def _close_runs(resources: Resources, fired: Sequence[Firing]) -> None:
    """End the runs of rounds that these rungs have ended; what this does not live to do, the next sweep does."""
    ended = {
        one.wait.review.flow_run_id: one.rung.kind
        for one in fired
        if one.wait.review and (one.rung.kind is RungKind.ESCALATE or (one.wait.gate and one.rung.kind in _ENDED))
    }
    for run_id, kind in ended.items():
        close_run(resources.prefect, run_id, _ENDED[kind])
