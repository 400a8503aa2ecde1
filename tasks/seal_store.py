"""Where seals lie: under one prefix of a bucket with object lock, read with every version that was ever put there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ledger.seal import SignedSeal, StoredSeal
from tasks.errors import SealsUnlocked, StorageAway, StorageRefused
from tasks.settings import Settings
from tasks.storage import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

_DIGITS: Final = 12
_KEY: Final = re.compile(rf"(.*)[0-9]{{{_DIGITS}}}\.json", re.DOTALL)
_LARGEST_BYTES: Final = 16_384
"""A seal has some 600 bytes; what is larger is none, and is not read."""
_READERS: Final = 16
_AT_ONCE: Final = 512
_TAKEN: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_NO_LOCK: Final = frozenset({"InvalidRequest", "ObjectLockConfigurationNotFoundError"})
_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


def prefix_of(key: str) -> str | None:
    """The prefix under which a seal lies; None: no seal has such a key.

    >>> prefix_of("seals/000000000012.json"), prefix_of("seals/12")
    ('seals/', None)
    """
    found = _KEY.fullmatch(key)
    return found.group(1) if found else None


class SealStore:
    """The seals in object storage."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        """Nothing is asked of the store yet."""
        self._client = storage.client
        self._audit = settings.audit
        self.bucket = settings.audit.bucket or settings.s3.buckets.archive
        self.prefix = settings.audit.prefix

    def elsewhere(self, bucket: str, prefix: str) -> SealStore:
        """Another place of the same store."""
        other = copy(self)
        other.bucket, other.prefix = bucket, prefix
        return other

    def __str__(self) -> str:
        """Where it is."""
        return f"s3://{self.bucket}/{self.prefix}"

    def key(self, number: int) -> str:
        """The key of a seal; keys in order are numbers in order."""
        return f"{self.prefix}{number:0{_DIGITS}d}.json"

    def read(self, after: int = 0) -> Iterator[StoredSeal]:
        """Everything that lies under the numbers behind `after`, by number, of each number the oldest first.

        Objects that were laid over a seal, or deleted without their versions, hide nothing. Raises `StorageAway`
        (transient) and `StorageRefused`.
        """
        objects = (one for group in self._by_key(after) for one in reversed(group))
        with ThreadPoolExecutor(_READERS) as readers:
            while batch := list(islice(objects, _AT_ONCE)):
                yield from readers.map(self._fetch, batch)

    def put(self, signed: SignedSeal, now: datetime, *, over: str | None = None) -> str | None:
        """Write a seal where none is yet, locked against everyone; returns the version, None: the number is taken.

        `over`: ETag of what has the number and is no seal of ours; it stays beneath, and if it is another object by
        then, the number is taken: of two sealers at once one is told so. Raises `SealsUnlocked` when the bucket has no
        object lock, `StorageAway` (transient), `StorageRefused`.
        """
        conditions: dict[str, Any] = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        try:
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=self.key(signed.seal.number),
                Body=signed.to_bytes(),
                ContentType="application/json",
                ObjectLockMode=self._audit.lock,
                ObjectLockRetainUntilDate=now + timedelta(days=self._audit.keep_days),
                **conditions,
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _TAKEN:
                return None
            if code in _NO_LOCK:
                raise SealsUnlocked(self.bucket) from error
            raise StorageRefused(f"writing a seal to {self} was refused: {error}") from error
        except BotoCoreError as error:
            raise StorageAway(f"writing a seal to {self} failed: {error}") from error
        return answer.get("VersionId", "")

    def _by_key(self, after: int) -> Iterator[list[ObjectVersionTypeDef]]:
        """Versions of one key after the other, the newest first, as S3 lists them."""
        pages = self._client.get_paginator("list_object_versions")
        start: dict[str, Any] = {"KeyMarker": self.key(after)} if after else {}
        group: list[ObjectVersionTypeDef] = []
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix, **start):
                for one in page.get("Versions", []):
                    if group and group[-1]["Key"] != one["Key"]:
                        yield group
                        group = []
                    if self._number(one["Key"]):
                        group.append(one)
        except ClientError as error:
            raise StorageRefused(f"listing the seals in {self} was refused: {error}") from error
        except BotoCoreError as error:
            raise StorageAway(f"listing the seals in {self} failed: {error}") from error
        if group:
            yield group

    def _fetch(self, one: ObjectVersionTypeDef) -> StoredSeal:
        key, version = one["Key"], one.get("VersionId")
        pin: dict[str, Any] = {"VersionId": version} if version and version != "null" else {}
        data = b""
        try:
            if one["Size"] <= _LARGEST_BYTES:
                data = self._client.get_object(Bucket=self.bucket, Key=key, **pin)["Body"].read()
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code", "")) not in _GONE:
                raise StorageRefused(f"reading s3://{self.bucket}/{key} was refused: {error}") from error
        except BotoCoreError as error:
            raise StorageAway(f"reading s3://{self.bucket}/{key} failed: {error}") from error
        etag = one.get("ETag") if one.get("IsLatest", True) else None
        return StoredSeal(self._number(key), key, pin.get("VersionId"), data, (self.bucket, self.prefix), etag)

    def _number(self, key: str) -> int:
        name = key.removeprefix(self.prefix).removesuffix(".json")
        return int(name) if len(name) == _DIGITS and name.isascii() and name.isdigit() else 0
