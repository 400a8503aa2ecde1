"""Recording what screening found, and the first step it leads to: quarantine, automatic approval, or review."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.effects import open_effects
from ledger.gates import GateTerms, Route, open_gates
from ledger.tables import to_micros
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, expect, move, supersede_older
from policies.lifecycle import Action, State


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """What an inspector found in some bytes. `body` is the whole inspection as JSON."""

    sha256: str
    inspector: str
    media_type: str
    kind: str
    failure: str | None
    perceptual_hash: str | None
    thumbnail: str | None
    body: str


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What a classifier said of some bytes, or why it abstained."""

    sha256: str
    classifier: str
    model: str
    revision: str
    label_set: str
    label: str | None
    score: float | None
    margin: float | None
    second_label: str | None
    risk: float | None
    calibration: str | None
    abstained: str | None


@dataclass(frozen=True, slots=True)
class ClearanceRecord:
    """What the rights check said of a version for one intended use."""

    version_id: int
    intent: str
    status: str
    reasons: str
    deciding: str
    digest: str
    next_change_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedClearance:
    """The number of a recorded clearance, and the digest of all that it says."""

    clearance_id: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Recheck:
    """A clearance that is another one than before; round and policy are the version's."""

    record: ClearanceRecord
    round: int
    policy_sha256: str
    status_before: str
    digest_before: str


@dataclass(frozen=True, slots=True)
class Screened:
    """A version that went through screening: its facts, the route they gave, and what follows.

    `outcome` is `quarantine`, `automatic` or `review`; `rule` names the automatic rule or the quarantine's reason.
    """

    version_id: int
    round: int
    policy_sha256: str
    kind: str
    clearance: str
    facts: Mapping[str, Any]
    explanation: str
    outcome: str
    rule: str | None = None
    gates: tuple[GateTerms, ...] = ()
    label: str | None = None
    score: float | None = None
    verdict_key: tuple[str, str, str, str, str] | None = None
    """(sha256, classifier, model, revision, label_set) of the verdict that the facts hold."""


def record_inspections(tx: Transaction, records: Iterable[InspectionRecord]) -> None:
    """Keep inspections by content and inspector; the same ones again are left as they are."""
    unique = {(one.sha256, one.inspector): one for one in records}
    known = _known_inspections(tx, unique)
    tx.insert(
        tables.inspections,
        [
            {name: getattr(one, name) for name in InspectionRecord.__dataclass_fields__}
            | {"inspected_at": tx.origin.at}
            for key, one in unique.items()
            if key not in known
        ],
    )


def record_verdicts(tx: Transaction, records: Iterable[VerdictRecord]) -> None:
    """Keep verdicts by content, model revision and label set; the same ones again are left as they are."""
    unique = {_verdict_key(one): one for one in records}
    known = verdict_ids(tx.connection, (key[0] for key in unique))
    fresh = [one for key, one in unique.items() if key not in known]
    tx.insert(
        tables.verdicts,
        [
            {name: getattr(one, name) for name in VerdictRecord.__dataclass_fields__}
            | {"verdict_id": verdict_id, "classified_at": tx.origin.at}
            for verdict_id, one in zip(tx.number(tables.verdicts, len(fresh)), fresh, strict=True)
        ],
    )


def record_clearances(tx: Transaction, records: Sequence[ClearanceRecord]) -> dict[int, RecordedClearance]:
    """Record what the rights check says now; returns what was recorded by version. Earlier ones stay as history."""
    ids = tx.number(tables.clearances, len(records))
    rows = [
        {name: getattr(one, name) for name in ClearanceRecord.__dataclass_fields__}
        | {"clearance_id": clearance_id, "checked_at": tx.origin.at}
        for clearance_id, one in zip(ids, records, strict=True)
    ]
    tx.insert(tables.clearances, rows)
    return {
        one.version_id: RecordedClearance(clearance_id, clearance_sha256(one))
        for clearance_id, one in zip(ids, records, strict=True)
    }


def record_rechecks(tx: Transaction, changes: Sequence[Recheck]) -> None:
    """Record clearances that have changed since they were looked at last, each with an event that tells both."""
    recorded = record_clearances(tx, [one.record for one in changes])
    tx.append(
        Draft(
            "recheck_rights",
            version_id=one.record.version_id,
            round=one.round,
            policy_sha256=one.policy_sha256,
            details={
                "before": {"status": one.status_before, "digest": one.digest_before},
                "status": one.record.status,
                "digest": one.record.digest,
                "clearance": recorded[one.record.version_id].sha256,
            },
        )
        for one in changes
    )


def clearance_sha256(one: Any) -> str:
    """A digest of all that a rights check said: of a `ClearanceRecord`, or of a row with its time as stored."""
    at = to_micros(one.next_change_at) if isinstance(one.next_change_at, datetime) else one.next_change_at
    said = f"{one.intent}\n{one.status}\n{one.reasons}\n{one.deciding}\n{one.digest}\n{at}"
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def screening_sha256(route: str, clearance: str | None) -> str:
    """A digest of a route and of the clearance that it rests on, by its own digest."""
    return hashlib.sha256(f"{route}\n{clearance}".encode(errors="surrogatepass")).hexdigest()


