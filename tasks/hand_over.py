"""Hand a person's part to another for a time, or take it back: what would break is told before, gates follow after."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.delegations import Delegation, check_delegation, delegate_part, present_and_coming, take_back_part
from policies.errors import PolicyInvalid
from tasks.errors import NoActivePolicy
from tasks.resources import Resources

ACTOR: Final = "operator:people"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A part that is handed over, or would be: from when until when, and what no longer holds of the policy with it.

    `number` is None where nothing was written; `gates` is at how many open gates who may decide has changed at once.
    """

    number: int | None
    principal: str
    delegate: str
    starts_at: datetime
    ends_at: datetime
    broken: tuple[str, ...]
    gates: int = 0


def foresee_handing_over(
    resources: Resources, principal: str, delegate: str, starts_at: datetime, ends_at: datetime
) -> HandedOver:
    """What would come of it; nothing is written.

    Raises `UnknownName` and `DelegationRefused` like `hand_over`.
    """
    with resources.ledger.reading() as connection:
        check_delegation(connection, principal, delegate, starts_at, ends_at, resources.clock.now())
    broken = _newly_broken(resources, principal, delegate, starts_at, ends_at)
    return HandedOver(None, principal, delegate, starts_at, ends_at, broken)


def hand_over(
    resources: Resources, principal: str, delegate: str, starts_at: datetime, ends_at: datetime
) -> HandedOver:
    """Hand the part over, prove the policy again, and have open gates follow if it has begun.

    What breaks is told and recorded, and refuses nothing: people are away whether rules like it or not. Raises
    `UnknownName` and `DelegationRefused`.
    """
    foreseen = foresee_handing_over(resources, principal, delegate, starts_at, ends_at)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        number = delegate_part(tx, principal, delegate, starts_at, ends_at)
    gates = _follow(resources)
    return HandedOver(number, principal, delegate, starts_at, ends_at, foreseen.broken, gates)


def take_back(resources: Resources, principal: str, delegate: str | None = None) -> Sequence[Delegation]:
    """End what a person has handed over (to `delegate` only, if given), and have open gates follow.

    Raises `UnknownName` and `DelegationRefused`.
    """
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        ended = take_back_part(tx, principal, delegate)
    _follow(resources)
    return ended


def absences(resources: Resources) -> list[Delegation]:
    """Who is away now or will be, and who stands in."""
    with resources.ledger.reading() as connection:
        return present_and_coming(connection, resources.clock.now())


def _follow(resources: Resources) -> int:
    from tasks.check_policy import recheck_policy  # the solver takes long to import
    from tasks.follow_absences import follow_absences

    gates = follow_absences(resources, ACTOR)
    with suppress(PolicyInvalid):  # one that is refused today says nothing of its people; every sweep tells of it
        recheck_policy(resources, ACTOR)
    return gates


def _newly_broken(
    resources: Resources, principal: str, delegate: str, starts_at: datetime, ends_at: datetime
) -> tuple[str, ...]:
    """What holds of the active policy now and would not with this absence, as lines for people."""
    from policies.policy_proof import ROSTER_CLAIMS, prove_policy, refuted
    from policies.roster import Delegation as Absence
    from tasks.check_policy import roster_in_ledger, stories

    try:
        active = resources.active_policy()
    except (NoActivePolicy, PolicyInvalid):
        return ()
    with resources.ledger.reading() as connection:
        roster = roster_in_ledger(resources, connection)
    if roster is None:
        return ()
    absence = Absence.model_validate(
        {"principal": principal, "delegate": delegate, "from": starts_at, "until": ends_at}
    )
    then = roster.model_copy(update={"delegations": (*roster.delegations, absence)})
    before = {one.claim for one in refuted(prove_policy(active.document, roster, ROSTER_CLAIMS))}
    broken = refuted(prove_policy(active.document, then, ROSTER_CLAIMS))
    return tuple(stories(tuple(one for one in broken if one.claim not in before)))
