"""Keep reviews in step with absences: who stands in may decide from the first moment of an absence to its last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.asked_people import rounds_with_other_people
from ledger.delegations import StandInChange, change_stand_ins, compare_with_absences
from ledger.eligibility import undecided_gates
from ledger.rounds import close_round
from ledger.transaction import Transaction
from tasks.resources import Resources

_BEGUN: Final = "Somebody who may decide here is away, and another person stands in."
_OTHERS: Final = "The people who may decide here have changed with the roster."
_ENDED: Final = "The time in which somebody stood in for another is over."


def follow_absences(resources: Resources, actor: str, flow_run_id: str | None = None) -> int:
    """Let those decide who stand in now, and no more those whose time is over; returns at how many gates that changed.

    All by the injected clock. Their reviews are asked again, with the people that there are now, unless an answer was
    taken meanwhile. What is held or was sent back is decided by whoever is of its group, or stands in, at that moment:
    there only the forms follow, the roster too; each review counts as one gate. Run twice, it changes nothing the
    second time; Prefect is not asked: the next sweep parks them.
    """
    now = resources.clock.now()
    with resources.ledger.reading() as connection:
        gates = compare_with_absences(connection, undecided_gates(connection), now)
        if not gates and not rounds_with_other_people(connection, now):
            return 0
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        changes = compare_with_absences(tx.connection, undecided_gates(tx.connection), now)  # again, under the lock
        change_stand_ins(tx, changes)
        _ask_again(tx, changes)
        others = rounds_with_other_people(tx.connection, now)
        for one in others:
            reason = _BEGUN if one.begun else _ENDED if one.ended else _OTHERS
            close_round(tx, one.review_id, one.round, "replaced", reason)
    return len(changes) + len(others)


def _ask_again(tx: Transaction, changes: Sequence[StandInChange]) -> None:
    reasons: dict[tuple[int, int], str] = {}
    for one in changes:
        gate = one.gate
        if gate.review_id is not None and gate.review_round is not None:
            place = gate.review_id, gate.review_round
            reasons[place] = _BEGUN if one.added else reasons.get(place, _ENDED)
    for (review_id, number), reason in sorted(reasons.items()):
        close_round(tx, review_id, number, "replaced", reason)
