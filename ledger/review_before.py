"""What reviewers saw of an asset before, and what was said then: read for all items of a review at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.review_items import ReviewedItem, inspections_by_content
from ledger.transaction import batches

MOST_COMMENTS: Final = 6
"""Comments of one asset that are given, the last ones."""


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """The version, and its round, that people were last asked about, or that was published without asking.

    `outcome` is `published`, `changes_requested` or `rejected`, else the state it is in. `inspected` is what inspection
    found, `thumbnail` the key of its small picture in the workspace.
    """

    version_id: int
    number: int
    round: int
    sha256: str
    size_bytes: int
    outcome: str
    kind: str
    label: str | None
    clearance: str
    media_type: str
    thumbnail: str | None
    inspected: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaidBefore:
    """A comment on an earlier version, in an earlier round, or at an earlier step: never of a gate that is open.

    Who said it is left out: a form in Prefect would keep the name of a person who is forgotten meanwhile.
    """

    number: int
    round: int
    stage: str
    verdict: str
    counted: bool
    words: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """What was before one item of a review."""

    seen: SeenBefore | None = None
    said: tuple[SaidBefore, ...] = ()


def has_past(item: ReviewedItem) -> bool:
    """Whether anything can have been seen or said before: a first version, round and step has none."""
    return item.number > 1 or item.round > 1 or item.step > 0


def read_past(connection: sa.Connection, items: Iterable[ReviewedItem]) -> dict[int, Past]:
    """Version id → what was before, of those items that can have a past; nothing is asked where none has.

    The items are those of one review: a version stands in it once.
    """
    asked = {item.version_id: item for item in items if has_past(item)}
    if not asked:
        return {}
    said = _said(connection, asked)
    seen = _seen(connection, asked)
    return {version_id: Past(seen.get(version_id), said.get(version_id, ())) for version_id in asked}


def _seen(connection: sa.Connection, asked: Mapping[int, ReviewedItem]) -> dict[int, SeenBefore]:
    latest: dict[int, Any] = {}
    for batch in batches(asked):
        for row in connection.execute(_screenings_of_assets(batch)):
            item = asked[row.of_version]
            if row.version_id != item.version_id or row.round < item.round:
                latest[row.of_version] = row  # they come in order: the last one stays
    inspections = inspections_by_content(connection, {row.sha256 for row in latest.values()})
    return {version_id: _seen_before(row, inspections.get(row.sha256)) for version_id, row in latest.items()}


def _screenings_of_assets(version_ids: Iterable[int]) -> sa.Select[Any]:
    """Screenings that people were asked about or that were published, of these versions' assets, in order."""
    t = tables
    mine, other, screenings, gates = t.versions.alias("mine"), t.versions.alias("other"), t.screenings, t.gates
    of_round = sa.and_(gates.c.version_id == screenings.c.version_id, gates.c.round == screenings.c.round)
    bundled = (
        sa.select(sa.literal(1))
        .select_from(gates.join(t.review_gates, t.review_gates.c.gate_id == gates.c.gate_id))
        .where(of_round)
    )
    held = sa.select(sa.literal(1)).where(t.review_versions.c.version_id == screenings.c.version_id)
    published = sa.select(sa.literal(1)).where(
        t.effects.c.version_id == screenings.c.version_id,
        t.effects.c.kind == "publish",
        t.effects.c.status == "done",
    )
    refused = sa.select(sa.func.min(gates.c.outcome)).where(
        of_round, gates.c.outcome.in_(("changes_requested", "rejected"))
    )
    return (
        sa.select(
            mine.c.version_id.label("of_version"),
            other.c.version_id,
            other.c.number,
            other.c.sha256,
            other.c.size_bytes,
            other.c.state,
            screenings.c.round,
            screenings.c.kind,
            screenings.c.label,
            screenings.c.clearance,
            refused.scalar_subquery().label("refused"),
        )
        .select_from(mine)
        .join(other, sa.and_(other.c.asset_id == mine.c.asset_id, other.c.arrived_seq <= mine.c.arrived_seq))
        .join(screenings, screenings.c.version_id == other.c.version_id)
        .where(
            mine.c.version_id.in_(list(version_ids)),
            sa.or_(bundled.exists(), held.exists(), published.exists()),
        )
        .order_by(screenings.c.screened_at, other.c.number, screenings.c.round)
    )


