"""Verifying the records beside the audit trail: states, gates, decisions and policies must be what the events tell."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from policies.lifecycle import TRANSITIONS

_AT_ONCE: Final = 2_000
"""Rows that are in memory at a time."""
_TOLD: Final = {
    "submit": ("bucket", "key", "number", "sha256", "size_bytes"),
    "decide": ("stage", "on_behalf_of", "verdict", "counted", "sha256", "comment_hash"),
}
"""What every event of an action tells in its details."""
_QUESTIONS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "events",
        "it starts where the event before it did not lead",
        """SELECT seq FROM (
             SELECT seq, from_state, LAG(to_state, 1, '') OVER (PARTITION BY version_id ORDER BY seq) AS before
             FROM events WHERE to_state IS NOT NULL) steps
           WHERE from_state <> before""",
    ),
    (
        "events",
        "it approves what neither passed gates nor a rule of its policy allow",
        """SELECT seq FROM events e WHERE action = 'approve' AND NOT (
             (from_state = 'submitted' AND EXISTS (
                SELECT 1 FROM policy_rules r WHERE r.policy_sha256 = e.policy_sha256 AND r.rule = e.rule))
             OR (from_state = 'in_review'
                 AND EXISTS (SELECT 1 FROM gates g WHERE g.version_id = e.version_id AND g.round = e.round)
                 AND NOT EXISTS (SELECT 1 FROM gates g WHERE g.version_id = e.version_id AND g.round = e.round
                                   AND COALESCE(g.outcome, '') <> 'passed')))""",
    ),
    (
        "events",
        "it moves bytes without an effect that was done for them",
        """SELECT seq FROM events e JOIN versions v ON v.version_id = e.version_id
           WHERE (action IN ('publish', 'republish', 'archive', 'restore', 'dispose')
                  OR (action = 'withdraw' AND reason <> 'superseded'))
             AND NOT EXISTS (
               SELECT 1 FROM effects f
               WHERE f.effect_id = e.effect_id AND f.version_id = e.version_id AND f.status = 'done'
                 AND f.sha256 = v.sha256 AND f.kind = CASE action WHEN 'republish' THEN 'publish' ELSE action END)""",
    ),
    (
        "versions",
        "its state, round or policy is not what its last event says",
        """SELECT v.version_id FROM versions v LEFT JOIN events e ON e.seq = (
             SELECT MAX(seq) FROM events l WHERE l.version_id = v.version_id AND l.to_state IS NOT NULL)
           WHERE e.seq IS NULL OR v.state IS NULL OR v.state <> e.to_state OR v.state_seq <> e.seq OR v.round <> e.round
             OR v.state_since <> e.at OR v.policy_sha256 <> e.policy_sha256
             OR COALESCE(v.archived_from, '') <> CASE e.action WHEN 'archive' THEN e.from_state ELSE '' END""",
    ),
    (
        "versions",
        "its arrival is not that of its last submission",
        """SELECT version_id FROM versions v WHERE arrived_seq <> COALESCE((
             SELECT MAX(seq) FROM events e
             WHERE e.version_id = v.version_id AND e.action IN ('submit', 'reopen')), -1)""",
    ),
    (
        "versions",
        "another version of its asset is published too",
        """SELECT MAX(version_id) FROM versions WHERE state = 'published' GROUP BY asset_id HAVING COUNT(*) > 1""",
    ),
    (
        "gates",
        "it passed without its quorum of approvals by different people for different principals",
        """SELECT g.gate_id FROM gates g LEFT JOIN decisions d
             ON d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve'
           WHERE g.outcome = 'passed' GROUP BY g.gate_id, g.quorum
           HAVING COUNT(DISTINCT d.person_id) < g.quorum OR COUNT(DISTINCT d.on_behalf_of) < g.quorum""",
    ),
    (
        "gates",
        "it passed against a decision that was not an approval",
        """SELECT DISTINCT g.gate_id FROM gates g JOIN decisions d ON d.gate_id = g.gate_id
           WHERE g.outcome = 'passed' AND d.counted AND d.verdict <> 'approve'""",
    ),
    (
        "decisions",
        "the bytes decided on are not those of the version",
        """SELECT d.decision_id FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
           JOIN versions v ON v.version_id = g.version_id WHERE d.sha256 <> v.sha256""",
    ),
    (
        "decisions",
        "it counts at a gate where this person was never eligible",
        """SELECT decision_id FROM decisions d WHERE counted AND NOT EXISTS (
             SELECT 1 FROM gate_eligible e
             WHERE e.gate_id = d.gate_id AND e.person_id = d.person_id AND e.on_behalf_of = d.on_behalf_of)""",
    ),
    (
        "decisions",
        "four eyes: it counts, though one of its people had submitted the version",
        """SELECT DISTINCT d.decision_id FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
           JOIN versions v ON v.version_id = g.version_id
           JOIN events s ON s.version_id = v.version_id AND s.action = 'submit'
           JOIN memberships m ON m.group_name = v.submitter AND m.person_id IN (d.person_id, d.on_behalf_of)
           WHERE d.counted AND g.four_eyes
             AND m.added_at < s.at AND (m.removed_at IS NULL OR m.removed_at > s.at)""",
    ),
)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A record that the audit trail does not bear out. `key` is the row's, as text."""

    table: str
    key: str
    reason: str


