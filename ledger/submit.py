"""Submit: new bytes under a key become a version; the same bytes again ask to reopen the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.transaction import Draft, Transaction, among, batches
from ledger.transitions import Move, Present, cancel_open_effects, move, present_versions
from policies.lifecycle import Action, State

_CLOCK_GRAIN = timedelta(seconds=1)
"""Object stores tell the time of a write to the millisecond in listings, to the second when it is read."""


@dataclass(frozen=True, slots=True)
class Custody:
    """Where a version's bytes are safe. `form` is `referenced` (a pinned version of the source) or `copied`."""

    form: str
    bucket: str
    key: str
    object_version: str | None
    etag: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object of the source whose bytes were read, hashed and taken into custody."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    modified_at: datetime
    sha256: str
    collection: str
    submitter: str | None
    custody: Custody


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that became no version, and why. Every later listing tries it again."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    modified_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of an arrival: a `new` version, a `reopened` one, or one that was `known` (nothing to do)."""

    arrival: Arrival
    version_id: int
    number: int
    round: int
    outcome: str


def submit(tx: Transaction, arrivals: Sequence[Arrival], policy_sha256: str) -> list[Submission]:
    """Record the arrivals, each key at most once; new bytes are born, take the next number and are submitted.

    The same bytes under the same key are no new version: a version that was rejected or sent back for changes is
    reopened in a new round under `policy_sha256`; any other is left where it stands. Safe to repeat.
    """
    latest = {(one.bucket, one.key): one for one in arrivals}
    ordered = list(latest.values())
    asset_ids = _assets(tx, ordered)
    numbers, known = _known_versions(tx, asset_ids.values())
    seen = _seen(tx, ordered)
    present = present_versions(tx.connection, known.values())
    submissions: list[Submission] = []
    born: list[dict[str, Any]] = []
    custody: list[dict[str, Any]] = []
    reopened: list[Move] = []
    fresh = [one for one in ordered if (asset_ids[one.bucket, one.key], one.sha256) not in known]
    new_ids = iter(tx.number(tables.versions, len(fresh)))
    custody_ids = iter(tx.number(tables.custody, len(fresh)))
    for one in ordered:
        asset_id = asset_ids[one.bucket, one.key]
        version_id = known.get((asset_id, one.sha256))
        if version_id is not None:
            step = _reopening(one, present[version_id], seen.get((one.bucket, one.key)), policy_sha256)
            reopened.extend([step] if step else [])
            state = present[version_id]
            outcome = "reopened" if step else "known"
            submissions.append(Submission(one, version_id, state.number, state.round + bool(step), outcome))
            continue
        version_id = next(new_ids)
        numbers[asset_id] = number = numbers.get(asset_id, 0) + 1
        born.append(_version_row(one, version_id, asset_id, number, policy_sha256))
        custody.append(_custody_row(one, next(custody_ids), version_id, tx.origin.at))
        submissions.append(Submission(one, version_id, number, 1, "new"))
    tx.insert(tables.versions, born)
    tx.insert(tables.custody, custody)
    tx.append(_birth(one, policy_sha256) for one in submissions if one.outcome == "new")
    cancel_open_effects(tx, (one.version_id for one in reopened), "reopened")  # one to archive it, at most
    move(tx, reopened)
    _remember(tx, submissions)
    return submissions


def refuse(tx: Transaction, refused: Sequence[Refused], policy_sha256: str | None = None) -> None:
    """Record objects that could not become versions; audited when the object or its reason is new.

    `policy_sha256`: the policy that decides what is taken.
    """
    seen = _seen(tx, refused)
    tx.append(
        Draft(
            "refuse_object",
            policy_sha256=policy_sha256,
            reason=one.reason,
            details={"bucket": one.bucket, "key": one.key, "etag": one.etag},
        )
        for one in refused
        if (last := seen.get((one.bucket, one.key))) is None or (last.etag, last.refusal) != (one.etag, one.reason)
    )
    _upsert_sightings(tx, [_sighting(one, tx.origin.at, None, one.reason) for one in refused])


def _assets(tx: Transaction, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], int]:
    assets = tables.assets
    found: dict[tuple[str, str], int] = {}
    for bucket in {one.bucket for one in arrivals}:
        for batch in batches(one.key for one in arrivals if one.bucket == bucket):
            query = sa.select(assets.c.asset_id, assets.c.key).where(
                assets.c.bucket == bucket, among(tx.connection, assets.c.key, batch)
            )
            found.update({(bucket, row.key): row.asset_id for row in tx.connection.execute(query)})
    missing = [name for one in arrivals if (name := (one.bucket, one.key)) not in found]
    new = dict(zip(missing, tx.number(tables.assets, len(missing)), strict=True))
    tx.insert(
        assets,
        [
            {"asset_id": asset_id, "bucket": bucket, "key": key, "created_at": tx.origin.at}
            for (bucket, key), asset_id in new.items()
        ],
    )
    found.update(new)
    return found