def _seen_before(row: Any, inspected: Any) -> SeenBefore:
    return SeenBefore(
        version_id=row.version_id,
        number=row.number,
        round=row.round,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        outcome="published" if row.state == "published" else row.refused or row.state,
        kind=row.kind,
        label=row.label,
        clearance=row.clearance,
        media_type=inspected.media_type if inspected else "application/octet-stream",
        thumbnail=inspected.thumbnail if inspected else None,
        inspected=json.loads(inspected.body) if inspected else {},
    )


def _said(connection: sa.Connection, asked: Mapping[int, ReviewedItem]) -> dict[int, tuple[SaidBefore, ...]]:
    found: dict[int, list[SaidBefore]] = {}
    for batch in batches(asked):
        for row in connection.execute(_comments_at_gates(batch)):
            item = asked[row.of_version]
            is_present = (row.version_id, row.round) == (item.version_id, item.round)
            if not is_present or row.step < item.step:  # what stands beside it is not told: people judge by themselves
                found.setdefault(row.of_version, []).append(_comment(row))
        for row in connection.execute(_comments_on_held(batch)):
            found.setdefault(row.of_version, []).append(_comment(row))
    return {
        version_id: tuple(sorted(comments, key=lambda one: one.said_at)[-MOST_COMMENTS:])
        for version_id, comments in found.items()
    }


def _comments_at_gates(version_ids: Iterable[int]) -> sa.Select[Any]:
    t = tables
    mine, other, gates, decisions = t.versions.alias("mine"), t.versions.alias("other"), t.gates, t.decisions
    return (
        sa.select(
            mine.c.version_id.label("of_version"),
            other.c.version_id,
            other.c.number,
            gates.c.round,
            gates.c.stage,
            gates.c.step,
            decisions.c.verdict,
            decisions.c.counted,
            decisions.c.decided_at,
            t.notes.c.body,
        )
        .select_from(mine)
        .join(other, sa.and_(other.c.asset_id == mine.c.asset_id, other.c.arrived_seq <= mine.c.arrived_seq))
        .join(gates, gates.c.version_id == other.c.version_id)
        .join(decisions, decisions.c.gate_id == gates.c.gate_id)
        .join(t.notes, t.notes.c.note_id == decisions.c.note_id)
        .where(mine.c.version_id.in_(list(version_ids)), gates.c.outcome.is_not(None), t.notes.c.body.is_not(None))
    )


def _comments_on_held(version_ids: Iterable[int]) -> sa.Select[Any]:
    """What was said of versions in quarantine or sent back, once that had an outcome."""
    t = tables
    mine, other, said = t.versions.alias("mine"), t.versions.alias("other"), t.held_decisions
    return (
        sa.select(
            mine.c.version_id.label("of_version"),
            other.c.version_id,
            other.c.number,
            other.c.round,
            t.reviews.c.stage,
            said.c.verdict,
            said.c.counted,
            said.c.decided_at,
            t.notes.c.body,
        )
        .select_from(mine)
        .join(other, sa.and_(other.c.asset_id == mine.c.asset_id, other.c.arrived_seq <= mine.c.arrived_seq))
        .join(said, said.c.version_id == other.c.version_id)
        .join(t.reviews, t.reviews.c.review_id == said.c.review_id)
        .join(
            t.review_versions,
            sa.and_(
                t.review_versions.c.review_id == said.c.review_id,
                t.review_versions.c.version_id == said.c.version_id,
            ),
        )
        .join(t.notes, t.notes.c.note_id == said.c.note_id)
        .where(
            mine.c.version_id.in_(list(version_ids)),
            t.review_versions.c.outcome.is_not(None),
            t.notes.c.body.is_not(None),
        )
    )


def _comment(row: Any) -> SaidBefore:
    return SaidBefore(row.number, row.round, row.stage, row.verdict, row.counted, row.body, row.decided_at)