def verify_records(connection: sa.Connection, limit: int = 100) -> list[Mismatch]:
    """What the records say that the events do not, at most `limit` mismatches. Ask once the chain itself holds."""
    return list(islice(_mismatches(connection), limit))


def _mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    yield from _lifecycle(connection)
    yield from _policies(connection)
    yield from _told_nothing(connection)
    yield from _identities(connection)
    for table, reason, sql in _QUESTIONS:
        for (key,) in connection.execute(sa.text(f"{sql} ORDER BY 1")):
            yield Mismatch(table, str(key), reason)
    yield from _said(connection, "decisions", _RECORDED, _recorded, _told_decisions)
    yield from _said(connection, "held_decisions", _HELD, _recorded_held, _told_held)
    yield from _gates(connection)
    yield from _rungs(connection)


def _lifecycle(connection: sa.Connection) -> Iterator[Mismatch]:
    table = tables.lifecycle
    rows = connection.execute(sa.select(table.c.from_state, table.c.action, table.c.to_state))
    present = {tuple(row) for row in rows}
    declared = {(str(t.from_state), str(t.action), str(t.to_state)) for t in TRANSITIONS}
    for step in sorted(present ^ declared):
        reason = "it is a step that the lifecycle does not have" if step in present else "the step is missing"
        yield Mismatch("lifecycle", " ".join(step), reason)


def _policies(connection: sa.Connection) -> Iterator[Mismatch]:
    policies = tables.policies
    for row in connection.execute(sa.select(policies.c.sha256, policies.c.body)):
        if not isinstance(row.body, str) or hashlib.sha256(row.body.encode()).hexdigest() != row.sha256:
            yield Mismatch("policies", row.sha256, "its text does not have the hash that versions are pinned to")


def _identities(connection: sa.Connection) -> Iterator[Mismatch]:
    """Asset, number and bytes of each version, as its `submit` event told them."""
    events, versions, assets = tables.events, tables.versions, tables.assets
    query = (
        sa.select(
            versions.c.version_id,
            versions.c.number,
            versions.c.sha256,
            versions.c.size_bytes,
            assets.c.bucket,
            assets.c.key,
            events.c.body,
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id, isouter=True)
        .join(events, sa.and_(events.c.version_id == versions.c.version_id, events.c.action == "submit"), isouter=True)
        .order_by(versions.c.version_id)
    )
    for row in _streamed(connection, query):
        told = _details(row.body)
        for name in _TOLD["submit"]:
            if told.get(name) != getattr(row, name):
                reason = f"its {name} is {getattr(row, name)!r}, submitted was {told.get(name)!r}"
                yield Mismatch("versions", str(row.version_id), reason)


