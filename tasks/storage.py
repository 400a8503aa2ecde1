"""The four buckets: boto3 for what must be exact (copies, pins, links), obstore for bulk listing and reading."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import obstore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from tasks.errors import CustodyBroken, ObjectChanged, ObjectMissing, SpoolFull, StorageAway, StorageRefused
from tasks.presigned_links import LinkSigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore import GetOptions

    from tasks.settings import Credentials as Identity
    from tasks.settings import S3Settings

_CHUNK_BYTES: Final = 1024 * 1024
_ONE_CALL_BYTES: Final = 1024**3
"""Larger objects are copied in parts: S3 allows 5 GiB in one call, but one call that long may time out."""
_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_MOVED: Final = frozenset({"412", "PreconditionFailed"})
_RETRIED: Final = frozenset({"500", "502", "503", "504", "InternalError", "SlowDown", "ServiceUnavailable"})
_UNSAFE_IN_BROWSERS: Final = frozenset(
    {"text/html", "text/javascript", "text/xsl", "multipart/related", "message/rfc822"}
)
_UNSAFE_ENDINGS: Final = ("/xml", "+xml")
"""Browsers run scripts in every XML that says so itself, whatever its type is called."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where some bytes are, pinned by version where the bucket is versioned, by ETag otherwise."""

    bucket: str
    key: str
    object_version: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read: its pin, its SHA-256 (hex) and size, and the local file if one was written."""

    place: Place
    sha256: str
    size_bytes: int
    modified_at: datetime
    path: Path | None


class Storage:
    """The object store with Signoff's own identity. Cheap to make, safe to use from several threads."""

    def __init__(self, settings: S3Settings, endpoint: str) -> None:
        """`endpoint` is the S3 service's address; credentials are `settings.service`, else the usual AWS sources."""
        self.settings = settings
        self.buckets = settings.buckets
        self.endpoint = endpoint
        self.client: S3Client = _boto3_client(settings, endpoint, settings.service)
        self._stores: dict[str, S3Store] = {}

    def list_objects(self, bucket: str, prefix: str = "") -> Iterator[list[Listed]]:
        """Every object of `bucket` under `prefix`, in pages; folder markers (empty objects ending in `/`) are left out.

        A key with control characters cannot be listed in bulk: the listing then starts again, key by key and slower.
        """
        seen: set[str] = set()
        try:
            for page in self._listed_in_bulk(bucket, prefix):
                seen.update(one.key for one in page)
                yield page
        except InvalidPathError:
            for page in self._listed_exactly(bucket, prefix):
                yield [one for one in page if one.key not in seen]
        except FileNotFoundError as error:
            raise StorageRefused(
                f"s3://{bucket} does not exist at {self.endpoint}; create it, or correct s3.buckets"
            ) from error
        except BaseError as error:
            raise StorageAway(
                f"listing s3://{bucket}/{prefix} at {self.endpoint} failed: {_first_line(error)}"
            ) from error

    def _listed_in_bulk(self, bucket: str, prefix: str) -> Iterator[list[Listed]]:
        # A prefix in obstore ends at a path segment; `camp` would not find `campaigns/`. So the last part is ours.
        folder = prefix.rpartition("/")[0]
        for batch in obstore.list(self._store(bucket), prefix=folder or None, chunk_size=1_000):
            page = [
                Listed(meta["path"], meta["size"], _bare(meta["e_tag"]), meta["last_modified"])
                for meta in batch
                if meta["path"].startswith(prefix)
            ]
            yield [one for one in page if not (one.key.endswith("/") and one.size_bytes == 0)]

    def _listed_exactly(self, bucket: str, prefix: str) -> Iterator[list[Listed]]:
        with _in_our_words(f"listing s3://{bucket}/{prefix}"):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield [
                    Listed(one["Key"], one["Size"], _bare(one["ETag"]), one["LastModified"])
                    for one in page.get("Contents", [])
                    if not (one["Key"].endswith("/") and one["Size"] == 0)
                ]

    def fetch(self, place: Place, target: Path | None = None) -> Fetched:
        """Read an object once, hashing it on the way, into `target` if given.

        `place` may pin a version or an ETag. Raises `ObjectMissing`, `ObjectChanged` (another ETag than the pinned one)
        `StorageRefused`, and `StorageAway` and `SpoolFull` (transient).
        """
        if _is_odd(place.key):
            return self._fetch_exactly(place, target)
        options: GetOptions = {}
        if place.object_version:
            options["version"] = place.object_version
        elif place.etag:
            options["if_match"] = f'"{place.etag}"'
        try:
            try:
                answer = obstore.get(self._store(place.bucket), place.key, options=options)
            except FileNotFoundError as error:  # the built-in one is what obstore raises
                raise ObjectMissing(place.bucket, place.key) from error
            meta = answer.meta
            digest, size = _drain((bytes(chunk) for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES)), target)
        except PreconditionError as error:
            raise ObjectChanged(place.bucket, place.key) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageRefused(
                f"reading s3://{place.bucket}/{place.key} was refused: {_first_line(error)}"
            ) from error
        except BaseError as error:
            raise StorageAway(f"reading s3://{place.bucket}/{place.key} failed: {_first_line(error)}") from error
        pin = Place(place.bucket, place.key, _real_version(meta.get("version")), _bare(meta["e_tag"]))
        return Fetched(pin, digest, size, meta["last_modified"], target)

    def fetch_exactly_these(self, place: Place, sha256: str, target: Path | None = None) -> Fetched:
        """Read an object as `fetch` does and make sure of its bytes. Raises `CustodyBroken` when they are others."""
        fetched = self.fetch(place, target)
        if fetched.sha256 != sha256:
            raise CustodyBroken(place.bucket, place.key, sha256, fetched.sha256)
        return fetched

    def _fetch_exactly(self, place: Place, target: Path | None) -> Fetched:
        pins: dict[str, Any] = {}
        if place.object_version:
            pins["VersionId"] = place.object_version
        elif place.etag:
            pins["IfMatch"] = f'"{place.etag}"'
        with _in_our_words(f"reading s3://{place.bucket}/{place.key}", place):
            answer = self.client.get_object(Bucket=place.bucket, Key=place.key, **pins)
            digest, size = _drain(answer["Body"].iter_chunks(_CHUNK_BYTES), target)
        pin = Place(place.bucket, place.key, _real_version(answer.get("VersionId")), _bare(answer["ETag"]))
        return Fetched(pin, digest, size, answer["LastModified"], target)

    def copy(
        self,
        source: Place,
        bucket: str,
        key: str,
        *,
        size_bytes: int,
        media_type: str,
        storage_class: str | None = None,
    ) -> Place:
        """Copy exactly the pinned bytes of `source` inside the store; large objects in parts. Returns the copy's pin.

        Raises `ObjectMissing`, `ObjectChanged`, `StorageRefused`, `StorageAway`.
        """
        origin: Any = {"Bucket": source.bucket, "Key": source.key}
        extra: dict[str, Any] = {"MetadataDirective": "REPLACE", "ContentType": media_type}
        if _is_unsafe(media_type):
            extra["ContentDisposition"] = "attachment"
        if storage_class:
            extra["StorageClass"] = storage_class
        if source.object_version:
            origin["VersionId"] = source.object_version
        if source.etag:
            extra["CopySourceIfMatch"] = source.etag
        with _in_our_words(f"copying s3://{source.bucket}/{source.key} to s3://{bucket}/{key}", source):
            if size_bytes <= _ONE_CALL_BYTES:
                copied = self.client.copy_object(CopySource=origin, Bucket=bucket, Key=key, **extra)
                etag = copied["CopyObjectResult"]["ETag"]
                return Place(bucket, key, _real_version(copied.get("VersionId")), _bare(etag))
            self.client.copy(origin, bucket, key, ExtraArgs=extra, Config=TransferConfig(use_threads=False))
            head = self.client.head_object(Bucket=bucket, Key=key)
        return Place(bucket, key, _real_version(head.get("VersionId")), _bare(head["ETag"]))

    def put(self, bucket: str, key: str, data: bytes, media_type: str) -> Place:
        """Write a small object of our own."""
        with _in_our_words(f"writing s3://{bucket}/{key}"):
            answer = self.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=media_type)
        return Place(bucket, key, _real_version(answer.get("VersionId")), _bare(answer["ETag"]))

    def put_many(self, bucket: str, objects: Sequence[tuple[str, bytes]]) -> None:
        """Write many small objects of our own, whose media type does not matter."""
        store = self._store(bucket)
        for key, data in objects:
            try:
                obstore.put(store, key, data, use_multipart=False)
            except BaseError as error:
                raise StorageAway(f"writing s3://{bucket}/{key} failed: {_first_line(error)}") from error

    def read(self, bucket: str, key: str) -> bytes:
        """A small object whole. Raises `ObjectMissing`, `StorageAway`."""
        place = Place(bucket, key)
        with _in_our_words(f"reading s3://{bucket}/{key}", place):
            return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def etag_of(self, bucket: str, key: str) -> str | None:
        """The present ETag of an object, or None if there is none."""
        try:
            with _in_our_words(f"looking at s3://{bucket}/{key}", Place(bucket, key)):
                return _bare(self.client.head_object(Bucket=bucket, Key=key)["ETag"])
        except ObjectMissing:
            return None

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with _in_our_words(f"deleting s3://{bucket}/{key}"):
            self.client.delete_object(Bucket=bucket, Key=key)

    def link(self, place: Place, *, media_type: str, valid_s: int) -> str:
        """A presigned link for a reviewer; what a browser would run is offered as a download instead."""
        unsafe = _is_unsafe(media_type)
        return self._signer().link(
            place.bucket,
            place.key,
            datetime.now(UTC),  # not the workflow's clock: the store judges by its own
            valid_s,
            version=place.object_version or None,
            content_type="application/octet-stream" if unsafe else media_type,
            content_disposition="attachment" if unsafe else "inline",
        )

    def _signer(self) -> LinkSigner:
        now = self._credentials.get_frozen_credentials()
        return LinkSigner(self.endpoint, self.settings.region, now.access_key, now.secret_key, now.token)

    @cached_property
    def _credentials(self) -> Any:
        """The service's own identity, or what the usual AWS sources give."""
        service = self.settings.service
        if service is not None:
            return Credentials(service.access_key, service.secret_key.get_secret_value())
        found = boto3.session.Session().get_credentials()
        if found is None:
            raise StorageRefused("no S3 credentials were found; set s3.service, or one of the usual AWS sources")
        return found

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            keys: dict[str, Any] = {}
            service = self.settings.service
            if service is not None:
                keys = {
                    "access_key_id": service.access_key,
                    "secret_access_key": service.secret_key.get_secret_value(),
                }
            self._stores[bucket] = S3Store(
                bucket,
                endpoint=self.endpoint,
                region=self.settings.region,
                virtual_hosted_style_request=False,
                client_options={"allow_http": True},
                retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=30)},  # the tasks try again later
                **keys,
            )
        return self._stores[bucket]


