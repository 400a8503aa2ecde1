"""A review as its reviewers must see it: read from the ledger, whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.errors import UnknownName
from ledger.review_items import ReviewedItem, items_of_reviews
from ledger.review_people import EligiblePerson, people_of_gates, people_of_versions
from ledger.transaction import batches


@dataclass(frozen=True, slots=True)
class Review:
    """A review in one of its rounds, whole."""

    review_id: int
    round: int
    stage: str
    collection: str
    policy_sha256: str
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    reason: str | None
    status: str
    flow_run_id: str | None
    previous_flow_run_id: str | None
    basis: Mapping[str, str]
    items: tuple[ReviewedItem, ...]
    people: tuple[EligiblePerson, ...]
    purpose: str = "gate"

    @property
    def is_of_versions(self) -> bool:
        """Whether it asks about versions themselves, held or sent back, and not at gates."""
        return self.purpose != "gate"

    @property
    def shown_items(self) -> tuple[ReviewedItem, ...]:
        """The items that the form of this round shows, decided meanwhile or not."""
        return tuple(item for item in self.items if str(item.gate_id) in self.basis)

    @property
    def open_items(self) -> tuple[ReviewedItem, ...]:
        """The items a decision still counts for."""
        return tuple(item for item in self.items if item.is_open)


def load_review(
    connection: sa.Connection, review_id: int, round_number: int | None = None, *, now: datetime | None = None
) -> Review:
    """A review in a round (its last one if not given), with its items and the people who may decide.

    `now`: in a review of versions, with those who stand in at that moment. Raises `UnknownName`.
    """
    return load_reviews(connection, [(review_id, round_number)], now=now)[0]


def load_reviews(
    connection: sa.Connection, asked: Sequence[tuple[int, int | None]], *, now: datetime | None = None
) -> list[Review]:
    """Several reviews, each in the round asked for (None: its last one), in their order; as many queries as for one.

    `now`: in reviews of versions, with those who stand in at that moment. Raises `UnknownName`.
    """
    reviews, parkings = tables.reviews, tables.parkings
    ids = sorted({review_id for review_id, _ in asked})
    found: dict[int, Any] = {}
    rounds: dict[int, list[Any]] = {}
    for batch in batches(ids):
        query = sa.select(reviews).where(reviews.c.review_id.in_(batch))
        found.update({row.review_id: row for row in connection.execute(query)})
        parked = sa.select(parkings).where(parkings.c.review_id.in_(batch))
        for row in connection.execute(parked.order_by(parkings.c.review_id, parkings.c.round)):
            rounds.setdefault(row.review_id, []).append(row)
    present = [_round(review_id, number, found, rounds) for review_id, number in asked]
    by_purpose: dict[str, list[int]] = {}
    for review_id in ids:
        by_purpose.setdefault(found[review_id].purpose, []).append(review_id)
    items: dict[int, tuple[ReviewedItem, ...]] = {}
    for purpose, together in by_purpose.items():
        items |= items_of_reviews(connection, together, purpose)
    gated = by_purpose.pop("gate", [])
    people = people_of_gates(connection, {review_id: items.get(review_id, ()) for review_id in gated})
    people |= people_of_versions(connection, [one for others in by_purpose.values() for one in others], now)
    return [
        Review(
            review_id=one.review_id,
            round=one.round,
            stage=found[one.review_id].stage,
            collection=found[one.review_id].collection,
            policy_sha256=found[one.review_id].policy_sha256,
            opened_at=found[one.review_id].opened_at,
            due_at=found[one.review_id].due_at,
            closed_at=found[one.review_id].closed_at,
            reason=one.reason,
            status=one.status,
            flow_run_id=one.flow_run_id,
            previous_flow_run_id=_earlier_run(rounds[one.review_id], one.round),
            basis=json.loads(one.basis) if one.basis else {},
            items=items.get(one.review_id, ()),
            people=people[one.review_id],
            purpose=found[one.review_id].purpose,
        )
        for one in present
    ]


def _round(review_id: int, number: int | None, found: Mapping[int, Any], rounds: Mapping[int, Sequence[Any]]) -> Any:
    chosen = [one for one in rounds.get(review_id, ()) if number in (None, one.round)]
    if review_id not in found or not chosen:
        raise UnknownName(f"there is no review {review_id} (round {number}); `signoff reviews` lists those that wait")
    return chosen[-1]


def _earlier_run(rounds: Sequence[Any], number: int) -> str | None:
    return next((one.flow_run_id for one in reversed(rounds) if one.round < number and one.flow_run_id), None)