def _told_nothing(connection: sa.Connection) -> Iterator[Mismatch]:
    """Events that do not tell what every event of their action does."""
    events = tables.events
    for action, names in _TOLD.items():
        query = sa.select(events.c.seq, events.c.body).where(events.c.action == action)
        for row in _streamed(connection, query.order_by(events.c.seq)):
            if missing := [name for name in names if name not in _details(row.body)]:
                yield Mismatch("events", str(row.seq), f"it does not tell {', '.join(missing)}")


def _details(body: Any) -> dict[str, Any]:
    """What an event tells beside its columns; nothing, where it cannot be read."""
    try:
        event = json.loads(body)
    except (ValueError, TypeError):
        return {}
    details = event.get("details") if isinstance(event, dict) else None
    return details if isinstance(details, dict) else {}


def _said(
    connection: sa.Connection,
    table: str,
    query: sa.Select[Any],
    recorded_by: Callable[[Any], tuple[Any, ...]],
    told_by: Callable[[sa.Connection], Iterator[tuple[Any, ...]]],
) -> Iterator[Mismatch]:
    """Each decision was told by one event, and each comment is the one whose salted hash the event holds.

    Only digests are kept in memory, some 150 bytes a decision.
    """
    forgotten = {_digest(recorded_by(row)) for row in _streamed(connection, query) if _is_erased(row)}
    told: Counter[bytes] = Counter()
    of_forgotten: dict[bytes, list[bytes]] = {}
    for event in told_by(connection):
        told[_digest(event)] += 1
        if (key := _digest(event[:-1])) in forgotten:
            of_forgotten.setdefault(key, []).append(_digest(event))
    for row in _streamed(connection, query):
        recorded = recorded_by(row)
        found = _digest((*recorded, _comment_hash(row)))
        if _is_erased(row):  # any hash will do
            found = next((one for one in of_forgotten.get(_digest(recorded), ()) if told[one]), found)
        if not told[found]:
            yield Mismatch(table, str(row.decision_id), "no event tells this decision, or not with this comment")
        told[found] -= 1
    if any(count > 0 for count in told.values()):
        for event in told_by(connection):
            if told[_digest(event)] > 0:
                told[_digest(event)] -= 1
                said = " ".join(map(str, event[:-1]))
                yield Mismatch(table, said, "an event tells a decision that is not recorded")


