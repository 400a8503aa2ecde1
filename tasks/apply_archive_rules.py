"""Decide which versions the archive rules are due for, and open the effects that put them away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ledger.effects import open_effects
from ledger.reader import archive_candidates
from policies.archive import ArchiveRule, due_for_archive
from policies.document import PolicyDocument
from policies.facts import ARCHIVE_FACTS_SCHEMA, Use
from policies.lifecycle import TRANSITIONS, Action, State
from policies.predicates import compile_polars
from policies.rule_checks import read_predicate
from tasks.resources import Resources

ACTOR: Final = "system:apply_archive_policy"
_PUT_AWAY: Final = (Action.ARCHIVE, Action.DISPOSE)
_STATES: Final = tuple(sorted({one.from_state for one in TRANSITIONS if one.action in _PUT_AWAY}))


@dataclass(frozen=True, slots=True)
class ArchiveDue:
    """What one rule is due for: the version, the rule and its reason in words."""

    version_id: int
    rule: str
    action: str
    reason: str
    storage_class: str | None


def plan_archive(resources: Resources) -> list[ArchiveDue]:
    """What the archive rules ask for now, each version by the policy that it is pinned to. Nothing is changed."""
    with resources.ledger.reading() as connection:
        candidates = archive_candidates(connection, _STATES)
    now = resources.clock.now()
    due: list[ArchiveDue] = []
    for sha256 in dict.fromkeys(row["policy_sha256"] for row in candidates):
        policy = resources.policy(sha256)
        frame = _frame([row for row in candidates if row["policy_sha256"] == sha256])
        due.extend(
            ArchiveDue(row["version_id"], row["rule"], row["action"], row["reason"], row["storage_class"])
            for row in due_for_archive(frame, _rules(policy), now).iter_rows(named=True)
        )
    return due


def open_archive_effects(resources: Resources, due: Sequence[ArchiveDue], flow_run_id: str | None = None) -> int:
    """Open the archive effects that a plan asks for; returns how many.

    Disposals are not begun here: they need a plan that a second person has approved.
    """
    archivings = [one for one in due if one.action == Action.ARCHIVE]
    for one in archivings:
        with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
            open_effects(
                tx, "archive", [one.version_id], reason=one.reason, rule=one.rule, storage_class=one.storage_class
            )
    return len(archivings)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    schema = {name: dtype for name, dtype in ARCHIVE_FACTS_SCHEMA.items() if name != "age"}
    facts = [{**row["facts"], "version_id": row["version_id"], "state": row["state"]} for row in rows]
    frame = pl.DataFrame([{name: one.get(name) for name in schema} for one in facts], schema=schema)
    since = pl.Series("state_since", [row["state_since"] for row in rows], dtype=pl.Datetime("us", "UTC"))
    return frame.with_columns(since)


def _rules(policy: PolicyDocument) -> list[ArchiveRule]:
    return [
        ArchiveRule(
            name=rule.name,
            when=compile_polars(read_predicate(policy, rule.when, Use.ARCHIVE), unknown=False),
            event=State(rule.after.event),
            days=rule.after.days,
            action=Action(rule.action),
            storage_class=rule.storage_class,
            retain=rule.retain,
        )
        for rule in policy.archive
    ]
