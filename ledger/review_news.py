"""What happened to reviews, as the audit trail tells it: for others who want to act on it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.transaction import among

_TOLD: Final = {
    "park_review": ("opened",),
    "remind": ("reminded",),
    "escalate": ("overdue", "escalated"),
    "decide": ("decided",),
    "release": ("decided",),
    "reopen": ("decided",),
    "reject": ("decided",),
    "request_changes": ("decided",),
    "close_review": ("closed",),
}
"""Action of the audit trail → what it is for a review, where it tells of one."""
_LOOKS_BACK: Final = 100_000
"""Events that are looked at, at most: what is older was for nobody."""


@dataclass(frozen=True, slots=True)
class ReviewNews:
    """One thing that happened to a review: `opened`, `decided`, `reminded`, `overdue`, `escalated` or `closed`.

    `seq` and `hash` are of the last event that tells of it; `verdicts` counts assets by verdict where it was decided.
    """

    name: str
    review_id: int
    seq: int
    hash: str
    at: datetime
    stage: str
    collection: str
    due_at: datetime | None
    round: int | None
    flow_run_id: str | None
    verdicts: Mapping[str, int]


def ledger_id(connection: sa.Connection) -> str | None:
    """What tells this ledger from others: the hash of its first event; None while there is none."""
    events = tables.events
    first = connection.scalar(sa.select(events.c.hash).where(events.c.seq == 1))
    return None if first is None else str(first)[:16]


def review_news(connection: sa.Connection, after: int | None, since: datetime) -> list[ReviewNews]:
    """What happened to reviews after the event `after`; without one, since a moment. In order; one thing once.

    What was said of many assets of a review in one moment is one thing.
    """
    events = tables.events
    last = connection.scalar(sa.select(tables.chain_head.c.seq)) or 0
    query = (
        sa.select(events.c.seq, events.c.hash, events.c.at, events.c.action, events.c.body)
        .where(events.c.seq > max(after or 0, last - _LOOKS_BACK), events.c.action.in_(list(_TOLD)))
        .order_by(events.c.seq)
    )
    if after is None:
        query = query.where(events.c.at >= since)
    return list(_news(connection, connection.execute(query)))


def _news(connection: sa.Connection, rows: Iterable[Any]) -> Iterator[ReviewNews]:
    happened: dict[tuple[datetime, int, str], tuple[Any, dict[str, Any], Counter[str]]] = {}
    for row in rows:
        details = json.loads(row.body).get("details") or {}
        if "review" not in details:
            continue
        for name in ("overdue",) if _ended(row.action, details) else _TOLD[row.action]:
            key = (row.at, int(details["review"]), name)
            verdicts = happened.pop(key, (None, None, Counter()))[2]
            verdicts.update([details.get("verdict", row.action)] if name == "decided" else [])
            happened[key] = row, details, verdicts
    reviews = _reviews(connection, {review for _, review, _ in happened})
    for (at, review, name), (row, details, verdicts) in happened.items():
        known = reviews[review]
        number: int | None = details.get("round", details.get("review_round")) if row.action in _OF_ROUNDS else None
        yield ReviewNews(
            name=name,
            review_id=review,
            seq=row.seq,
            hash=row.hash,
            at=at,
            stage=known[0].stage,
            collection=known[0].collection,
            due_at=known[0].due_at,
            round=number,
            flow_run_id=known[1].get(number or 0, known[1].get(max(known[1], default=0))),
            verdicts=dict(sorted(verdicts.items())),
        )


_OF_ROUNDS: Final = frozenset({"park_review", "decide", "close_review"})


def _ended(action: str, details: Mapping[str, Any]) -> bool:
    """Whether a deadline did this, and no person."""
    return "rung" in details and action in ("reject", "request_changes")


def _reviews(connection: sa.Connection, review_ids: set[int]) -> dict[int, tuple[Any, dict[int, str]]]:
    """Review → (its row, its round → flow run)."""
    reviews, parkings = tables.reviews, tables.parkings
    ids = sorted(review_ids)
    found: dict[int, tuple[Any, dict[int, str]]] = {
        row.review_id: (row, {})
        for row in connection.execute(sa.select(reviews).where(among(connection, reviews.c.review_id, ids)))
    }
    query = sa.select(parkings.c.review_id, parkings.c.round, parkings.c.flow_run_id).where(
        among(connection, parkings.c.review_id, ids), parkings.c.flow_run_id.is_not(None)
    )
    for row in connection.execute(query):
        found[row.review_id][1][row.round] = row.flow_run_id
    return found
