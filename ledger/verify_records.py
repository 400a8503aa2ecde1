"""Verifying the records beside the audit trail: states, gates, decisions and policies must be what the events tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import sqlalchemy as sa

from ledger import tables
from ledger.told_events import Mismatch, details_of, plain, side_by_side, streamed
from ledger.verify_decisions import TOLD as TOLD_OF_DECISIONS
from ledger.verify_decisions import decision_mismatches
from ledger.verify_gates import gate_mismatches, rung_mismatches
from ledger.verify_people import people_mismatches
from ledger.verify_reviews import review_mismatches
from ledger.verify_rights import rights_mismatches
from policies.lifecycle import TRANSITIONS

_TOLD: Final = {
    "submit": ("bucket", "key", "number", "sha256", "size_bytes"),
    "decide": TOLD_OF_DECISIONS,
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
        "effects",
        "it is open, done or cancelled, and the events tell otherwise",
        """SELECT effect_id FROM effects f WHERE status <> CASE
             WHEN EXISTS (SELECT 1 FROM events e WHERE e.effect_id = f.effect_id AND e.to_state IS NOT NULL) THEN 'done'
             WHEN EXISTS (SELECT 1 FROM events e WHERE e.version_id = f.version_id AND e.effect_id = f.effect_id
                            AND e.action = 'effect_cancelled') THEN 'cancelled'
             ELSE 'open' END""",
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
    (
        "decisions",
        "it is not signed by a code that was used up for it, as its gate or the decision itself says",
        """SELECT d.decision_id FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
           WHERE (d.signature = 'totp' OR (d.counted AND g.signature = 'totp')) AND NOT (
             d.signature = 'totp' AND EXISTS (
               SELECT 1 FROM used_codes u JOIN review_gates r ON r.review_id = u.review_id
               WHERE u.person_id = d.person_id AND u.used_at = d.decided_at AND r.gate_id = d.gate_id))""",
    ),
)


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
    yield from decision_mismatches(connection)
    yield from gate_mismatches(connection)
    yield from rung_mismatches(connection)
    yield from rights_mismatches(connection)
    yield from people_mismatches(connection)
    yield from review_mismatches(connection)
    yield from _effects(connection)
    yield from _activations(connection)


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
    rules: dict[str, list[str]] = {}
    for sha256, rule in connection.execute(sa.select(tables.policy_rules).order_by(tables.policy_rules.c.rule)):
        rules.setdefault(sha256, []).append(rule)
    events = tables.events
    told = sa.select(events.c.policy_sha256, events.c.body).where(events.c.action == "store_policy")
    for sha256, body in connection.execute(told.order_by(events.c.seq)):
        details = details_of(body)  # an earlier version did not tell the rules
        if "rules" in details and sorted(rules.get(sha256, [])) != details["rules"]:
            yield Mismatch("policy_rules", sha256, "they are not those that were stored with the policy")


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
    for row in streamed(connection, query):
        told = details_of(row.body)
        for name in _TOLD["submit"]:
            if told.get(name) != getattr(row, name):
                reason = f"its {name} is {getattr(row, name)!r}, submitted was {told.get(name)!r}"
                yield Mismatch("versions", str(row.version_id), reason)


def _told_nothing(connection: sa.Connection) -> Iterator[Mismatch]:
    """Events that do not tell what every event of their action does."""
    events = tables.events
    for action, names in _TOLD.items():
        query = sa.select(events.c.seq, events.c.body).where(events.c.action == action)
        for row in streamed(connection, query.order_by(events.c.seq)):
            if missing := [name for name in names if name not in details_of(row.body)]:
                yield Mismatch("events", str(row.seq), f"it does not tell {', '.join(missing)}")


def _effects(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each effect was opened by one event, for this version, of this kind and for these reasons."""
    events, effects = tables.events, tables.effects
    names = ("effect_id", "version_id", "reason", "rule")
    told = sa.select(*(events.c[name] for name in names), events.c.body).where(events.c.action == "open_effect")
    recorded = sa.select(*(effects.c[name] for name in names), effects.c.kind, effects.c.sha256)
    for effect_id, (said, present) in side_by_side(
        ("effect_id", streamed(connection, told.order_by(events.c.effect_id))),
        ("effect_id", streamed(connection, recorded.order_by(effects.c.effect_id))),
    ):
        opened = [(*row[:4], details_of(row.body).get("kind"), details_of(row.body).get("sha256")) for row in said]
        if not present:
            yield Mismatch("effects", str(effect_id), "an event tells an effect that is not recorded")
        elif opened != [tuple(row) for row in present]:
            yield Mismatch("effects", str(effect_id), "no event tells that it was opened, or not like this")


def _activations(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each activation of a policy was told by one event, in the same order, by the same people."""
    events, table = tables.events, tables.policy_activations
    query = sa.select(events.c.policy_sha256, plain(events.c.at), events.c.body).where(
        events.c.action == "activate_policy"
    )
    told, before = [], None
    for sha256, at, body in streamed(connection, query.order_by(events.c.seq)):
        details = details_of(body)
        told.append((sha256, at, details.get("by"), details.get("seconded_by"), details.get("before", before)))
        before = sha256
    rows = sa.select(
        table.c.activation_id,
        table.c.policy_sha256,
        plain(table.c.activated_at),
        table.c.activated_by,
        table.c.seconded_by,
    )
    before, known = None, 0
    for row in streamed(connection, rows.order_by(table.c.activation_id)):
        if known >= len(told) or told[known] != (*row[1:], before):
            yield Mismatch("policy_activations", str(row.activation_id), "no event tells it, or not like this")
            return  # whatever follows is told in another place
        before, known = row.policy_sha256, known + 1
    if known < len(told):
        sha256 = told[known][0]
        yield Mismatch("policy_activations", str(sha256), "an event tells an activation that is not recorded")
