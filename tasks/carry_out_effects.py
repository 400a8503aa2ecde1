"""Carry out what was decided: publish, withdraw, archive. Safe to repeat, safe to be killed anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.effects import (
    Carried,
    Effect,
    begin_effects,
    cancelled_attempts,
    complete_archivings,
    complete_publications,
    complete_withdrawals,
    custody_in_use,
    load_open_effects,
    note_cleared,
    note_failure,
    published_custody,
)
from ledger.errors import StaleVersion
from ledger.transaction import Transaction
from tasks.errors import PermanentError, StorageRefused
from tasks.hold_back import held_back
from tasks.resources import Resources
from tasks.storage import Place

COPIES: Final = 8
"""Objects copied at once; the store does the work."""

BATCH: Final = 200
"""Effects that are marked in one transaction: what a crash makes the next sweep do again, at most."""

_KINDS: Final = ("withdraw", "publish", "archive")
_COMPLETE: Final[Mapping[str, Callable[[Transaction, Sequence[Carried]], None]]] = {
    "publish": complete_publications,
    "withdraw": complete_withdrawals,
    "archive": complete_archivings,
}


@dataclass(frozen=True, slots=True)
class EffectsSummary:
    """How many effects of each kind were carried out, and why others stay open (key → reason)."""

    done: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)


def carry_out(
    resources: Resources,
    actor: str,
    flow_run_id: str | None = None,
    *,
    version_ids: Iterable[int] | None = None,
    max_bytes: int | None = None,
) -> EffectsSummary:
    """Carry out open effects, of `version_ids` only if given, and none larger than `max_bytes`.

    An attempt is counted first, then the bytes are moved and verified, then the ledger is marked. What fails stays open
    with its reason; a storage that is away ends the sweep with `StorageAway` (transient).
    """
    wanted = None if version_ids is None else list(version_ids)
    done: Counter[str] = Counter()
    held: dict[str, str] = {}
    if wanted is None:
        _clear_cancelled(resources, actor, flow_run_id)
    for kind in _KINDS:
        with resources.ledger.reading() as connection:
            effects = load_open_effects(connection, [kind], version_ids=wanted)
        effects = [one for one in effects if max_bytes is None or one.size_bytes <= max_bytes]
        for start in range(0, len(effects), BATCH):
            batch = effects[start : start + BATCH]
            count, reasons = _carry_batch(resources, kind, batch, actor, flow_run_id)
            done[kind] += count
            held.update(reasons)
    return EffectsSummary({kind: count for kind, count in done.items() if count}, held)


def _carry_batch(
    resources: Resources, kind: str, batch: Sequence[Effect], actor: str, flow_run_id: str | None
) -> tuple[int, dict[str, str]]:
    reasons = held_back(resources, batch, actor, flow_run_id) if kind == "publish" else {}
    due = [one for one in batch if one.effect_id not in reasons]
    for one in batch:
        if one.effect_id in reasons and one.attempts:  # an attempt that died may have left its copy in the library
            reconcile_key(resources, one.bucket, one.key)
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        begin_effects(tx, (one.effect_id for one in due))
        for one in batch:
            if one.effect_id in reasons:
                note_failure(tx, one, reasons[one.effect_id])
    carried: list[Carried] = []
    with ThreadPoolExecutor(COPIES, thread_name_prefix=kind) as pool:
        for one, outcome in zip(due, pool.map(lambda effect: _attempt(resources, kind, effect), due), strict=True):
            if isinstance(outcome, str):
                reasons[one.effect_id] = outcome
                with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                    note_failure(tx, one, outcome)
            else:
                carried.append(Carried(one, outcome))
    completed = _complete(resources, kind, carried, actor, flow_run_id)
    return completed, {one.key: reasons[one.effect_id] for one in batch if one.effect_id in reasons}


def _attempt(resources: Resources, kind: str, effect: Effect) -> dict[str, Any] | str:
    """What was done, or why it could not be; transient trouble is raised."""
    try:
        if kind == "publish":
            return publish_bytes(resources, effect)
        if kind == "withdraw":
            resources.storage.delete(resources.storage.buckets.library, effect.key)
            return {"bucket": resources.storage.buckets.library, "key": effect.key}
        return archive_bytes(resources, effect)
    except PermanentError as error:
        return str(error)


def publish_bytes(resources: Resources, effect: Effect) -> dict[str, Any]:
    """Copy the approved bytes into the library and read them back; a copy that differs is removed again.

    Raises `CustodyBroken`, `ObjectMissing`, `ObjectChanged`, `StorageRefused`, `StorageAway`.
    """
    storage, library = resources.storage, resources.storage.buckets.library
    source = Place(effect.custody_bucket, effect.custody_key, effect.custody_version, effect.custody_etag)
    media_type = effect.media_type or "application/octet-stream"
    copied = storage.copy(source, library, effect.key, size_bytes=effect.size_bytes, media_type=media_type)
    try:
        storage.fetch_exactly_these(Place(library, effect.key, etag=copied.etag), effect.sha256)
    except PermanentError:
        reconcile_key(resources, effect.bucket, effect.key)
        raise
    return {"bucket": library, "key": effect.key, "etag": copied.etag, "sha256": effect.sha256}


def archive_bytes(resources: Resources, effect: Effect) -> dict[str, Any]:
    """Copy a version's bytes into the archive bucket and read them back: archived is what came back equal.

    Raises as `publish_bytes` does.
    """
    storage, archive = resources.storage, resources.storage.buckets.archive
    source = Place(effect.custody_bucket, effect.custody_key, effect.custody_version, effect.custody_etag)
    key = f"versions/{effect.version_id}/{effect.sha256}"
    media_type = effect.media_type or "application/octet-stream"
    copied = storage.copy(
        source,
        archive,
        key,
        size_bytes=effect.size_bytes,
        media_type=media_type,
        storage_class=effect.storage_class,
    )
    place = Place(archive, key, copied.object_version, copied.etag)
    storage.fetch_exactly_these(place, effect.sha256)
    return {
        "bucket": archive,
        "key": key,
        "object_version": copied.object_version,
        "etag": copied.etag or "",
        "sha256": effect.sha256,
        "storage_class": effect.storage_class or "STANDARD",
    }


def reconcile_key(resources: Resources, bucket: str, key: str) -> str:
    """Make the library hold under `key` what the ledger says is published there, or nothing. Returns what was done."""
    storage, library = resources.storage, resources.storage.buckets.library
    with resources.ledger.reading() as connection:
        published = published_custody(connection, bucket, key)
    if published is None:
        storage.delete(library, key)
        return "removed"
    source = Place(published.custody_bucket, published.custody_key, published.custody_version, published.custody_etag)
    media_type = published.media_type or "application/octet-stream"
    storage.copy(source, library, key, size_bytes=published.size_bytes, media_type=media_type)
    return "restored"


def _complete(resources: Resources, kind: str, carried: Sequence[Carried], actor: str, flow_run_id: str | None) -> int:
    """Mark a batch; if one of it moved meanwhile, mark one by one and take back what may not stay."""
    if not carried:
        return 0
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            _COMPLETE[kind](tx, carried)
        done = list(carried)
    except StaleVersion:
        done = [one for one in carried if _complete_one(resources, kind, one, actor, flow_run_id)]
    if kind == "archive":
        _free_working_copies(resources, done)
    return len(done)


def _complete_one(resources: Resources, kind: str, one: Carried, actor: str, flow_run_id: str | None) -> bool:
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            _COMPLETE[kind](tx, [one])
    except StaleVersion:
        if kind == "publish":
            reconcile_key(resources, one.effect.bucket, one.effect.key)
        return False
    return True


def _clear_cancelled(resources: Resources, actor: str, flow_run_id: str | None) -> None:
    """Take out of the library what cancelled publications may have put there before they died."""
    with resources.ledger.reading() as connection:
        leftovers = cancelled_attempts(connection)
    for effect_id, bucket, key in leftovers:
        result = reconcile_key(resources, bucket, key)
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            note_cleared(tx, effect_id, {"cleared": result})


def _free_working_copies(resources: Resources, archived: Sequence[Carried]) -> None:
    """Remove masters from the workspace that no version in custody needs any more."""
    workspace = resources.storage.buckets.workspace
    with resources.ledger.reading() as connection:
        candidates = [one.effect.custody_key for one in archived if one.effect.custody_bucket == workspace]
        needed = custody_in_use(connection, workspace, candidates)
    for key in candidates:
        if key not in needed:
            try:
                resources.storage.delete(workspace, key)
            except StorageRefused:
                continue  # under retention: it stays until the lock ends, which costs space and nothing else
