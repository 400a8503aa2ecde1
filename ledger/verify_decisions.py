"""Verifying decisions: each was told by one event, and each comment is the one whose salted hash the event holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.told_events import Mismatch, details_of, digest_of, plain, streamed

TOLD: Final = ("stage", "on_behalf_of", "verdict", "counted", "sha256", "comment_hash")
"""What every event of a decision tells."""
_WAIVED_BY_0014: Final = frozenset(
    {
        *("no_licence", "uses_not_counted", "unknown_code", "metadata_unparsed"),
        *("credit_line_missing", "model_release_missing", "property_release_missing"),
    }
)
"""Findings that the upgrade to schema 0014 took as waived; frozen with it."""


def decision_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """Decisions at gates, and on what was held or sent back, that the events do not tell, or tell otherwise."""
    yield from _said(connection, "decisions", _RECORDED, _recorded, _told_decisions)
    yield from _said(connection, "held_decisions", _HELD, _recorded_held, _told_held)


def _said(
    connection: sa.Connection,
    table: str,
    query: sa.Select[Any],
    recorded_by: Callable[[Any], list[tuple[Any, ...]]],
    told_by: Callable[[sa.Connection], Iterator[tuple[Any, ...]]],
) -> Iterator[Mismatch]:
    """Each decision was told by one event, and each comment is the one whose salted hash the event holds.

    `recorded_by` gives what an event may tell of a row: one thing, or two where it may be of an earlier version.
    Only digests are kept in memory, some 150 bytes a decision.
    """
    forgotten = {digest_of(one) for row in streamed(connection, query) if _is_erased(row) for one in recorded_by(row)}
    told: Counter[bytes] = Counter()
    of_forgotten: dict[bytes, list[bytes]] = {}
    for event in told_by(connection):
        told[digest_of(event)] += 1
        if (key := digest_of(event[:-1])) in forgotten:
            of_forgotten.setdefault(key, []).append(digest_of(event))
    for row in streamed(connection, query):
        ways = recorded_by(row)
        could_be = [digest_of((*one, _comment_hash(row))) for one in ways]
        if _is_erased(row):  # any hash will do
            could_be = [hashed for one in ways for hashed in of_forgotten.get(digest_of(one), could_be)]
        found = next((one for one in could_be if told[one]), could_be[0])
        if not told[found]:
            yield Mismatch(table, str(row.decision_id), "no event tells this decision, or not with this comment")
        told[found] -= 1
    if any(count > 0 for count in told.values()):
        for event in told_by(connection):
            if told[digest_of(event)] > 0:
                told[digest_of(event)] -= 1
                said = " ".join(map(str, event[:-1]))
                yield Mismatch(table, said, "an event tells a decision that is not recorded")


def _told_decisions(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    events = tables.events
    query = sa.select(
        events.c.version_id, events.c.round, events.c.actor, plain(events.c.at).label("at"), events.c.body
    )
    for row in streamed(connection, query.where(events.c.action == "decide")):
        told = details_of(row.body)
        if all(name in told for name in TOLD):
            yield (
                row.version_id, row.round, told["stage"], row.actor, told["on_behalf_of"], told["verdict"],
                told["counted"], told["sha256"], row.at, _signature(told), _codes(told.get("waives")),
                told["comment_hash"],
            )  # fmt: skip


def _told_held(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    """What people said of versions that were held or sent back: it moved them, or came after the outcome."""
    events = tables.events
    names = ("version_id", "actor", "action", "body")
    query = sa.select(*(events.c[name] for name in names), plain(events.c.at).label("at")).where(
        events.c.actor.like("person:%"),
        events.c.from_state.in_(("quarantined", "changes_requested")) | (events.c.action == "say_of_held"),
    )
    for row in streamed(connection, query):
        told = details_of(row.body)
        if "comment_hash" in told:
            verdict = told.get("verdict") if row.action == "say_of_held" else row.action
            yield (
                row.version_id, told.get("review"), row.actor, told.get("on_behalf_of"), verdict, told.get("counted"),
                told.get("sha256"), row.at, _signature(told), told["comment_hash"],
            )  # fmt: skip


def _recorded_held(row: Any) -> list[tuple[Any, ...]]:
    return [(
        row.version_id, row.review_id, f"person:{row.person_id}", row.on_behalf_of, row.verdict, bool(row.counted),
        row.sha256, row.decided, row.signature,
    )]  # fmt: skip


def _recorded(row: Any) -> list[tuple[Any, ...]]:
    said = (
        row.version_id, row.round, row.stage, f"person:{row.person_id}", row.on_behalf_of, row.verdict,
        bool(row.counted), row.sha256, row.decided, row.signature,
    )  # fmt: skip
    waived = _codes(_parsed(row.codes))
    if waived is not None and waived == _taken_as_waived(row):
        return [(*said, waived), (*said, None)]
    return [(*said, waived)]


def _taken_as_waived(row: Any) -> tuple[str, ...] | None:
    """What an approval from before there were waivers is taken as: a waiver of what was shown (schema 0014)."""
    blocked = _parsed(row.route)
    blocked = blocked.get("blocked") if isinstance(blocked, dict) else None
    shown = _parsed(row.reasons)
    if not (row.counted and row.verdict == "approve" and row.clearance in ("unknown", "restricted")):
        return None
    if not (isinstance(blocked, dict) and blocked.get("result") and blocked.get("gate") == row.stage):
        return None
    codes = [one.get("code") for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []
    return _codes([one for one in codes if one in _WAIVED_BY_0014])


def _signature(told: Mapping[str, Any]) -> str:
    return str(told.get("signature", "none")).partition(":")[0]


def _codes(named: Any) -> tuple[str, ...] | None:
    return tuple(sorted(map(str, named))) if isinstance(named, list) else None


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return text  # what is no JSON is no waiver that an event would tell


def _is_erased(row: Any) -> bool:
    return row.note_id is not None and row.body is None


def _comment_hash(row: Any) -> str | None:
    if row.note_id is None or row.body is None:
        return None
    return hashlib.sha256(f"{row.salt}{row.body}".encode(errors="surrogatepass")).hexdigest()


_DECIDED = ("decision_id", "person_id", "verdict", "counted", "sha256", "signature", "note_id")
_RECORDED: Final = (
    sa.select(
        *(tables.decisions.c[name] for name in (*_DECIDED, "on_behalf_of")),
        tables.gates.c.version_id,
        tables.gates.c.round,
        tables.gates.c.stage,
        tables.notes.c.salt,
        tables.notes.c.body,
        plain(tables.decisions.c.decided_at).label("decided"),
        tables.waivers.c.codes,
        *(tables.screenings.c[name] for name in ("clearance", "route")),
        tables.clearances.c.reasons,
    )
    .join(tables.gates, tables.gates.c.gate_id == tables.decisions.c.gate_id)
    .outerjoin(tables.notes, tables.notes.c.note_id == tables.decisions.c.note_id)
    .outerjoin(tables.waivers, tables.waivers.c.decision_id == tables.decisions.c.decision_id)
    .outerjoin(
        tables.screenings,
        sa.and_(
            tables.waivers.c.decision_id.is_not(None),
            tables.screenings.c.version_id == tables.gates.c.version_id,
            tables.screenings.c.round == tables.gates.c.round,
        ),
    )
    .outerjoin(tables.clearances, tables.clearances.c.clearance_id == tables.screenings.c.clearance_id)
    .order_by(tables.decisions.c.decision_id)
)
_HELD: Final = (
    sa.select(
        *(tables.held_decisions.c[name] for name in (*_DECIDED, "version_id", "review_id", "on_behalf_of")),
        tables.notes.c.salt,
        tables.notes.c.body,
        plain(tables.held_decisions.c.decided_at).label("decided"),
    )
    .outerjoin(tables.notes, tables.notes.c.note_id == tables.held_decisions.c.note_id)
    .order_by(tables.held_decisions.c.decision_id)
)
