"""Read-only questions to the ledger: what is new, what waits, where things stand, one asset's whole story."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.custody import present_custody_id
from ledger.errors import UnknownName
from ledger.transaction import batches


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the last listing saw under a key. `refusal` says why it became no version, if so."""

    etag: str
    size_bytes: int
    modified_at: datetime
    version_id: int | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Unscreened:
    """A submitted version that screening has not finished with: it goes on where it stopped."""

    version_id: int
    round: int
    number: int
    bucket: str
    key: str
    sha256: str
    size_bytes: int
    collection: str
    submitter: str | None
    policy_sha256: str
    custody_bucket: str
    custody_key: str
    custody_version: str | None
    custody_etag: str


@dataclass(frozen=True, slots=True)
class PublicationBasis:
    """What decides whether an approved version may be published now.

    `clearance` and `digest` are those of the last rights check; `screened_digest` and `screened_intent` those of the
    one that the gates were shown; `passed_stages` are the gates that passed in the version's present round, and
    `waived` the codes that everybody who approved at one of them waived; `inspection` is JSON.
    """

    version_id: int
    key: str
    collection: str
    policy_sha256: str
    round: int
    kind: str
    clearance: str
    digest: str
    screened_digest: str
    screened_intent: str
    passed_stages: frozenset[str]
    waived: Mapping[str, frozenset[str]]
    inspection: str | None


def publication_basis(connection: sa.Connection, version_ids: Iterable[int]) -> dict[int, PublicationBasis]:
    """The basis of publishing each of these versions, by version id."""
    t = tables
    ids = list(version_ids)
    passed: dict[int, set[str]] = {}
    waived = _waived(connection, ids)
    inspected: dict[str, str] = {}
    last: dict[int, Any] = {}
    found: dict[int, PublicationBasis] = {}
    for batch in batches(ids):
        gates = sa.select(t.gates.c.version_id, t.gates.c.stage).join(
            t.versions, sa.and_(t.versions.c.version_id == t.gates.c.version_id, t.versions.c.round == t.gates.c.round)
        )
        for row in connection.execute(gates.where(t.gates.c.version_id.in_(batch), t.gates.c.outcome == "passed")):
            passed.setdefault(row.version_id, set()).add(row.stage)
        checks = sa.select(t.clearances).where(t.clearances.c.version_id.in_(batch))
        for row in connection.execute(checks.order_by(t.clearances.c.clearance_id)):
            last[row.version_id] = row
        query = (
            sa.select(
                t.versions.c.version_id,
                t.versions.c.sha256,
                t.assets.c.key,
                t.versions.c.collection,
                t.versions.c.policy_sha256,
                t.versions.c.round,
                t.screenings.c.kind,
                t.clearances.c.digest,
                t.clearances.c.intent,
            )
            .join(t.assets, t.assets.c.asset_id == t.versions.c.asset_id)
            .join(
                t.screenings,
                sa.and_(
                    t.screenings.c.version_id == t.versions.c.version_id, t.screenings.c.round == t.versions.c.round
                ),
            )
            .join(t.clearances, t.clearances.c.clearance_id == t.screenings.c.clearance_id)
            .where(t.versions.c.version_id.in_(batch))
        )
        rows = connection.execute(query).all()
        for inspections in batches(row.sha256 for row in rows):
            bodies = sa.select(t.inspections.c.sha256, t.inspections.c.body).where(
                t.inspections.c.sha256.in_(inspections)
            )
            inspected.update(
                {row.sha256: row.body for row in connection.execute(bodies.order_by(t.inspections.c.inspected_at))}
            )
        for row in rows:
            found[row.version_id] = PublicationBasis(
                version_id=row.version_id,
                key=row.key,
                collection=row.collection,
                policy_sha256=row.policy_sha256,
                round=row.round,
                kind=row.kind,
                clearance=last[row.version_id].status,
                digest=last[row.version_id].digest,
                screened_digest=row.digest,
                screened_intent=row.intent,
                passed_stages=frozenset(passed.get(row.version_id, ())),
                waived=waived.get(row.version_id, {}),
                inspection=inspected.get(row.sha256),
            )
    return found


