"""Forget a person of the roster: check that the roster file lets them go, erase, have open gates follow."""

from __future__ import annotations

from ledger.errors import StillInRoster
from ledger.forget import Forgetting, forget_person, let_go, plan_forgetting
from policies.roster import load_roster
from tasks.resources import Resources

ACTOR = "operator:people"


def look_up_person(resources: Resources, handle: str) -> Forgetting:
    """What forgetting would erase; nothing is changed.

    Raises `UnknownName`, and `StillInRoster` while the roster file names the handle: the next import would bring the
    name back.
    """
    with resources.ledger.reading() as connection:
        plan = plan_forgetting(connection, handle)
    roster = resources.settings.roster
    if roster is not None and roster.is_file():
        named = load_roster(roster.read_text(encoding="utf-8"), str(roster))
        if handle in {one.handle for one in named.people}:
            raise StillInRoster(handle, roster)
    return plan


def forget(resources: Resources, handle: str) -> tuple[Forgetting, bool]:
    """Erase who a person was, and let open gates follow; returns what was erased and whether the files let go of it.

    Raises what `look_up_person` raises, and `LedgerBusy` and `LedgerUnreachable` (transient).
    """
    look_up_person(resources, handle)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        done = forget_person(tx, handle)
    is_gone = let_go(resources.ledger)  # first: whatever the gates need may be done by the next sweep as well
    from tasks.follow_roster import follow_roster  # the rights check that it needs takes long to import

    follow_roster(resources, ACTOR)
    return done, is_gone
