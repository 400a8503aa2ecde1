"""Read new objects of the intake once: hash them, keep a local copy, and take their bytes into custody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ledger.reader import Unscreened
from ledger.submit import Arrival, Custody, Refused
from policies.document import PolicyDocument, collection_for
from tasks.errors import CustodyBroken, ObjectChanged, ObjectMissing, PermanentError
from tasks.list_intake import NewObject
from tasks.storage import Fetched, Place, Storage

T = TypeVar("T")
R = TypeVar("R")

READERS: Final = 8
"""Objects read at once: the wait for the store is what is overlapped, not the processor."""


@dataclass(frozen=True, slots=True)
class FetchedObject:
    """An object of the intake whose bytes are in custody, with its local copy if it is to be looked into."""

    arrival: Arrival
    path: Path | None


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What could be fetched, what was refused and why, and the keys that vanished between listing and reading."""

    fetched: tuple[FetchedObject, ...]
    refused: tuple[Refused, ...]
    vanished: tuple[str, ...]


def fetch_objects(
    storage: Storage, objects: Sequence[NewObject], policy: PolicyDocument, spool: Path | None
) -> FetchResult:
    """Read `objects`, hash them, take them into custody, and keep local copies in `spool` if given.

    A versioned source is referenced by version id; from any other the bytes are copied to `masters/<sha256>` of the
    workspace and the copy is read back. An object that changed since the listing is taken as it is now; one that the
    store refuses to give stops no other. What is larger than the policy accepts is hashed and kept nowhere here.
    Raises `StorageAway` and `SpoolFull` (transient).
    """
    bucket = storage.buckets.intake

    def one(numbered: tuple[int, NewObject]) -> FetchedObject | Refused | None:
        number, listed = numbered
        path = spool / f"{number}" if spool and listed.size_bytes <= policy.screening.max_size else None
        try:
            fetched = storage.fetch(Place(bucket, listed.key), path)
            held = take_custody(storage, fetched)
        except (ObjectMissing, ObjectChanged):
            return None
        except PermanentError as error:
            return Refused(bucket, listed.key, listed.etag, listed.size_bytes, listed.modified_at, str(error))
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
    return FetchResult(
        fetched=tuple(result for result in results if isinstance(result, FetchedObject)),
        refused=tuple(result for result in results if isinstance(result, Refused)),
        vanished=tuple(listed.key for listed, result in zip(objects, results, strict=True) if result is None),
    )


@dataclass(frozen=True, slots=True)
class VersionsRead:
    """Local paths by version id, and why the bytes of others are not there any more."""

    paths: Mapping[int, Path]
    lost: Mapping[int, str]


def fetch_versions(storage: Storage, versions: Sequence[Unscreened], spool: Path) -> VersionsRead:
    """Read versions from their place of custody into `spool`.

    Bytes that are gone, or are not those that were recorded, stop no other version. Raises `StorageRefused`,
    `StorageAway` and `SpoolFull` (transient).
    """

    def one(version: Unscreened) -> Path | str:
        path = spool / f"version-{version.version_id}"
        place = Place(version.custody_bucket, version.custody_key, version.custody_version, version.custody_etag)
        try:
            storage.fetch_exactly_these(place, version.sha256, path)
        except (ObjectMissing, ObjectChanged, CustodyBroken) as error:
            return f"its bytes are lost: {error}"
        return path

    found = list(zip(versions, _in_parallel(one, list(versions)), strict=True))
    return VersionsRead(
        paths={version.version_id: result for version, result in found if isinstance(result, Path)},
        lost={version.version_id: result for version, result in found if isinstance(result, str)},
    )


def take_custody(storage: Storage, fetched: Fetched) -> Custody:
    """Make sure that the bytes just read stay available: by their version id, or by a verified copy.

    A copy that is there already and holds other bytes is written anew.
    """
    place = fetched.place
    if place.object_version:
        return Custody("referenced", place.bucket, place.key, place.object_version, place.etag or "")
    workspace, key = storage.buckets.workspace, f"masters/{fetched.sha256}"
    try:
        copy = storage.fetch_exactly_these(Place(workspace, key), fetched.sha256)
    except (ObjectMissing, ObjectChanged, CustodyBroken):
        copied = storage.copy(
            place, workspace, key, size_bytes=fetched.size_bytes, media_type="application/octet-stream"
        )
        copy = storage.fetch_exactly_these(Place(workspace, key, etag=copied.etag), fetched.sha256)
    return Custody("copied", workspace, key, copy.place.object_version, copy.place.etag or "")


def _in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="fetch") as pool:
        return list(pool.map(function, items))