def _waived(connection: sa.Connection, version_ids: Iterable[int]) -> dict[int, dict[str, frozenset[str]]]:
    """Version → stage of its present round → codes that each of those who approved there has waived."""
    t = tables
    found: dict[int, dict[str, frozenset[str]]] = {}
    for batch in batches(version_ids):
        query = (
            sa.select(t.gates.c.version_id, t.gates.c.stage, t.waivers.c.codes)
            .select_from(t.decisions)
            .join(t.gates, t.gates.c.gate_id == t.decisions.c.gate_id)
            .outerjoin(t.waivers, t.waivers.c.decision_id == t.decisions.c.decision_id)
            .join(
                t.versions,
                sa.and_(t.versions.c.version_id == t.gates.c.version_id, t.versions.c.round == t.gates.c.round),
            )
            .where(t.gates.c.version_id.in_(batch), t.decisions.c.counted, t.decisions.c.verdict == "approve")
        )
        for row in connection.execute(query):
            named = frozenset(json.loads(row.codes)) if row.codes else frozenset[str]()
            stages = found.setdefault(row.version_id, {})
            stages[row.stage] = stages.get(row.stage, named) & named
    return found


def sightings(connection: sa.Connection, bucket: str) -> dict[str, Sighting]:
    """What the last listing saw in `bucket`, by key."""
    table = tables.sightings
    return {
        row.key: Sighting(row.etag, row.size_bytes, row.modified_at, row.version_id, row.refusal)
        for row in connection.execute(sa.select(table).where(table.c.bucket == bucket))
    }


