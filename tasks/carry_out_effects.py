"""Carry out what was decided: publish, withdraw, archive. Safe to repeat, safe to be killed anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
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
    has_untried_effects,
    load_open_effects,
    note_cleared,
    note_failure,
    published_custody,
)
from ledger.errors import RuleBroken, StaleVersion
from ledger.transaction import Transaction
from tasks.errors import (
    CustodyBroken,
    NotRestored,
    ObjectChanged,
    ObjectMissing,
    PermanentError,
    PublicationUndone,
    StorageRefused,
    TransientError,
)
from tasks.hold_back import held_back
from tasks.resources import Resources
from tasks.storage import Place

COPIES: Final = 8
"""Objects copied at once; the store does the work."""

BATCH: Final = 200
"""Effects that are marked in one transaction: what a crash makes the next sweep do again, at most."""

ATTEMPT_ENDS_WITHIN: Final = timedelta(hours=1)
"""No attempt goes on for longer than this after its effect was cancelled."""

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

    def followed_by(self, later: EffectsSummary) -> EffectsSummary:
        """Both together: the effects of both were done, the later one says what is still held.

        >>> EffectsSummary({"publish": 2}, {"a": "away"}).followed_by(EffectsSummary({"publish": 1}))
        EffectsSummary(done={'publish': 3}, held={})
        """
        return EffectsSummary(dict(Counter(self.done) + Counter(later.done)), later.held)


def has_open_effects(resources: Resources) -> bool:
    """Whether anything waits to be carried out that was not tried before."""
    with resources.ledger.reading() as connection:
        return has_untried_effects(connection)


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
    with its reason, and stops nothing else: where the storage is away for some objects the others are still marked, and
    `StorageAway` (transient) is raised at the end; a batch in which nothing could be done ends the sweep with it.
    """
    wanted = None if version_ids is None else list(version_ids)
    done: Counter[str] = Counter()
    held: dict[str, str] = {}
    away: TransientError | None = None
    if wanted is None:
        held.update(_clear_cancelled(resources, actor, flow_run_id))
    for kind in _KINDS:
        with resources.ledger.reading() as connection:
            effects = load_open_effects(connection, [kind], version_ids=wanted)
        effects = [one for one in effects if max_bytes is None or one.size_bytes <= max_bytes]
        for start in range(0, len(effects), BATCH):
            carried = _carry_batch(resources, kind, effects[start : start + BATCH], actor, flow_run_id)
            done[kind] += carried.done
            held.update(carried.held)
            away = away or carried.away
            if carried.away is not None and not carried.done:
                raise carried.away
    if away is not None:
        raise away
    return EffectsSummary({kind: count for kind, count in done.items() if count}, held)


@dataclass(frozen=True, slots=True)
class _Batch:
    """How many effects were marked, why others stay open (key → reason), and what was away for some, if anything."""

    done: int
    held: Mapping[str, str]
    away: TransientError | None


def _carry_batch(
    resources: Resources, kind: str, batch: Sequence[Effect], actor: str, flow_run_id: str | None
) -> _Batch:
    reasons = held_back(resources, batch, actor, flow_run_id) if kind == "publish" else {}
    for one in batch:
        if one.effect_id in reasons and one.attempts:  # an attempt that died may have left its copy in the library
            reasons[one.effect_id] += _taken_back(resources, one)
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        begun = begin_effects(tx, (one.effect_id for one in batch if one.effect_id not in reasons))
        for one in batch:
            if one.effect_id in reasons:
                note_failure(tx, one, reasons[one.effect_id])
    due = [one for one in batch if one.effect_id in begun]
    with ThreadPoolExecutor(COPIES, thread_name_prefix=kind) as pool:
        outcomes = list(zip(due, pool.map(lambda effect: _attempt(resources, kind, effect), due), strict=True))
    failed = {one.effect_id: outcome for one, outcome in outcomes if isinstance(outcome, str)}
    carried = [Carried(one, outcome) for one, outcome in outcomes if isinstance(outcome, dict)]
    done, refused = _complete(resources, kind, carried, actor, flow_run_id)
    failed.update(refused)
    if failed:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            for one in due:
                if one.effect_id in failed:
                    note_failure(tx, one, failed[one.effect_id])
    reasons.update(failed)
    away = next((outcome for _, outcome in outcomes if isinstance(outcome, TransientError)), None)
    return _Batch(done, {one.key: reasons[one.effect_id] for one in batch if one.effect_id in reasons}, away)


def _attempt(resources: Resources, kind: str, effect: Effect) -> dict[str, Any] | str | TransientError:
    """What was done, or why it could not be; trouble that may pass is handed back, for the others go on."""
    try:
        if kind == "publish":
            return publish_bytes(resources, effect)
        if kind == "withdraw":
            resources.storage.delete(resources.storage.buckets.library, effect.key)
            return {"bucket": resources.storage.buckets.library, "key": effect.key}
        return archive_bytes(resources, effect)
    except PermanentError as error:
        return str(error)
    except TransientError as error:
        return error