def told_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those facts that an event tells: what is empty, false or zero goes without saying."""
    return {name: value for name, value in facts.items() if value not in (None, [], False)}


def record_screenings(
    tx: Transaction, screened: Sequence[Screened], clearances: Mapping[int, RecordedClearance]
) -> None:
    """Record facts and routes of submitted versions and take the step they lead to, all in this transaction.

    An automatic approval opens its publish effect; a version that leaves screening without quarantine supersedes the
    older ones of its asset. Raises `StaleVersion` when a version was moved by somebody else meanwhile.
    """
    verdicts = verdict_ids(tx.connection, (one.verdict_key[0] for one in screened if one.verdict_key))
    present = expect(tx.connection, ((one.version_id, State.SUBMITTED, one.round) for one in screened))
    _replace_screenings(tx, screened, clearances, verdicts)
    quarantined = [one for one in screened if one.outcome == "quarantine"]
    automatic = [one for one in screened if one.outcome == "automatic"]
    reviewed = [one for one in screened if one.outcome == "review"]
    move(
        tx,
        [
            Move(
                one.version_id,
                Action.QUARANTINE,
                State.SUBMITTED,
                round=one.round,
                rule=(one.rule or "").partition(":")[0] or None,
                reason=one.rule,
                details=_seen(one, clearances),
            )
            for one in quarantined
        ],
    )
    move(
        tx,
        [
            Move(
                one.version_id,
                Action.APPROVE,
                State.SUBMITTED,
                round=one.round,
                rule=one.rule,
                policy_sha256=one.policy_sha256,
                details=_seen(one, clearances),
            )
            for one in automatic
        ],
    )
    if reviewed:
        open_gates(
            tx, [Route(one.version_id, one.round, one.gates, _seen(one, clearances)) for one in reviewed], present
        )
    ended = set(supersede_older(tx, (one.version_id for one in (*automatic, *reviewed))))
    published = [one.version_id for one in automatic if one.version_id not in ended]
    if published:
        open_effects(tx, "publish", published)


def verdict_ids(connection: sa.Connection, sha256s: Iterable[str]) -> dict[tuple[str, str, str, str, str], int]:
    """Verdict ids by (sha256, classifier, model, revision, label_set)."""
    verdicts = tables.verdicts
    found: dict[tuple[str, str, str, str, str], int] = {}
    for batch in batches(sha256s):
        for row in connection.execute(sa.select(verdicts).where(verdicts.c.sha256.in_(batch))):
            found[_verdict_key(row)] = row.verdict_id
    return found


def _verdict_key(one: Any) -> tuple[str, str, str, str, str]:
    return (one.sha256, one.classifier, one.model, one.revision, one.label_set)


def _known_inspections(tx: Transaction, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    inspections = tables.inspections
    known: set[tuple[str, str]] = set()
    for batch in batches(key[0] for key in keys):
        query = sa.select(inspections.c.sha256, inspections.c.inspector).where(inspections.c.sha256.in_(batch))
        known.update((row.sha256, row.inspector) for row in tx.connection.execute(query))
    return known


def _replace_screenings(
    tx: Transaction,
    screened: Sequence[Screened],
    clearances: Mapping[int, RecordedClearance],
    verdicts: Mapping[tuple[str, str, str, str, str], int],
) -> None:
    table = tables.screenings
    for batch in batches(one.version_id for one in screened):
        known = tx.connection.execute(sa.select(table.c.version_id, table.c.round).where(table.c.version_id.in_(batch)))
        redone = {(row.version_id, row.round) for row in known} & {(one.version_id, one.round) for one in screened}
        for version_id, number in redone:
            tx.connection.execute(table.delete().where(table.c.version_id == version_id, table.c.round == number))
    tx.insert(
        table,
        [
            {
                "version_id": one.version_id,
                "round": one.round,
                "policy_sha256": one.policy_sha256,
                "kind": one.kind,
                "label": one.label,
                "score": one.score,
                "clearance": one.clearance,
                "verdict_id": verdicts[one.verdict_key] if one.verdict_key else None,
                "clearance_id": cleared.clearance_id if (cleared := clearances.get(one.version_id)) else None,
                "facts": canonical_json(dict(one.facts)).decode(),
                "route": one.explanation,
                "screened_at": tx.origin.at,
            }
            for one in screened
        ],
    )


def _seen(one: Screened, clearances: Mapping[int, RecordedClearance]) -> dict[str, Any]:
    """What decided, kept in the audit trail: the facts, whose verdict is among them, and a digest of all the rest."""
    cleared = clearances.get(one.version_id)
    sha256 = screening_sha256(one.explanation, cleared.sha256 if cleared else None)
    seen = {"facts": told_facts(one.facts), "screening": sha256}
    if one.verdict_key is None:
        return seen
    _, classifier, model, revision, label_set = one.verdict_key
    verdict = {"classifier": classifier, "model": model, "revision": revision, "label_set": label_set}
    return {**seen, "verdict": verdict}