def unscreened(connection: sa.Connection, version_ids: Iterable[int] | None = None) -> list[Unscreened]:
    """Versions in state `submitted` (among `version_ids` if given) with the place of their bytes, oldest first."""
    versions, assets, custody = tables.versions, tables.assets, tables.custody
    query = (
        sa.select(
            versions.c.version_id,
            versions.c.round,
            versions.c.number,
            assets.c.bucket,
            assets.c.key,
            versions.c.sha256,
            versions.c.size_bytes,
            versions.c.collection,
            versions.c.submitter,
            versions.c.policy_sha256,
            custody.c.bucket.label("custody_bucket"),
            custody.c.key.label("custody_key"),
            custody.c.object_version.label("custody_version"),
            custody.c.etag.label("custody_etag"),
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .join(custody, custody.c.custody_id == present_custody_id(versions.c.version_id))
        .where(versions.c.state == "submitted")
        .order_by(versions.c.version_id)
    )
    if version_ids is None:
        return [Unscreened(**row._mapping) for row in connection.execute(query)]
    return [
        Unscreened(**row._mapping)
        for batch in batches(version_ids)
        for row in connection.execute(query.where(versions.c.version_id.in_(batch)))
    ]


def inspections_of(
    connection: sa.Connection, sha256s: Iterable[str], inspector: str
) -> dict[str, tuple[str, str | None]]:
    """(JSON body, thumbnail key) of what this inspector found before, by SHA-256."""
    table = tables.inspections
    found: dict[str, tuple[str, str | None]] = {}
    for batch in batches(sha256s):
        query = sa.select(table.c.sha256, table.c.body, table.c.thumbnail).where(
            table.c.sha256.in_(batch), table.c.inspector == inspector
        )
        found.update({row.sha256: (row.body, row.thumbnail) for row in connection.execute(query)})
    return found


def verdicts_of(connection: sa.Connection, sha256s: Iterable[str]) -> list[Any]:
    """Rows of every verdict about these bytes."""
    table = tables.verdicts
    return [
        row
        for batch in batches(sha256s)
        for row in connection.execute(sa.select(table).where(table.c.sha256.in_(batch)).order_by(table.c.verdict_id))
    ]


def copies_of(connection: sa.Connection, sha256s: Iterable[str]) -> list[Any]:
    """(sha256, version_id, key, state) of every version with these bytes, oldest first."""
    versions, assets = tables.versions, tables.assets
    query = sa.select(
        versions.c.sha256, versions.c.version_id, versions.c.asset_id, assets.c.key, versions.c.state
    ).join(assets, assets.c.asset_id == versions.c.asset_id)
    prefix = sa.func.substr(versions.c.sha256, sa.literal_column("1"), sa.literal_column("8"))  # as the index says it
    return [
        row
        for batch in batches(sha256s)
        for row in connection.execute(
            query.where(prefix.in_({one[:8] for one in batch}), versions.c.sha256.in_(batch)).order_by(
                versions.c.version_id
            )
        )
    ]


def perceptual_hashes(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """(perceptual hash, key, asset id) of every image seen, oldest first."""
    versions, assets, inspections = tables.versions, tables.assets, tables.inspections
    query = (
        sa.select(inspections.c.perceptual_hash, assets.c.key, assets.c.asset_id)
        .join(versions, versions.c.sha256 == inspections.c.sha256)
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .where(inspections.c.perceptual_hash.is_not(None))
        .order_by(versions.c.version_id)
    )
    return [(row.perceptual_hash, row.key, row.asset_id) for row in connection.execute(query)]


def listing(
    connection: sa.Connection,
    *,
    states: Sequence[str] = (),
    collections: Sequence[str] = (),
    labels: Sequence[str] = (),
    since: datetime | None = None,
    before: datetime | None = None,
    keys: str | None = None,
    every_version: bool = False,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Where assets stand, by key: their last version, or every version.

    `since`/`before` bound the moment the present state began; `keys` is a prefix. Each row has key, version, state,
    state_since, collection, kind, label, score, clearance, sha256, size_bytes, submitter, round, version_id.
    """
    versions, assets, screenings = tables.versions, tables.assets, tables.screenings
    newer = versions.alias("newer")
    query = (
        sa.select(
            assets.c.key,
            versions.c.number.label("version"),
            versions.c.state,
            versions.c.state_since,
            versions.c.collection,
            screenings.c.kind,
            screenings.c.label,
            screenings.c.score,
            screenings.c.clearance,
            versions.c.sha256,
            versions.c.size_bytes,
            versions.c.submitter,
            versions.c.round,
            versions.c.version_id,
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .outerjoin(
            screenings,
            sa.and_(
                screenings.c.version_id == versions.c.version_id,
                screenings.c.round
                == sa.select(sa.func.max(screenings.c.round))
                .where(screenings.c.version_id == versions.c.version_id)
                .correlate(versions)
                .scalar_subquery(),
            ),
        )
        .where(versions.c.state.is_not(None))
        .order_by(assets.c.key, versions.c.number)
    )
    if not every_version:
        query = query.where(
            ~sa.exists().where(newer.c.asset_id == versions.c.asset_id, newer.c.number > versions.c.number)
        )
    for column, wanted in (
        (versions.c.state, states),
        (versions.c.collection, collections),
        (screenings.c.label, labels),
    ):
        if wanted:
            query = query.where(column.in_(list(wanted)))
    if since is not None:
        query = query.where(versions.c.state_since >= since)
    if before is not None:
        query = query.where(versions.c.state_since < before)
    if keys:
        query = query.where(assets.c.key.startswith(keys, autoescape=True))
    if limit is not None:
        query = query.limit(limit)
    return [dict(row._mapping) for row in connection.execute(query)]


def archive_candidates(connection: sa.Connection, states: Iterable[str]) -> list[dict[str, Any]]:
    """Versions in `states` without an open effect: version_id, state, state_since, policy_sha256, screened facts."""
    versions, screenings, effects = tables.versions, tables.screenings, tables.effects
    query = (
        sa.select(
            versions.c.version_id,
            versions.c.state,
            versions.c.state_since,
            versions.c.policy_sha256,
            screenings.c.facts,
        )
        .join(
            screenings,
            sa.and_(screenings.c.version_id == versions.c.version_id, screenings.c.round == versions.c.round),
        )
        .where(
            versions.c.state.in_(list(states)),
            ~sa.exists().where(effects.c.version_id == versions.c.version_id, effects.c.status == "open"),
        )
        .order_by(versions.c.version_id)
    )
    rows = [dict(row._mapping) for row in connection.execute(query)]
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]


def count_by_state(connection: sa.Connection) -> dict[str, int]:
    """How many versions stand in each state."""
    state = tables.versions.c.state
    query = sa.select(state, sa.func.count()).where(state.is_not(None)).group_by(state).order_by(state)
    return {row[0]: row[1] for row in connection.execute(query)}


def count_screenings(connection: sa.Connection) -> int:
    """How many screenings are recorded, of every version and round."""
    return connection.scalar(sa.select(sa.func.count()).select_from(tables.screenings)) or 0


def refusals(connection: sa.Connection, bucket: str) -> list[dict[str, Any]]:
    """Objects of `bucket` that became no version: key, reason, seen_at."""
    table = tables.sightings
    query = sa.select(table.c.key, table.c.refusal, table.c.seen_at).where(
        table.c.bucket == bucket, table.c.refusal.is_not(None)
    )
    return [
        {"key": row.key, "reason": row.refusal, "seen_at": row.seen_at}
        for row in connection.execute(query.order_by(table.c.key))
    ]


def waiting_reviews(connection: sa.Connection) -> list[dict[str, Any]]:
    """Open reviews: review, stage, collection, assets (still open), opened_at, due_at, status, flow_run_id, round."""
    reviews, parkings, carried, gates = tables.reviews, tables.parkings, tables.review_gates, tables.gates
    held, versions = tables.review_versions, tables.versions
    at_gates = (
        sa.select(carried.c.review_id)
        .join(gates, gates.c.gate_id == carried.c.gate_id)
        .where(gates.c.outcome.is_(None))
    )
    on_held = (
        sa.select(held.c.review_id)
        .join(versions, sa.and_(versions.c.version_id == held.c.version_id, versions.c.state_seq == held.c.since_seq))
        .where(held.c.outcome.is_(None))
    )
    open_items = at_gates.union_all(on_held).subquery()
    waiting = (
        sa.select(open_items.c.review_id, sa.func.count().label("assets")).group_by(open_items.c.review_id).subquery()
    )
    query = (
        sa.select(
            reviews.c.review_id.label("review"),
            parkings.c.round,
            reviews.c.stage,
            reviews.c.collection,
            waiting.c.assets,
            reviews.c.opened_at,
            reviews.c.due_at,
            parkings.c.status,
            parkings.c.flow_run_id,
        )
        .join(waiting, waiting.c.review_id == reviews.c.review_id)
        .join(
            parkings, sa.and_(parkings.c.review_id == reviews.c.review_id, parkings.c.status.in_(("to_park", "parked")))
        )
        .where(reviews.c.closed_at.is_(None))
        .order_by(reviews.c.due_at.asc().nulls_last(), reviews.c.review_id)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def story(connection: sa.Connection, key: str, bucket: str | None = None) -> dict[str, Any]:
    """Everything the ledger knows of one asset: its versions, verdicts, clearances, gates, decisions and events.

    Raises `UnknownName` when no asset has that key.
    """
    assets, versions = tables.assets, tables.versions
    query = sa.select(assets).where(assets.c.key == key)
    found = connection.execute(query if bucket is None else query.where(assets.c.bucket == bucket)).first()
    if found is None:
        raise UnknownName(f"no asset has the key {key!r}; `signoff ls --keys PREFIX` lists those that exist")
    rows = connection.execute(sa.select(versions).where(versions.c.asset_id == found.asset_id)).all()
    version_ids = [row.version_id for row in rows]
    numbers = {row.version_id: row.number for row in rows}
    listed = listing(connection, keys=key, every_version=True)
    return {
        "key": key,
        "bucket": found.bucket,
        "versions": [row for row in listed if row["version_id"] in numbers],
        "verdicts": _verdict_rows(connection, {row.sha256: row.number for row in rows}),
        "clearances": _rows(
            connection, tables.clearances, version_ids, numbers, parsed=("intent", "reasons", "deciding")
        ),
        "screenings": _rows(connection, tables.screenings, version_ids, numbers, parsed=("facts", "route")),
        "gates": _rows(connection, tables.gates, version_ids, numbers),
        "decisions": _decision_rows(connection, version_ids, numbers),
        "effects": _rows(connection, tables.effects, version_ids, numbers, parsed=("result",)),
        "custody": _rows(connection, tables.custody, version_ids, numbers),
        "events": _rows(connection, tables.events, version_ids, numbers, parsed=("body",)),
    }


def _rows(
    connection: sa.Connection,
    table: sa.Table,
    version_ids: Sequence[int],
    numbers: Mapping[int, int],
    parsed: Sequence[str] = (),
) -> list[dict[str, Any]]:
    query = sa.select(table).where(table.c.version_id.in_(version_ids)).order_by(*table.primary_key.columns)
    rows = []
    for row in connection.execute(query):
        plain = dict(row._mapping)
        for name in parsed:
            plain[name] = json.loads(plain[name]) if plain[name] else None
        rows.append({"version": numbers[row.version_id], **plain})
    return rows


def _verdict_rows(connection: sa.Connection, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"version": numbers[row.sha256], **row._mapping} for row in verdicts_of(connection, numbers)]


def _decision_rows(
    connection: sa.Connection, version_ids: Sequence[int], numbers: Mapping[int, int]
) -> list[dict[str, Any]]:
    decisions, gates, notes = tables.decisions, tables.gates, tables.notes
    person, principal = tables.people.alias("person"), tables.people.alias("principal")
    query = (
        sa.select(
            gates.c.version_id,
            gates.c.round,
            gates.c.stage,
            decisions.c.decision_id,
            person.c.handle.label("by"),
            principal.c.handle.label("on_behalf_of"),
            decisions.c.verdict,
            decisions.c.counted,
            decisions.c.signature,
            decisions.c.sha256,
            notes.c.body.label("comment"),
            decisions.c.decided_at,
        )
        .join(gates, gates.c.gate_id == decisions.c.gate_id)
        .join(person, person.c.person_id == decisions.c.person_id)
        .join(principal, principal.c.person_id == decisions.c.on_behalf_of)
        .outerjoin(notes, notes.c.note_id == decisions.c.note_id)
        .where(gates.c.version_id.in_(version_ids))
        .order_by(decisions.c.decision_id)
    )
    return [{"version": numbers[row.version_id], **row._mapping} for row in connection.execute(query)]
