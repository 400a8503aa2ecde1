"""Inspect the bytes of a shard in the sandbox; bytes that this inspector has seen are not inspected again."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from classifiers.inspection import INSPECTOR, EmbeddedRights, EmbeddedStatus, Inspection
from classifiers.media_types import UNKNOWN, kind_of, media_type_of_name
from classifiers.sandbox import Sandbox
from ledger.reader import inspections_of
from ledger.screen import InspectionRecord
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class ToInspect:
    """Some bytes: their SHA-256, size, the local copy, and the key under which they came."""

    sha256: str
    size_bytes: int
    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """What inspection says of some bytes, and the record to keep if it is new."""

    inspection: Inspection
    record: InspectionRecord | None


def inspect_contents(resources: Resources, items: Mapping[str, ToInspect]) -> dict[str, Inspected]:
    """Inspect each distinct SHA-256 of `items` once and put new thumbnails into the workspace bucket.

    The type that a name announces belongs to the key, not to the bytes: callers compare it per version. Raises
    `StorageAway` (transient).
    """
    if not resources.settings.ingest.inspect:
        return {sha256: Inspected(_by_name_only(item), None) for sha256, item in items.items()}
    with resources.ledger.reading() as connection:
        known = inspections_of(connection, items, INSPECTOR)
    fresh = [item for sha256, item in items.items() if sha256 not in known]
    found = {sha256: Inspected(Inspection.from_json(body), None) for sha256, (body, _) in known.items()}
    inspections = _sandbox().inspect([(item.path, item.key) for item in fresh])
    thumbnails = [(thumbnail_key(one.sha256), one.thumbnail) for one in inspections if one.thumbnail and one.sha256]
    resources.storage.put_many(resources.storage.buckets.workspace, thumbnails)
    for item, inspection in zip(fresh, inspections, strict=True):
        found[item.sha256] = Inspected(inspection, _record(item.sha256, inspection))
    return found


def thumbnail_key(sha256: str) -> str:
    """Where the thumbnail of these bytes lies in the workspace bucket."""
    return f"thumbnails/{sha256}.jpg"


_of_thread = threading.local()


def _sandbox() -> Sandbox:
    """One sandbox a thread, kept for all its shards: two at once would read each other's answers."""
    found: Sandbox | None = getattr(_of_thread, "sandbox", None)
    if found is None:
        found = _of_thread.sandbox = Sandbox()
        atexit.register(found.close)
    return found


def _record(sha256: str, inspection: Inspection) -> InspectionRecord:
    return InspectionRecord(
        sha256=sha256,
        inspector=INSPECTOR,
        media_type=inspection.media_type,
        kind=str(inspection.kind),
        failure=inspection.failure,
        perceptual_hash=inspection.perceptual_hash,
        thumbnail=thumbnail_key(sha256) if inspection.thumbnail else None,
        body=inspection.to_json(),
    )


def _by_name_only(item: ToInspect) -> Inspection:
    """What can be said without looking: the type its name announces, and that its rights were not read."""
    media_type = media_type_of_name(item.key) or UNKNOWN
    return Inspection(
        item.sha256, item.size_bytes, media_type, kind_of(media_type), media_type, embedded=unread_rights()
    )


def not_inspected(item: ToInspect, reason: str) -> Inspected:
    """What is said of bytes that cannot or shall not be looked into; it is kept of this version only."""
    return Inspected(replace(_by_name_only(item), failure=reason), None)


def unread_rights() -> EmbeddedRights:
    """What is known of a file's own rights when nobody looked: never the same as nothing."""
    return EmbeddedRights(EmbeddedStatus.UNPARSED)
