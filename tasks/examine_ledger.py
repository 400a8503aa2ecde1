"""A check-up of the ledger: its schema, the end of its trail, and what waits in it for too long."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ledger.errors import LedgerSchemaMismatch
from ledger.examine import (
    damaged_tail,
    late_effects,
    late_rounds,
    people_without_authenticator,
    reviews_without_deadline,
)
from ledger.policy_store import active_policy
from ledger.schema import plan_upgrade
from tasks.findings import Finding, some
from tasks.follow_roster import short_gates
from tasks.resources import Resources

EFFECTS_WITHIN: Final = timedelta(hours=1)
PARKED_WITHIN: Final = timedelta(minutes=30)


def examine_ledger(resources: Resources) -> list[Finding]:
    """What is wrong with the ledger; one of another schema is not looked into any further."""
    try:
        plan = plan_upgrade(resources.ledger)
    except LedgerSchemaMismatch as error:
        return [Finding("ledger", str(error), "Nothing can run on it.", "Use the newer Signoff.")]
    if plan.before != plan.after:
        what = f"the ledger is at schema {plan.before or 'none'}, this Signoff needs {plan.after}"
        return [Finding("ledger", what, "Nothing can run on it.", "`signoff ledger upgrade`")]
    now = resources.clock.now()
    found: list[Finding] = []
    with resources.ledger.reading() as connection:
        damage = damaged_tail(connection)
        effects = late_effects(connection, now - EFFECTS_WITHIN)
        rounds = late_rounds(connection, now - PARKED_WITHIN)
        endless = reviews_without_deadline(connection)
        unsigned = people_without_authenticator(connection)
        policy = active_policy(connection)
    if damage:
        why = "The audit trail is not what was recorded."
        found.append(Finding("ledger", damage, why, "Touch nothing; `signoff audit verify` names the first event."))
    if policy is None:
        found.append(Finding("ledger", "no policy is active", "Nothing can be routed.", "`signoff policy activate`"))
    if effects:
        reason = next((one.last_error for one in effects if one.last_error), "nobody has tried to carry them out")
        what = f"{len(effects)} effects are open for more than an hour: {some([one.key for one in effects])} ({reason})"
        why = "What was decided has not happened in storage."
        found.append(Finding("ledger", what, why, "`signoff show KEY` says what holds each back.", repairable=True))
    if rounds:
        what = f"reviews {some(rounds)} wait to be parked for more than half an hour"
        found.append(
            Finding("reviews", what, "Nobody can answer them.", "Look at `enforce-deadlines`.", repairable=True)
        )
    if endless:
        what = f"reviews {some(endless)} have no due time"
        found.append(
            Finding("reviews", what, "Nothing would ever end them.", "Decide them; see the policy's deadline.")
        )
    if short := short_gates(resources):
        what = f"too few people may decide {some([f'{key} at {stage}' for stage, key in short])}"
        found.append(Finding("reviews", what, "Its quorum is out of reach.", "Add people to the group in the roster."))
    if unsigned:
        what = f"{len(unsigned)} people are asked to sign and have no authenticator: numbers {some(unsigned)}"
        found.append(Finding("reviews", what, "Their answers will be refused.", "`signoff people enrol HANDLE`"))
    return found
