"""Bring the ledger to this version's schema, and into it the policy and roster that the settings name."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.schema import upgrade_ledger
from tasks.activate_policy import Activation, bring_in_policy
from tasks.errors import SettingsUnfinished
from tasks.resources import Resources
from tasks.settings import Settings

ACTOR = "operator:up"


@dataclass(frozen=True, slots=True)
class LedgerReady:
    """What was done: the schema before and after, and what came of policy and roster (None: none are named)."""

    before: str | None
    after: str
    activation: Activation | None


def prepare_ledger(settings: Settings) -> LedgerReady:
    """Create or upgrade the ledger, import the roster, activate the first policy. Safe to repeat.

    Raises `LedgerSchemaMismatch`, `SettingsUnfinished`, and what `bring_in_policy` raises.
    """
    resources = Resources(settings)
    try:
        before, after = upgrade_ledger(resources.ledger)
        if (settings.policy is None) != (settings.roster is None):
            raise SettingsUnfinished("policy", "roster")
        activation = None
        if settings.policy is not None and settings.roster is not None:
            activation = bring_in_policy(resources, settings.policy, settings.roster, ACTOR)
            if not activation.roster.is_empty:
                from tasks.check_policy import recheck_policy
                from tasks.follow_roster import follow_roster  # the rights check that it needs takes long to import

                follow_roster(resources, ACTOR)
                if not activation.activated:  # what is activated has just been proved
                    recheck_policy(resources, ACTOR)
    finally:
        resources.close()
    return LedgerReady(before, after, activation)
