"""Verifying what rights and screening rest on: facts, routes, clearances and grants are what the events tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.grants import grants_sha256
from ledger.screen import clearance_sha256, screening_sha256, told_facts
from ledger.told_events import Mismatch, details_of, plain, side_by_side, streamed

_TOLD: Final = ("open_gates", "approve", "quarantine")
"""Steps out of screening: each tells the facts that led to it."""
_COLUMNS: Final = ("kind", "label", "score", "clearance")
"""Facts that stand in columns of their own, too."""
_CLEARANCE: Final = ("intent", "status", "reasons", "deciding", "digest")
_VERDICT: Final = ("classifier", "model", "revision", "label_set")


def rights_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """Screenings, later rights checks and grants that the events do not tell, or tell otherwise."""
    events, t = tables.events, tables
    told = sa.select(events.c.version_id, events.c.round, events.c.action, events.c.body).where(
        events.c.action.in_(_TOLD) & (events.c.from_state == "submitted")
        | events.c.action.in_(("review_again", "recheck_rights"))
    )
    recorded = (
        sa.select(
            *(t.screenings.c[name] for name in ("version_id", "round", *_COLUMNS, "facts", "route", "clearance_id")),
            t.screenings.c.verdict_id,
            *(t.verdicts.c[name] for name in _VERDICT),
            t.verdicts.c.sha256.label("verdict_of"),
            t.versions.c.sha256,
        )
        .join(t.versions, t.versions.c.version_id == t.screenings.c.version_id)
        .outerjoin(t.verdicts, t.verdicts.c.verdict_id == t.screenings.c.verdict_id)
    )
    clearances = sa.select(
        *(t.clearances.c[name] for name in ("version_id", "clearance_id", *_CLEARANCE)),
        plain(t.clearances.c.next_change_at).label("next_change_at"),
    )
    for version_id, (said, present, checked) in side_by_side(
        ("version_id", streamed(connection, told.order_by(events.c.version_id, events.c.seq))),
        ("version_id", streamed(connection, recorded.order_by(t.screenings.c.version_id, t.screenings.c.round))),
        (
            "version_id",
            streamed(connection, clearances.order_by(t.clearances.c.version_id, t.clearances.c.clearance_id)),
        ),
    ):
        digests = {row.clearance_id: clearance_sha256(row) for row in checked}
        yield from _screenings(version_id, said, present, digests)
        yield from _rechecks(version_id, said, present, digests)
    yield from _grants(connection)


def _screenings(
    version_id: int, said: Sequence[Any], present: Sequence[Any], digests: Mapping[int, str]
) -> Iterator[Mismatch]:
    steps = [row for row in said if row.action != "recheck_rights"]
    told = {row.round: row for row in steps}  # the last one of a round counts: what was held is screened again
    before: Any = None
    for row in present:
        key, event = f"{version_id} {row.round}", told.pop(row.round, None)
        if event is None:
            yield Mismatch("screenings", key, "no event tells it")
        elif event.action == "review_again":  # a new round of the same gates: what routed it is carried on
            if before is None or _carried(row) != _carried(before):
                yield Mismatch("screenings", key, "it is not that of the round before")
        elif reason := _differs(row, details_of(event.body), digests):
            yield Mismatch("screenings", key, reason)
        before = row
    for number, event in told.items():
        if "facts" in details_of(event.body):
            yield Mismatch("screenings", f"{version_id} {number}", "an event tells a screening that is not recorded")


def _rechecks(
    version_id: int, said: Sequence[Any], present: Sequence[Any], digests: Mapping[int, str]
) -> Iterator[Mismatch]:
    """Rights checks after the one that a version was screened with: each was told by an event, and none is missing."""
    told = Counter(details_of(row.body).get("clearance") for row in said if row.action == "recheck_rights")
    last = max((row.clearance_id for row in present if row.clearance_id is not None), default=0)
    lately = any("screening" in details_of(row.body) for row in said)  # an earlier version told of no later checks
    for clearance_id, digest in digests.items():
        if told[digest] > 0:
            told[digest] -= 1
        elif lately and clearance_id > last:
            yield Mismatch("clearances", str(clearance_id), "no event tells of this rights check")
    if any(count > 0 for count in told.values()):
        yield Mismatch("clearances", f"of version {version_id}", "an event tells a rights check that is not recorded")


def _carried(row: Any) -> tuple[Any, ...]:
    return (*(getattr(row, name) for name in _COLUMNS), row.facts, row.route, row.verdict_id, row.clearance_id)


def _differs(row: Any, told: Mapping[str, Any], digests: Mapping[int, str]) -> str | None:
    """What of a screening its event tells otherwise; events of an earlier version tell less."""
    facts = told.get("facts")
    if not isinstance(facts, dict):
        return None
    try:
        recorded = told_facts(json.loads(row.facts))
    except (ValueError, TypeError, AttributeError):
        return "its facts cannot be read"
    columns = [name for name in _COLUMNS if name in facts or "clearance" in facts]
    if recorded != facts or any((getattr(row, name) or None) != facts.get(name) for name in columns):
        return "its facts are not those that its event tells"
    if "verdict" in told and {name: getattr(row, name) for name in _VERDICT} != told["verdict"]:
        return "its verdict is not that of the model that its event tells"
    if row.verdict_of not in (None, row.sha256):
        return "its verdict is one of other bytes"
    if "screening" in told and screening_sha256(row.route, digests.get(row.clearance_id)) != told["screening"]:
        return "its route or clearance is not what its event tells"
    return None


def _grants(connection: sa.Connection) -> Iterator[Mismatch]:
    """The present grants of each source are those whose digest the event of its last import tells."""
    events, grants = tables.events, tables.grants
    query = sa.select(events.c.body).where(events.c.action == "import_grants").order_by(events.c.seq)
    told = {}
    for row in streamed(connection, query):
        details = details_of(row.body)
        told[str(details.get("source"))] = details.get("grants")  # none in events of an earlier version
    present = sa.select(grants.c.grant_id, grants.c.body).where(grants.c.retired_at.is_(None))
    for source, digest in told.items():
        rows = [(str(one), str(body)) for one, body in connection.execute(present.where(grants.c.source == source))]
        if digest is not None and grants_sha256(rows) != digest:
            yield Mismatch("grants", source, "they are not those that the event of their last import tells")
    strangers = sa.select(grants.c.grant_key).where(grants.c.source.not_in(list(told))).order_by(grants.c.grant_key)
    for key in connection.scalars(strangers):
        yield Mismatch("grants", str(key), "no event tells of an import from its source")
