"""Read new objects of the intake once: hash them, keep a local copy, and take their bytes into custody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ledger.reader import Unscreened
from ledger.submit import Arrival, Custody
from policies.document import PolicyDocument, collection_for
from tasks.errors import ObjectChanged, ObjectMissing
from tasks.list_intake import NewObject
from tasks.storage import Fetched, Place, Storage

T = TypeVar("T")
R = TypeVar("R")

READERS: Final = 8
"""Objects read at once: the wait for the store is what is overlapped, not the processor."""


@dataclass(frozen=True, slots=True)
class FetchedObject:
    """An object of the intake whose bytes are in custody, with its local copy."""

    arrival: Arrival
    path: Path


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What could be fetched, and the keys that vanished between listing and reading."""

    fetched: tuple[FetchedObject, ...]
    vanished: tuple[str, ...]


def fetch_objects(storage: Storage, objects: Sequence[NewObject], policy: PolicyDocument, spool: Path) -> FetchResult:
    """Read `objects` into `spool`, hash them and take them into custody.

    A versioned source is referenced by version id; from any other the bytes are copied to `masters/<sha256>` of the
    workspace and the copy is read back. An object that changed since the listing is taken as it is now. Raises
    `StorageAway` (transient).
    """
    bucket = storage.buckets.intake

    def one(numbered: tuple[int, NewObject]) -> FetchedObject | None:
        number, listed = numbered
        path = spool / f"{number}"
        try:
            fetched = storage.fetch(Place(bucket, listed.key), path)
            held = take_custody(storage, fetched)
        except (ObjectMissing, ObjectChanged):
            return None
        collection = collection_for(policy, listed.key)
        unchanged = fetched.place.etag == listed.etag
        arrival = Arrival(
            bucket=bucket,
            key=listed.key,
            etag=fetched.place.etag or "",
            size_bytes=fetched.size_bytes,
            modified_at=listed.modified_at if unchanged else fetched.modified_at,
            sha256=fetched.sha256,
            collection=collection.name,
            submitter=collection.submitter,
            custody=held,
        )
        return FetchedObject(arrival, path)

    results = _in_parallel(one, list(enumerate(objects)))
    found = tuple(result for result in results if result is not None)
    vanished = tuple(listed.key for listed, result in zip(objects, results, strict=True) if result is None)
    return FetchResult(found, vanished)


def fetch_versions(storage: Storage, versions: Sequence[Unscreened], spool: Path) -> dict[int, Path]:
    """Read versions from their place of custody into `spool`; returns local paths by version id.

    Raises `CustodyBroken` when the bytes there are not those that were recorded.
    """

    def one(version: Unscreened) -> tuple[int, Path]:
        path = spool / f"version-{version.version_id}"
        place = Place(version.custody_bucket, version.custody_key, version.custody_version, version.custody_etag)
        storage.fetch_exactly_these(place, version.sha256, path)
        return version.version_id, path

    return dict(_in_parallel(one, list(versions)))


def take_custody(storage: Storage, fetched: Fetched) -> Custody:
    """Make sure that the bytes just read stay available: by their version id, or by a verified copy."""
    place = fetched.place
    if place.object_version:
        return Custody("referenced", place.bucket, place.key, place.object_version, place.etag or "")
    key = f"masters/{fetched.sha256}"
    workspace = storage.buckets.workspace
    etag = storage.etag_of(workspace, key)
    if etag is None:
        copied = storage.copy(
            place, workspace, key, size_bytes=fetched.size_bytes, media_type="application/octet-stream"
        )
        etag = copied.etag
    copy = storage.fetch_exactly_these(Place(workspace, key, etag=etag), fetched.sha256)
    return Custody("copied", workspace, key, copy.place.object_version, copy.place.etag or "")


def _in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="fetch") as pool:
        return list(pool.map(function, items))