def publish_bytes(resources: Resources, effect: Effect) -> dict[str, Any]:
    """Copy the approved bytes into the library and read them back; a copy that differs is removed again.

    Raises `PublicationUndone`, `ObjectMissing`, `ObjectChanged`, `StorageRefused`, `StorageAway`.
    """
    storage, library = resources.storage, resources.storage.buckets.library
    source = Place(effect.custody_bucket, effect.custody_key, effect.custody_version, effect.custody_etag)
    media_type = effect.media_type or "application/octet-stream"
    copied = storage.copy(source, library, effect.key, size_bytes=effect.size_bytes, media_type=media_type)
    try:
        storage.fetch_exactly_these(Place(library, effect.key, etag=copied.etag), effect.sha256)
    except PermanentError as error:
        raise PublicationUndone(str(error) + _taken_back(resources, effect)) from error
    return {"bucket": library, "key": effect.key, "etag": copied.etag, "sha256": effect.sha256}


def archive_bytes(resources: Resources, effect: Effect) -> dict[str, Any]:
    """Copy a version's bytes into the archive bucket and read them back: archived is what came back equal.

    Raises `CustodyBroken`, `ObjectMissing`, `ObjectChanged`, `StorageRefused`, `StorageAway`.
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
    """Make the library hold under `key` what the ledger says is published there, or nothing. Returns what was done.

    The ledger is read again afterwards: what another run published or withdrew meanwhile counts. Raises `NotRestored`
    when the published bytes cannot be had; the library then holds nothing under the key.
    """
    published = _published(resources, bucket, key)
    while True:
        result = _put_right(resources, key, published)
        before, published = published, _published(resources, bucket, key)
        if (before and before.version_id) == (published and published.version_id):
            return result


def _published(resources: Resources, bucket: str, key: str) -> Effect | None:
    with resources.ledger.reading() as connection:
        return published_custody(connection, bucket, key)


def _put_right(resources: Resources, key: str, published: Effect | None) -> str:
    storage, library = resources.storage, resources.storage.buckets.library
    if published is None:
        storage.delete(library, key)
        return "removed"
    try:
        storage.fetch_exactly_these(Place(library, key), published.sha256)
        return "kept"
    except (ObjectMissing, ObjectChanged, CustodyBroken):
        pass  # others, or none: they are put there now
    source = Place(published.custody_bucket, published.custody_key, published.custody_version, published.custody_etag)
    media_type = published.media_type or "application/octet-stream"
    try:
        copied = storage.copy(source, library, key, size_bytes=published.size_bytes, media_type=media_type)
        storage.fetch_exactly_these(Place(library, key, etag=copied.etag), published.sha256)
    except PermanentError as error:
        storage.delete(library, key)
        raise NotRestored(library, key, str(error)) from error
    return "restored"


def _taken_back(resources: Resources, effect: Effect) -> str:
    """Reconcile the key of an effect; what went wrong with it, to be said after the effect's own reason."""
    try:
        reconcile_key(resources, effect.bucket, effect.key)
    except PermanentError as error:
        return f"; {error}"
    return ""


def _complete(
    resources: Resources, kind: str, carried: Sequence[Carried], actor: str, flow_run_id: str | None
) -> tuple[int, dict[int, str]]:
    """Mark a batch; if one of it moved meanwhile, mark one by one and take back what may not stay.

    Returns how many were marked, and effect id → why it was not.
    """
    refused: dict[int, str] = {}
    if not carried:
        return 0, refused
    done = list(carried)
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            _COMPLETE[kind](tx, carried)
    except (StaleVersion, RuleBroken):
        done = []
        for one in carried:
            reason = _complete_one(resources, kind, one, actor, flow_run_id)
            if reason is None:
                done.append(one)
            else:
                refused[one.effect.effect_id] = reason
    if kind == "archive":
        _free_working_copies(resources, done)
    return len(done), refused


def _complete_one(resources: Resources, kind: str, one: Carried, actor: str, flow_run_id: str | None) -> str | None:
    """Mark one effect; why it could not be marked, None if it was."""
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            _COMPLETE[kind](tx, [one])
    except (StaleVersion, RuleBroken) as error:
        return str(error) + (_taken_back(resources, one.effect) if kind != "archive" else "")
    return None


def _clear_cancelled(resources: Resources, actor: str, flow_run_id: str | None) -> dict[str, str]:
    """Take out of the library what cancelled publications may have put there; key → why that was not possible.

    An attempt that began before its effect was cancelled may still be copying in another run, and die after it: each
    such key is looked at until no attempt can be alive any more.
    """
    with resources.ledger.reading() as connection:
        leftovers = cancelled_attempts(connection)
    problems: dict[str, str] = {}
    for one in leftovers:
        try:
            result = reconcile_key(resources, one.bucket, one.key)
        except PermanentError as error:
            problems[one.key] = str(error)
            continue
        if resources.clock.now() - one.closed_at >= ATTEMPT_ENDS_WITHIN:
            with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                note_cleared(tx, one.effect_id, {"cleared": result})
    return problems


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
