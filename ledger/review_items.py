"""What is asked about in a review: each version as its reviewers must see it, read from the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.custody import present_custody_id
from ledger.transaction import batches
from policies.clearance_codes import only_waits, waived_codes

QUARANTINE: Final = "quarantine"
"""Purpose, and stage, of reviews of what is held in quarantine."""
CHANGES: Final = "changes_requested"
"""Purpose, and stage, of reviews that ask who submitted a version what becomes of the changes that were requested."""


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One gate of a review: the version as a reviewer must see it, and how far its gate is.

    In a review of what is held or was sent back there is no gate: `gate_id` is the version's id there.
    """

    position: int
    gate_id: int
    version_id: int
    number: int
    round: int
    bucket: str
    key: str
    sha256: str
    size_bytes: int
    state: str
    outcome: str | None
    quorum: int
    approvals: int
    kind: str
    media_type: str
    label: str | None
    score: float | None
    margin: float | None
    second_label: str | None
    abstained: str | None
    clearance: str
    reasons: tuple[Mapping[str, str], ...]
    thumbnail: str | None
    text: str | None
    custody_bucket: str
    custody_key: str
    custody_version: str | None
    basis: str
    findings: tuple[str, ...] = ()
    """In quarantine: codes of what a release overrides, by their names in the policy."""
    step: int = 0
    """Of its gate: 0 is the first; a later one opens when those before have passed."""
    risk: float | None = None
    inspected: Mapping[str, Any] = field(default_factory=dict)
    """Everything that inspection found in the bytes."""
    held_because: str | None = None
    """In quarantine: what was found, in words. Sent back by a deadline: which."""
    signature: str = "none"
    """What a decision is signed with here: `totp`, a code of the person's authenticator, or `none`."""
    blocked: bool = False
    """Whether its rights block, at the gate that answers for them: there it is waived, if that may be."""
    waives: tuple[str, ...] = ()
    """Codes of the findings that a waiver takes upon itself, at that gate; none where they cannot be waived."""
    asked: tuple[str, ...] = ()
    """Sent back: what the deciding reviewers said, in their words, oldest first."""

    @property
    def is_open(self) -> bool:
        """Whether a decision still counts here."""
        return self.outcome is None


def items_of_reviews(
    connection: sa.Connection, review_ids: Sequence[int], purpose: str
) -> dict[int, tuple[ReviewedItem, ...]]:
    """The items of reviews of one purpose, by position."""
    if not review_ids:
        return {}
    t = tables
    at_gates = purpose == "gate"
    carried = t.review_gates if at_gates else t.review_versions
    query = sa.select(
        t.versions.c.version_id,
        t.versions.c.number,
        t.versions.c.sha256,
        t.versions.c.size_bytes,
        t.versions.c.state,
        t.assets.c.bucket,
        t.assets.c.key,
        t.screenings.c.kind,
        t.screenings.c.label,
        t.screenings.c.score,
        t.screenings.c.clearance,
        t.screenings.c.route,
        t.verdicts.c.margin,
        t.verdicts.c.second_label,
        t.verdicts.c.risk,
        t.verdicts.c.abstained,
        t.clearances.c.reasons,
        t.clearances.c.digest,
        t.custody.c.bucket.label("custody_bucket"),
        t.custody.c.key.label("custody_key"),
        t.custody.c.object_version.label("custody_version"),
        carried.c.review_id,
        carried.c.position,
        *(_gate_columns() if at_gates else _held_columns()),
    ).select_from(carried)
    if not at_gates:
        of_round = t.events.c.round  # a version that was reopened is in a later one
        query = query.join(t.versions, t.versions.c.version_id == t.review_versions.c.version_id)
        query = query.join(t.events, t.events.c.seq == t.review_versions.c.since_seq)
    else:
        of_round = t.gates.c.round
        query = query.join(t.gates, t.gates.c.gate_id == t.review_gates.c.gate_id)
        query = query.join(t.versions, t.versions.c.version_id == t.gates.c.version_id)
    query = (
        query.join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
        .join(
            t.screenings,
            sa.and_(t.screenings.c.version_id == t.versions.c.version_id, t.screenings.c.round == of_round),
        )
        .join(t.custody, t.custody.c.custody_id == present_custody_id(t.versions.c.version_id))
        .outerjoin(t.verdicts, t.verdicts.c.verdict_id == t.screenings.c.verdict_id)
        .outerjoin(t.clearances, t.clearances.c.clearance_id == t.screenings.c.clearance_id)
        .order_by(carried.c.review_id, carried.c.position)
    )
    rows: list[Any] = []
    for batch in batches(review_ids):
        rows += connection.execute(query.where(carried.c.review_id.in_(batch))).all()
    inspected = inspections_by_content(connection, [row.sha256 for row in rows])
    asked = _asked(connection, [row.version_id for row in rows]) if purpose == CHANGES else {}
    items: dict[int, list[ReviewedItem]] = {}
    for row in rows:
        item = _item(row, inspected.get(row.sha256), asked.get((row.version_id, row.round), ()))
        items.setdefault(row.review_id, []).append(item)
    return {review_id: tuple(ones) for review_id, ones in items.items()}