def _known_versions(
    tx: Transaction, asset_ids: Sequence[int] | Any
) -> tuple[dict[int, int], dict[tuple[int, str], int]]:
    versions = tables.versions
    numbers: dict[int, int] = {}
    known: dict[tuple[int, str], int] = {}
    for batch in batches(asset_ids):
        query = sa.select(versions.c.version_id, versions.c.asset_id, versions.c.number, versions.c.sha256)
        for row in tx.connection.execute(query.where(among(tx.connection, versions.c.asset_id, batch))):
            numbers[row.asset_id] = max(row.number, numbers.get(row.asset_id, 0))
            known[row.asset_id, row.sha256] = row.version_id
    return numbers, known


def _seen(tx: Transaction, arrivals: Sequence[Arrival | Refused]) -> dict[tuple[str, str], Any]:
    sightings = tables.sightings
    found: dict[tuple[str, str], Any] = {}
    for bucket in {one.bucket for one in arrivals}:
        for batch in batches(one.key for one in arrivals if one.bucket == bucket):
            query = sa.select(sightings).where(
                sightings.c.bucket == bucket, among(tx.connection, sightings.c.key, batch)
            )
            found.update({(bucket, row.key): row for row in tx.connection.execute(query)})
    return found


def _reopening(arrival: Arrival, now: Present, sighting: Any, policy_sha256: str) -> Move | None:
    """The submitter put the same bytes again after a "no": a request to look once more, good once a round."""
    put_again = sighting is None or arrival.modified_at - sighting.modified_at > _CLOCK_GRAIN
    if not put_again or now.state not in (State.REJECTED, State.CHANGES_REQUESTED):
        return None
    return Move(
        now.version_id,
        Action.REOPEN,
        State(now.state),
        reason="the submitter put the same bytes again",
        policy_sha256=policy_sha256,
        details={"key": arrival.key, "modified_at": arrival.modified_at.isoformat()},
    )


def _version_row(arrival: Arrival, version_id: int, asset_id: int, number: int, policy_sha256: str) -> dict[str, Any]:
    return {
        "version_id": version_id,
        "asset_id": asset_id,
        "number": number,
        "sha256": arrival.sha256,
        "size_bytes": arrival.size_bytes,
        "collection": arrival.collection,
        "submitter": arrival.submitter,
        "policy_sha256": policy_sha256,
    }


def _custody_row(arrival: Arrival, custody_id: int, version_id: int, at: datetime) -> dict[str, Any]:
    held = arrival.custody
    return {
        "custody_id": custody_id,
        "version_id": version_id,
        "form": held.form,
        "bucket": held.bucket,
        "key": held.key,
        "object_version": held.object_version,
        "etag": held.etag,
        "verified_at": at,
    }


def _birth(submission: Submission, policy_sha256: str) -> Draft:
    arrival = submission.arrival
    return Draft(
        action=str(Action.SUBMIT),
        version_id=submission.version_id,
        from_state="",
        to_state=str(State.SUBMITTED),
        round=1,
        policy_sha256=policy_sha256,
        details={
            "bucket": arrival.bucket,
            "key": arrival.key,
            "number": submission.number,
            "sha256": arrival.sha256,
            "size_bytes": arrival.size_bytes,
            "custody": arrival.custody.form,
        },
    )


def _remember(tx: Transaction, submissions: Sequence[Submission]) -> None:
    _upsert_sightings(tx, [_sighting(one.arrival, tx.origin.at, one.version_id, None) for one in submissions])


def _sighting(one: Arrival | Refused, at: datetime, version_id: int | None, refusal: str | None) -> dict[str, Any]:
    return {
        "bucket": one.bucket,
        "key": one.key,
        "etag": one.etag,
        "size_bytes": one.size_bytes,
        "modified_at": one.modified_at,
        "version_id": version_id,
        "refusal": refusal,
        "seen_at": at,
    }


def _upsert_sightings(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    sightings = tables.sightings
    for bucket in {row["bucket"] for row in rows}:
        for batch in batches(row["key"] for row in rows if row["bucket"] == bucket):
            tx.connection.execute(
                sightings.delete().where(sightings.c.bucket == bucket, among(tx.connection, sightings.c.key, batch))
            )
    tx.insert(sightings, rows)
