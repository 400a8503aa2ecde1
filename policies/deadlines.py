"""The ladder of a deadline: its rungs in order, and when the next one is to fire, given when the others did.

Nothing here knows what waits or what a rung does. A rung that fires late (nobody swept for a while) moves those after
it, so that everybody has the whole time that the policy gives them; a sweep's own rhythm moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from policies.calendars import Calendar, later_working, working_s

if TYPE_CHECKING:
    from policies.document import Deadline

PUNCTUAL: Final = timedelta(minutes=15)
"""Working time by which a rung may fire after its instant and still count as fired then: a few sweeps."""

PUNCTUAL_SHARE: Final = 0.1
"""The same as a share of the time until the rung after it; the smaller of the two holds."""


class RungKind(StrEnum):
    """What a rung does."""

    REMIND = "remind"
    ESCALATE = "escalate"
    FINALLY = "finally"


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung: `after` is the working time since the wait began at which it fires, if no rung before it was late.

    `to` is the group that an escalation adds, `outcome` (`reject` or `request_changes`) how the last rung ends it.
    """

    number: int
    kind: RungKind
    after: timedelta
    to: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class FiredRung:
    """A rung that has fired: when it was to, and when it did."""

    number: int
    kind: RungKind
    planned_at: datetime
    fired_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """The rung that comes next, and when."""

    rung: Rung
    at: datetime


def ladder_of(deadline: Deadline, calendar: Calendar) -> tuple[Rung, ...]:
    """The rungs of a deadline in the order in which they fire; the last one ends the wait, and never by approval.

    Reminders come at their shares of `within`; what comes first of the rest is due when `within` is over.
    """
    within = timedelta(seconds=calendar.seconds(deadline.within))
    rungs = [Rung(number, RungKind.REMIND, within * share) for number, share in enumerate(deadline.remind)]
    after = within
    for escalation in deadline.escalate:
        rungs.append(Rung(len(rungs), RungKind.ESCALATE, after, to=escalation.to))
        after += timedelta(seconds=calendar.seconds(escalation.within))
    return (*rungs, Rung(len(rungs), RungKind.FINALLY, after, outcome=deadline.outcome))


def next_rung(
    rungs: Sequence[Rung], calendar: Calendar, started_at: datetime, fired: Sequence[FiredRung]
) -> PlannedRung | None:
    """The rung after those that have fired, and the instant for it; None only after one that ended the wait.

    `started_at` is when the wait began, `fired` are its rungs so far in their order. Where more have fired than the
    ladder has, the outcome is still to come, at its instant: no wait is without an end.
    """
    rung = next(iter(_to_come(rungs, fired)), None)
    return None if rung is None else PlannedRung(rung, _planned_at(rungs, calendar, started_at, fired, rung))


def due_by(
    rungs: Sequence[Rung], calendar: Calendar, started_at: datetime, fired: Sequence[FiredRung]
) -> datetime | None:
    """When the time of those who are asked now is over: at the next rung that is no reminder; None after the last."""
    rung = next((one for one in _to_come(rungs, fired) if one.kind is not RungKind.REMIND), None)
    return None if rung is None else _planned_at(rungs, calendar, started_at, fired, rung)


def fire(planned: PlannedRung, at: datetime) -> FiredRung:
    """The planned rung as one that fired at this instant."""
    return FiredRung(planned.rung.number, planned.rung.kind, planned.at, at)


def _to_come(rungs: Sequence[Rung], fired: Sequence[FiredRung]) -> Sequence[Rung]:
    if any(one.kind is RungKind.FINALLY for one in fired):
        return ()
    return rungs[len(fired) :] or (replace(rungs[-1], number=len(fired)),)


def _planned_at(
    rungs: Sequence[Rung], calendar: Calendar, started_at: datetime, fired: Sequence[FiredRung], rung: Rung
) -> datetime:
    """Counted from the last rung that was late, or from the beginning."""
    for one in reversed(fired[: len(rungs) - 1]):
        to_next = rungs[one.number + 1].after - rungs[one.number].after
        late = timedelta(seconds=working_s(calendar, one.planned_at, one.fired_at))
        if late > min(PUNCTUAL, to_next * PUNCTUAL_SHARE):
            return later_working(calendar, one.fired_at, rung.after - rungs[one.number].after)
    return later_working(calendar, started_at, rung.after)
