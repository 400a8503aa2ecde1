"""Verifying reviews: what each asks about, and which run with which form each round was parked as."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa

from ledger import tables
from ledger.told_events import Mismatch, details_of, streamed


def review_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """Gates and versions in reviews, and parked rounds, that the events do not tell, or tell otherwise."""
    yield from _contents(connection)
    yield from _rounds(connection)


def _contents(connection: sa.Connection) -> Iterator[Mismatch]:
    events, gates, carried, held = tables.events, tables.gates, tables.review_gates, tables.review_versions
    told = {}
    query = sa.select(events.c.version_id, events.c.body).where(events.c.action == "open_review")
    for row in streamed(connection, query.order_by(events.c.seq)):
        details = details_of(row.body)
        told[details.get("review"), details.get("position")] = (row.version_id, details.get("stage"))
    at_gates = sa.select(carried.c.review_id, carried.c.position, gates.c.version_id, gates.c.stage).join(
        gates, gates.c.gate_id == carried.c.gate_id
    )
    by_itself = sa.select(
        held.c.review_id, held.c.position, held.c.version_id, tables.reviews.c.purpose.label("stage")
    ).join(tables.reviews, tables.reviews.c.review_id == held.c.review_id)
    for table, rows in (("review_gates", at_gates), ("review_versions", by_itself)):
        for row in streamed(connection, rows.order_by(sa.text("1, 2"))):
            if told.pop((row.review_id, row.position), None) != (row.version_id, row.stage):
                yield Mismatch(table, f"{row.review_id} {row.position}", "no event tells that it asks about this")
    for review_id, position in told:
        yield Mismatch("reviews", f"{review_id} {position}", "an event tells that it asks about what is not recorded")


def _rounds(connection: sa.Connection) -> Iterator[Mismatch]:
    events, parkings = tables.events, tables.parkings
    told = {}
    query = sa.select(events.c.body).where(events.c.action == "park_review").order_by(events.c.seq)
    for row in streamed(connection, query):
        details = details_of(row.body)
        told[details.get("review"), details.get("round")] = (details.get("flow_run"), details.get("basis"))
    parked = sa.select(parkings).where(parkings.c.flow_run_id.is_not(None))
    for row in streamed(connection, parked.order_by(parkings.c.review_id, parkings.c.round)):
        flow_run, basis = told.pop((row.review_id, row.round), (None, None))
        shown = hashlib.sha256(str(row.basis).encode()).hexdigest()
        if flow_run != row.flow_run_id or basis not in (None, shown):  # an earlier version did not tell the basis
            yield Mismatch("parkings", f"{row.review_id} {row.round}", "no event tells that it was parked like this")
    for review_id, number in told:
        yield Mismatch("parkings", f"{review_id} {number}", "an event tells a parked round that is not recorded")