def _gate_columns() -> list[sa.ColumnElement[Any]]:
    gates, decisions = tables.gates, tables.decisions
    approvals = (
        sa.select(sa.func.count())
        .where(decisions.c.gate_id == gates.c.gate_id, decisions.c.counted, decisions.c.verdict == "approve")
        .scalar_subquery()
    )
    return [
        gates.c.gate_id,
        gates.c.stage,
        gates.c.round,
        gates.c.outcome,
        gates.c.step,
        gates.c.quorum,
        approvals.label("approvals"),
        gates.c.signature,
        sa.null().label("held_because"),
    ]


def _held_columns() -> list[sa.ColumnElement[Any]]:
    """The version stands where a gate does; what left its state by another way is voided."""
    held, versions, events = tables.review_versions, tables.versions, tables.events
    still = versions.c.state_seq == held.c.since_seq
    policies = tables.policy_signatures
    of_policy = sa.exists().where(policies.c.policy_sha256 == versions.c.policy_sha256, policies.c.place == QUARANTINE)
    signed = sa.and_(tables.events.c.to_state == "quarantined", of_policy)
    return [
        held.c.version_id.label("gate_id"),
        events.c.round,
        sa.func.coalesce(held.c.outcome, sa.case((~still, "voided"))).label("outcome"),
        sa.literal(0).label("step"),
        sa.literal(1).label("quorum"),
        sa.literal(0).label("approvals"),
        sa.null().label("stage"),
        sa.case((signed, "totp"), else_="none").label("signature"),
        events.c.reason.label("held_because"),
    ]


def _asked(connection: sa.Connection, version_ids: Iterable[int]) -> dict[tuple[int, int], tuple[str, ...]]:
    """(version, round) → what those said who sent it back, with the stage at which they did; not what was erased."""
    decisions, gates, notes = tables.decisions, tables.gates, tables.notes
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for batch in batches(version_ids):
        query = (
            sa.select(gates.c.version_id, gates.c.round, gates.c.stage, notes.c.body)
            .join(gates, gates.c.gate_id == decisions.c.gate_id)
            .join(notes, notes.c.note_id == decisions.c.note_id)
            .where(
                gates.c.version_id.in_(batch),
                decisions.c.counted,
                decisions.c.verdict == "request_changes",
                notes.c.body.is_not(None),
            )
            .order_by(decisions.c.decision_id)
        )
        for row in connection.execute(query):
            place = row.version_id, row.round
            found[place] = (*found.get(place, ()), f"{row.stage}: {row.body}")
    return found


def inspections_by_content(connection: sa.Connection, sha256s: Iterable[str]) -> dict[str, Any]:
    """SHA-256 → what the inspector found that looked at these bytes last."""
    inspections = tables.inspections
    found: dict[str, Any] = {}
    for batch in batches(sha256s):
        query = sa.select(inspections).where(inspections.c.sha256.in_(batch)).order_by(inspections.c.inspected_at)
        found.update({row.sha256: row for row in connection.execute(query)})
    return found


def rights_block(route: str, stage: str, clearance: str, codes: Collection[str]) -> bool:
    """Whether a screening found that rights block and that this stage answers for them; `route` is its JSON.

    `codes` are those of the reasons. An embargo alone blocks no decision: what is approved waits for its day.
    """
    if clearance == "cleared" or only_waits(clearance, codes):  # by far the most: their routes need not be read
        return False
    blocked = json.loads(route).get("blocked") or {}
    return bool(blocked.get("result")) and blocked.get("gate") == stage


def _item(row: Any, inspected: Any, asked: tuple[str, ...]) -> ReviewedItem:
    basis = {
        "sha256": row.sha256,
        "round": row.round,
        "label": row.label,
        "score": row.score,
        "clearance": row.clearance,
        "digest": row.digest,
    }
    body = json.loads(inspected.body) if inspected else {}
    reasons = tuple(json.loads(row.reasons)) if row.reasons else ()
    codes = [one["code"] for one in reasons]
    blocked = row.stage is not None and rights_block(row.route, row.stage, row.clearance, codes)
    return ReviewedItem(
        position=row.position,
        gate_id=row.gate_id,
        version_id=row.version_id,
        number=row.number,
        round=row.round,
        bucket=row.bucket,
        key=row.key,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        state=row.state,
        outcome=row.outcome,
        quorum=row.quorum,
        approvals=row.approvals,
        kind=row.kind,
        media_type=inspected.media_type if inspected else "application/octet-stream",
        label=row.label,
        score=row.score,
        margin=row.margin,
        second_label=row.second_label,
        abstained=row.abstained,
        clearance=row.clearance,
        reasons=reasons,
        thumbnail=inspected.thumbnail if inspected else None,
        text=body.get("text"),
        custody_bucket=row.custody_bucket,
        custody_key=row.custody_key,
        custody_version=row.custody_version,
        basis=hashlib.sha256(canonical_json(basis)).hexdigest(),
        findings=tuple(json.loads(row.route).get("findings") or ()) if row.held_because else (),
        step=row.step,
        risk=row.risk,
        inspected=body,
        held_because=row.held_because,
        signature=row.signature,
        blocked=blocked,
        waives=waived_codes(row.clearance, codes) if blocked else (),
        asked=asked,
    )