class _in_our_words:
    """Turn boto3's errors into ours, around one sentence that says what was being done."""

    def __init__(self, doing: str, place: Place | None = None) -> None:
        self.doing = doing
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if self.place is not None and code in _GONE:
                raise ObjectMissing(self.place.bucket, self.place.key) from error
            if self.place is not None and code in _MOVED:
                raise ObjectChanged(self.place.bucket, self.place.key) from error
            if code in _RETRIED:
                raise StorageAway(f"{self.doing} failed: {error}") from error
            raise StorageRefused(f"{self.doing} was refused: {error}") from error
        if isinstance(error, BotoCoreError):
            raise StorageAway(f"{self.doing} failed: {error}") from error


def source_client(settings: S3Settings, endpoint: str) -> S3Client:
    """A client with the submitters' identity: it writes to the intake and sees nothing else."""
    return _boto3_client(settings, endpoint, settings.source)


def _boto3_client(settings: S3Settings, endpoint: str, identity: Identity | None) -> S3Client:
    keys: dict[str, Any] = {}
    if identity is not None:
        keys = {
            "aws_access_key_id": identity.access_key,
            "aws_secret_access_key": identity.secret_key.get_secret_value(),
        }
    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 4, "mode": "standard"},
        connect_timeout=5,
        max_pool_connections=32,
        signature_version="s3v4",
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name=settings.region, config=config, **keys)


def _drain(chunks: Iterator[bytes], target: Path | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    if target is None:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size
    try:
        with target.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpoolFull(target.parent, size) from error
        raise
    return digest.hexdigest(), size


def _is_odd(key: str) -> bool:
    """Whether obstore would refuse this key, or read another one in its place.

    >>> [_is_odd(key) for key in ("a/b.txt", "a//b", "/a", "a/", "a/../b", "a\\x00b")]
    [False, True, True, True, True, True]
    """
    return not key.isprintable() or not {"", ".", ".."}.isdisjoint(key.split("/"))


def _is_unsafe(media_type: str) -> bool:
    """Whether a browser would run what is in it.

    >>> [_is_unsafe(one) for one in ("image/svg+xml", "application/rss+xml", "text/html", "image/png")]
    [True, True, True, False]
    """
    return media_type in _UNSAFE_IN_BROWSERS or media_type.endswith(_UNSAFE_ENDINGS)


def _real_version(version: str | None) -> str | None:
    """The pin of a versioned bucket; `null` is what an unversioned one says, and pins nothing."""
    return None if version in (None, "", "null") else version


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
