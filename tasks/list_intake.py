"""List the intake, compare it with the ledger, and cut what is new into shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ledger.reader import Sighting, Unscreened, sightings, unscreened
from tasks.resources import Resources
from tasks.storage import Listed


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object of the intake that the ledger has not seen in this shape."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Shard:
    """What one task screens: new objects, and versions that an earlier run left half-way."""

    number: int
    objects: tuple[NewObject, ...] = ()
    version_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """What a run has to do: how many objects were listed and left alone, and the shards of the rest."""

    listed: int
    unchanged: int
    shards: tuple[Shard, ...] = field(default_factory=tuple)


def list_intake(resources: Resources) -> IntakePlan:
    """List the source bucket and decide what this run screens. Nothing is read or written yet.

    Raises `StorageAway` (transient) when the store cannot be listed.
    """
    settings = resources.settings.ingest
    bucket = resources.settings.s3.buckets.intake
    with resources.ledger.reading() as connection:
        known = sightings(connection, bucket)
        pending = unscreened(connection)
    listed, fresh = 0, []
    for page in resources.storage.list_objects(bucket, settings.prefix):
        listed += len(page)
        fresh.extend(changed_objects(page, known))
    shards = cut_shards(fresh, pending, settings.shard_size, settings.shard_bytes)
    return IntakePlan(listed, listed - len(fresh), tuple(shards))


def changed_objects(page: Iterable[Listed], known: Mapping[str, Sighting]) -> list[NewObject]:
    """The objects of a page that differ from what was seen last: new, replaced, or put again.

    What could not be taken up is tried again each time: its reason may lie outside of the object.
    """
    return [
        NewObject(one.key, one.size_bytes, one.etag, one.modified_at)
        for one in page
        if (seen := known.get(one.key)) is None
        or seen.refusal is not None
        or (seen.etag, seen.size_bytes, seen.modified_at) != (one.etag, one.size_bytes, one.modified_at)
    ]


def cut_shards(
    fresh: Iterable[NewObject], pending: Iterable[Unscreened], shard_size: int, shard_bytes: int
) -> list[Shard]:
    """Cut the work into shards of at most `shard_size` assets and `shard_bytes` bytes; a larger asset is one by itself.

    What an earlier run left half-way comes first.

    >>> [len(s.objects) for s in cut_shards([NewObject(k, 4, "e", datetime.min) for k in "abc"], [], 10, 9)]
    [2, 1]
    """
    shards: list[Shard] = []
    objects: list[NewObject] = []
    version_ids: list[int] = []
    size = 0

    def close() -> None:
        nonlocal size
        if objects or version_ids:
            shards.append(Shard(len(shards) + 1, tuple(objects), tuple(version_ids)))
        objects.clear()
        version_ids.clear()
        size = 0

    work: list[NewObject | Unscreened] = [*pending, *fresh]
    for one in work:
        full = len(objects) + len(version_ids) >= shard_size or size + one.size_bytes > shard_bytes
        if full:
            close()
        if isinstance(one, Unscreened):
            version_ids.append(one.version_id)
        else:
            objects.append(one)
        size += one.size_bytes
    close()
    return shards
