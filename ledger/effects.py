"""Effects: intended changes to storage, opened with the decision, carried out after it, closed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.custody import present_custody_id
from ledger.errors import StaleVersion
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, cancel_open_effects, move, present_versions
from policies.lifecycle import Action, State


@dataclass(frozen=True, slots=True)
class Effect:
    """An open effect and what is needed to carry it out. `custody` fields say where the bytes are."""

    effect_id: int
    version_id: int
    kind: str
    sha256: str
    size_bytes: int
    state: str
    bucket: str
    key: str
    custody_form: str
    custody_bucket: str
    custody_key: str
    custody_version: str | None
    custody_etag: str
    reason: str | None
    rule: str | None
    attempts: int
    media_type: str | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """An effect that was carried out and verified; `result` says where the bytes went and how they were checked."""

    effect: Effect
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CancelledAttempt:
    """An effect that was cancelled after an attempt: the library may hold the wrong bytes under this key, or none."""

    effect_id: int
    bucket: str
    key: str
    closed_at: datetime


def open_effects(
    tx: Transaction,
    kind: str,
    version_ids: Sequence[int],
    *,
    reason: str | None = None,
    rule: str | None = None,
    storage_class: str | None = None,
) -> None:
    """Open one effect of `kind` for each version, in the transaction that decided it.

    Raises `RuleBroken` when a version has an open effect already or its state does not allow this one.
    """
    present = present_versions(tx.connection, version_ids)
    rows: list[dict[str, Any]] = [
        {
            "effect_id": effect_id,
            "version_id": version_id,
            "kind": kind,
            "sha256": present[version_id].sha256,
            "status": "open",
            "reason": reason,
            "rule": rule,
            "storage_class": storage_class,
            "opened_at": tx.origin.at,
        }
        for effect_id, version_id in zip(tx.number(tables.effects, len(version_ids)), version_ids, strict=True)
    ]
    tx.insert(tables.effects, rows)
    tx.append(
        Draft(
            "open_effect",
            version_id=row["version_id"],
            round=present[row["version_id"]].round,
            policy_sha256=present[row["version_id"]].policy_sha256,
            effect_id=row["effect_id"],
            reason=reason,
            rule=rule,
            details={"kind": kind, "sha256": row["sha256"]},
        )
        for row in rows
    )


def load_open_effects(
    connection: sa.Connection, kinds: Iterable[str] | None = None, *, version_ids: Iterable[int] | None = None
) -> list[Effect]:
    """Effects that wait to be carried out, oldest first, with the present custody of their bytes."""
    effects, versions, assets, custody = tables.effects, tables.versions, tables.assets, tables.custody
    query = (
        sa.select(
            effects.c.effect_id,
            effects.c.version_id,
            effects.c.kind,
            effects.c.sha256,
            versions.c.size_bytes,
            versions.c.state,
            assets.c.bucket,
            assets.c.key,
            custody.c.form.label("custody_form"),
            custody.c.bucket.label("custody_bucket"),
            custody.c.key.label("custody_key"),
            custody.c.object_version.label("custody_version"),
            custody.c.etag.label("custody_etag"),
            effects.c.reason,
            effects.c.rule,
            effects.c.attempts,
            effects.c.storage_class,
            _media_type_of(versions.c.sha256).label("media_type"),
        )
        .join(versions, versions.c.version_id == effects.c.version_id)
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .join(custody, custody.c.custody_id == present_custody_id(versions.c.version_id))
        .where(effects.c.status == "open")
        .order_by(effects.c.effect_id)
    )
    if kinds is not None:
        query = query.where(effects.c.kind.in_(list(kinds)))
    if version_ids is not None:
        query = query.where(effects.c.version_id.in_(list(version_ids)))
    return [Effect(**row._mapping) for row in connection.execute(query)]


def has_untried_effects(connection: sa.Connection) -> bool:
    """Whether an effect is open that nobody has tried to carry out, nor held back for a reason."""
    effects = tables.effects
    untried = (effects.c.status == "open", effects.c.attempts == 0, effects.c.last_error.is_(None))
    return connection.scalar(sa.select(sa.literal(1)).where(*untried).limit(1)) is not None


def begin_effects(tx: Transaction, effect_ids: Iterable[int]) -> set[int]:
    """Count an attempt before storage is touched, so that a cancelled effect tells whether bytes may lie about.

    Returns those that are still open: only these may be carried out.
    """
    effects = tables.effects
    begun: set[int] = set()
    for batch in batches(effect_ids):
        is_open = sa.and_(effects.c.effect_id.in_(batch), effects.c.status == "open")
        begun.update(tx.connection.scalars(sa.select(effects.c.effect_id).where(is_open)))
        tx.connection.execute(effects.update().where(is_open).values(attempts=effects.c.attempts + 1))
    return begun


def cancelled_attempts(connection: sa.Connection) -> list[CancelledAttempt]:
    """Publish and withdraw effects that were cancelled after an attempt and are not cleared up yet."""
    effects, versions, assets = tables.effects, tables.versions, tables.assets
    query = (
        sa.select(effects.c.effect_id, assets.c.bucket, assets.c.key, effects.c.closed_at)
        .join(versions, versions.c.version_id == effects.c.version_id)
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .where(
            effects.c.kind.in_(("publish", "withdraw")),
            effects.c.status == "cancelled",
            effects.c.attempts > 0,
            effects.c.result.is_(None),
        )
    )
    return [CancelledAttempt(**row._mapping) for row in connection.execute(query)]


def note_cleared(tx: Transaction, effect_id: int, result: Mapping[str, Any]) -> None:
    """Record that what a cancelled effect may have left behind is cleared up."""
    effects = tables.effects
    tx.connection.execute(
        effects.update().where(effects.c.effect_id == effect_id).values(result=canonical_json(dict(result)).decode())
    )


def published_custody(connection: sa.Connection, bucket: str, key: str) -> Effect | None:
    """What the library must hold under a key: the published version of the asset and where its bytes are, or None."""
    versions, assets, custody = tables.versions, tables.assets, tables.custody
    row = connection.execute(
        sa.select(
            versions.c.version_id,
            versions.c.sha256,
            versions.c.size_bytes,
            versions.c.state,
            custody.c.form,
            custody.c.bucket,
            custody.c.key,
            custody.c.object_version,
            custody.c.etag,
            _media_type_of(versions.c.sha256).label("media_type"),
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .join(custody, sa.and_(custody.c.version_id == versions.c.version_id, custody.c.released_at.is_(None)))
        .where(assets.c.bucket == bucket, assets.c.key == key, versions.c.state == str(State.PUBLISHED))
        .order_by(custody.c.custody_id.desc())
    ).first()
    if row is None:
        return None
    return Effect(
        effect_id=0,
        version_id=row.version_id,
        kind="publish",
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        state=row.state,
        bucket=bucket,
        key=key,
        custody_form=row.form,
        custody_bucket=row.bucket,
        custody_key=row.key,
        custody_version=row.object_version,
        custody_etag=row.etag,
        reason=None,
        rule=None,
        attempts=0,
        media_type=row.media_type,
    )


def custody_in_use(connection: sa.Connection, bucket: str, keys: Iterable[str]) -> set[str]:
    """Which of these objects some version still has as its place of custody."""
    custody = tables.custody
    needed: set[str] = set()
    for batch in batches(keys):
        query = sa.select(custody.c.key).where(
            custody.c.bucket == bucket, custody.c.key.in_(batch), custody.c.released_at.is_(None)
        )
        needed.update(connection.scalars(query))
    return needed


def _media_type_of(sha256: sa.ColumnElement[str]) -> sa.ScalarSelect[str]:
    """The media type that the last inspection of these bytes found."""
    inspections = tables.inspections
    return (
        sa.select(inspections.c.media_type)
        .where(inspections.c.sha256 == sha256)
        .order_by(inspections.c.inspected_at.desc())
        .limit(1)
        .correlate_except(inspections)
        .scalar_subquery()
    )


def complete_publications(tx: Transaction, carried: Sequence[Carried]) -> None:
    """Mark publish effects done and publish their versions; an older published version is withdrawn in the same breath.

    Raises `StaleVersion` when an effect is no longer open: whoever carried it out must take its bytes back.
    """
    _close(tx, carried)
    versions = tables.versions
    present = present_versions(tx.connection, [one.effect.version_id for one in carried])
    asset_ids = {version.asset_id: version for version in present.values()}
    older: list[Move] = []
    for batch in batches(asset_ids):
        query = sa.select(versions.c.version_id, versions.c.asset_id).where(
            versions.c.asset_id.in_(batch), versions.c.state == str(State.PUBLISHED)
        )
        older.extend(
            Move(
                row.version_id,
                Action.WITHDRAW,
                State.PUBLISHED,
                reason="superseded",
                details={"by_number": asset_ids[row.asset_id].number},
            )
            for row in tx.connection.execute(query)
        )
    cancel_open_effects(tx, (one.version_id for one in older), "superseded")  # one to withdraw it, at most
    move(tx, older)
    move(
        tx,
        [
            Move(
                one.effect.version_id,
                Action.REPUBLISH if present[one.effect.version_id].state == State.WITHDRAWN else Action.PUBLISH,
                State(present[one.effect.version_id].state),
                effect_id=one.effect.effect_id,
                rule=one.effect.rule,
                details=one.result,
            )
            for one in carried
        ],
    )


def complete_withdrawals(tx: Transaction, carried: Sequence[Carried]) -> None:
    """Mark withdraw effects done and withdraw their versions, for the reason that opened the effect."""
    _close(tx, carried)
    move(
        tx,
        [
            Move(
                one.effect.version_id,
                Action.WITHDRAW,
                State.PUBLISHED,
                reason=one.effect.reason,
                effect_id=one.effect.effect_id,
                rule=one.effect.rule,
                details=one.result,
            )
            for one in carried
        ],
    )


def complete_archivings(tx: Transaction, carried: Sequence[Carried]) -> None:
    """Mark archive effects done, record the archive as the place of custody, and archive the versions."""
    _close(tx, carried)
    custody = tables.custody
    ids = tx.number(custody, len(carried))
    tx.insert(
        custody,
        [
            {
                "custody_id": custody_id,
                "version_id": one.effect.version_id,
                "form": "archived",
                "bucket": one.result["bucket"],
                "key": one.result["key"],
                "object_version": one.result.get("object_version"),
                "etag": one.result["etag"],
                "verified_at": tx.origin.at,
            }
            for custody_id, one in zip(ids, carried, strict=True)
        ],
    )
    for batch in batches(one.effect.version_id for one in carried):
        earlier = sa.and_(custody.c.version_id.in_(batch), custody.c.custody_id < ids.start)
        tx.connection.execute(
            custody.update().where(earlier, custody.c.released_at.is_(None)).values(released_at=tx.origin.at)
        )
    move(
        tx,
        [
            Move(
                one.effect.version_id,
                Action.ARCHIVE,
                State(one.effect.state),
                effect_id=one.effect.effect_id,
                rule=one.effect.rule,
                reason=one.effect.reason,
                details=one.result,
            )
            for one in carried
        ],
    )


def note_failure(tx: Transaction, effect: Effect, error: str) -> None:
    """Say why an attempt failed; the effect stays open for the next sweep. A reason is audited when it is new."""
    effects = tables.effects
    row = tx.connection.execute(sa.select(effects).where(effects.c.effect_id == effect.effect_id)).one()
    if row.status != "open":
        return
    tx.connection.execute(effects.update().where(effects.c.effect_id == effect.effect_id).values(last_error=error))
    if row.last_error != error:
        version = present_versions(tx.connection, [effect.version_id])[effect.version_id]
        tx.append(
            [
                Draft(
                    "effect_failed",
                    effect.version_id,
                    round=version.round,
                    policy_sha256=version.policy_sha256,
                    rule=row.rule,
                    effect_id=effect.effect_id,
                    reason=error,
                    details={"kind": effect.kind},
                )
            ]
        )


def _close(tx: Transaction, carried: Sequence[Carried]) -> None:
    effects = tables.effects
    wanted = {one.effect.effect_id: one for one in carried}
    still_open: set[int] = set()
    for batch in batches(wanted):
        query = sa.select(effects.c.effect_id).where(effects.c.effect_id.in_(batch), effects.c.status == "open")
        still_open.update(tx.connection.scalars(query))
    gone = [one.effect.version_id for effect_id, one in wanted.items() if effect_id not in still_open]
    if gone:
        raise StaleVersion(gone, "an open effect")
    for one in carried:
        tx.connection.execute(
            effects.update()
            .where(effects.c.effect_id == one.effect.effect_id)
            .values(
                status="done",
                closed_at=tx.origin.at,
                result=canonical_json(dict(one.result)).decode(),
            )
        )