def _gates(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each gate has the stage, step and quorum with which the event told that it was opened."""
    events, gates = tables.events, tables.gates
    told = set()
    query = sa.select(events.c.version_id, events.c.round, events.c.body)
    for row in _streamed(connection, query.where(events.c.action.in_(("open_gates", "review_again")))):
        opened = _details(row.body).get("gates")
        for one in opened if isinstance(opened, list) else ():
            if isinstance(one, dict):
                terms = (one.get("stage"), one.get("step"), one.get("quorum"))
                told.add(_digest((row.version_id, row.round, *terms)))
    columns = (gates.c.gate_id, gates.c.version_id, gates.c.round, gates.c.stage, gates.c.step, gates.c.quorum)
    for row in _streamed(connection, sa.select(*columns).order_by(gates.c.gate_id)):
        if _digest(tuple(row)[1:]) not in told:
            yield Mismatch("gates", str(row.gate_id), "no event tells that it was opened with this step and quorum")


def _rungs(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each reminder and escalation was told by an event; what a last rung ends, its gate and version say."""
    events, rungs = tables.events, tables.rungs
    told = set()
    query = sa.select(
        events.c.version_id, events.c.round, events.c.action, _plain(events.c.at).label("at"), events.c.body
    )
    for row in _streamed(connection, query.where(events.c.action.in_(("remind", "escalate")))):
        details = _details(row.body)
        told.add(_digest((row.version_id, row.round, row.action, row.at, details.get("rung"), details.get("gate"))))
    columns = (
        rungs.c.version_id,
        rungs.c.round,
        rungs.c.kind,
        _plain(rungs.c.fired_at),
        rungs.c.number,
        rungs.c.gate_id,
    )
    fired = sa.select(rungs.c.rung_id, *columns).where(rungs.c.kind != "finally").order_by(rungs.c.rung_id)
    for row in _streamed(connection, fired):
        if _digest(tuple(row)[1:]) not in told:
            yield Mismatch("rungs", str(row.rung_id), "no event tells that it fired")


def _plain(instant: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.type_coerce(instant, sa.BigInteger)


def _told_decisions(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    events = tables.events
    query = sa.select(events.c.version_id, events.c.round, events.c.actor, events.c.body)
    for row in _streamed(connection, query.where(events.c.action == "decide")):
        told = _details(row.body)
        if all(name in told for name in _TOLD["decide"]):
            yield (
                row.version_id, row.round, told["stage"], row.actor, told["on_behalf_of"], told["verdict"],
                told["counted"], told["sha256"], told["comment_hash"],
            )  # fmt: skip


def _told_held(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    """What people said of versions that were held or sent back: it moved them, or came after the outcome."""
    events = tables.events
    query = sa.select(events.c.version_id, events.c.actor, events.c.action, events.c.body).where(
        events.c.actor.like("person:%"),
        events.c.from_state.in_(("quarantined", "changes_requested")) | (events.c.action == "say_of_held"),
    )
    for row in _streamed(connection, query):
        told = _details(row.body)
        if "comment_hash" in told:
            verdict = told.get("verdict") if row.action == "say_of_held" else row.action
            yield (
                row.version_id, told.get("review"), row.actor, verdict, told.get("counted"), told.get("sha256"),
                told["comment_hash"],
            )  # fmt: skip


def _recorded_held(row: Any) -> tuple[Any, ...]:
    return (
        row.version_id, row.review_id, f"person:{row.person_id}", row.verdict, bool(row.counted), row.sha256,
    )  # fmt: skip


def _recorded(row: Any) -> tuple[Any, ...]:
    return (
        row.version_id, row.round, row.stage, f"person:{row.person_id}", row.on_behalf_of, row.verdict,
        bool(row.counted), row.sha256,
    )  # fmt: skip


def _is_erased(row: Any) -> bool:
    return row.note_id is not None and row.body is None


def _comment_hash(row: Any) -> str | None:
    if row.note_id is None or row.body is None:
        return None
    return hashlib.sha256(f"{row.salt}{row.body}".encode(errors="surrogatepass")).hexdigest()


def _digest(values: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=16).digest()


def _streamed(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Any]:
    yield from connection.execute(query, execution_options={"yield_per": _AT_ONCE})


_DECIDED = ("decision_id", "person_id", "verdict", "counted", "sha256", "note_id")
_RECORDED: Final = (
    sa.select(
        *(tables.decisions.c[name] for name in (*_DECIDED, "on_behalf_of")),
        tables.gates.c.version_id,
        tables.gates.c.round,
        tables.gates.c.stage,
        tables.notes.c.salt,
        tables.notes.c.body,
    )
    .join(tables.gates, tables.gates.c.gate_id == tables.decisions.c.gate_id)
    .outerjoin(tables.notes, tables.notes.c.note_id == tables.decisions.c.note_id)
    .order_by(tables.decisions.c.decision_id)
)
_HELD: Final = (
    sa.select(
        *(tables.held_decisions.c[name] for name in (*_DECIDED, "version_id", "review_id")),
        tables.notes.c.salt,
        tables.notes.c.body,
    )
    .outerjoin(tables.notes, tables.notes.c.note_id == tables.held_decisions.c.note_id)
    .order_by(tables.held_decisions.c.decision_id)
)
