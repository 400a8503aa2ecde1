"""Make sure that the four buckets exist and are what their purposes demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tasks.errors import BucketUnfit, StorageAway
from tasks.settings import Credentials, S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = ("404", "NoSuchBucket", "NotFound")
_REFUSED: Final = ("401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")


def prepare_buckets(s3: S3Settings, *, embedded: bool) -> list[str]:
    """Create what is missing, check the rest, and return the names of the buckets that were created.

    The embedded store gets a versioned intake bucket, so that versions can be referenced instead of copied. An existing
    store's intake bucket belongs to somebody else: it must exist and is not changed. The archive is created with object
    lock, which no bucket can be given later. The library must not be versioned: a deleted object would stay readable.
    Raises `BucketUnfit` when a bucket cannot serve, `StorageAway` when the store cannot be reached.
    """
    try:
        client = _client(s3)
        created = [name for name in _own_buckets(s3, embedded=embedded) if _create_missing(client, s3, name)]
        _check_buckets(client, s3, embedded=embedded)
    except ClientError as error:
        raise BucketUnfit(f"The object store at {s3.endpoint} refused to prepare the buckets: {error}") from error
    except BotoCoreError as error:
        raise StorageAway(f"The object store at {s3.endpoint} cannot be reached: {error}") from error
    return created


def bucket_flaws(s3: S3Settings, seals: str) -> list[tuple[str, str]]:
    """(bucket, what is wrong with it), nothing changed; `seals` is the bucket that must have an object lock.

    Raises `BucketUnfit` when the store refuses to say, `StorageAway` when it cannot be reached.
    """
    flaws: list[tuple[str, str]] = []
    buckets = s3.buckets
    try:
        client = _client(s3)
        names = list(dict.fromkeys([*buckets.model_dump().values(), seals]))
        flaws = [(name, "does not exist") for name in names if not _exists(client, name)]
        there = [name for name in names if name not in dict(flaws)]
        if buckets.library in there and client.get_bucket_versioning(Bucket=buckets.library).get("Status") == "Enabled":
            flaws.append((buckets.library, "is versioned: what is withdrawn stays readable"))
        stranger = _client(s3, anonymous=True)
        flaws += [(name, "can be listed without credentials") for name in there if _is_listed(stranger, name)]
        flaws += [(name, "can be listed with the credentials of consumers") for name in _open_to_consumers(client, s3)]
        if seals in there and not _is_locked(client, seals):
            flaws.append((seals, "has no object lock, so that seals can be taken away"))
    except ClientError as error:
        raise BucketUnfit(f"The object store at {s3.endpoint} refused to tell about its buckets: {error}") from error
    except BotoCoreError as error:
        raise StorageAway(f"The object store at {s3.endpoint} cannot be reached: {error}") from error
    return flaws


def _is_locked(client: S3Client, name: str) -> bool:
    try:
        found = client.get_object_lock_configuration(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


def _own_buckets(s3: S3Settings, *, embedded: bool) -> list[str]:
    own = [s3.buckets.workspace, s3.buckets.library, s3.buckets.archive]
    return [s3.buckets.intake, *own] if embedded else own


def _create_missing(client: S3Client, s3: S3Settings, name: str) -> bool:
    if _exists(client, name):
        return False
    options: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if name == s3.buckets.archive else {}
    if s3.region != "us-east-1":
        options["CreateBucketConfiguration"] = {"LocationConstraint": s3.region}
    try:
        client.create_bucket(Bucket=name, **options)
    except client.exceptions.BucketAlreadyOwnedByYou:  # another `signoff up` was faster
        return False
    return True


def _check_buckets(client: S3Client, s3: S3Settings, *, embedded: bool) -> None:
    buckets = s3.buckets
    if embedded:
        client.put_bucket_versioning(Bucket=buckets.intake, VersioningConfiguration={"Status": "Enabled"})
    elif not _exists(client, buckets.intake):
        raise BucketUnfit(
            f"The intake bucket {buckets.intake!r} does not exist at {s3.endpoint}; create it or set s3.buckets.intake"
        )
    if client.get_bucket_versioning(Bucket=buckets.library).get("Status") == "Enabled":
        raise BucketUnfit(
            f"The library bucket {buckets.library!r} is versioned, so what is withdrawn would stay readable; "
            "suspend its versioning and delete the old versions, or set s3.buckets.library to another bucket"
        )
    for name in (buckets.workspace, buckets.library, buckets.archive):
        if _is_listed(_client(s3, anonymous=True), name):
            raise BucketUnfit(
                f"The bucket {name!r} can be listed without credentials; close it before content goes there"
            )
    for name in _open_to_consumers(client, s3):
        raise BucketUnfit(
            f"The bucket {name!r} can be listed with the credentials of consumers (s3.consumer), who are to reach the "
            f"library {buckets.library!r} only; take that right from them before content goes there"
        )


def _exists(client: S3Client, name: str) -> bool:
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return False
        raise
    return True


def _open_to_consumers(client: S3Client, s3: S3Settings) -> list[str]:
    """Buckets beside the library that consumers can look into, as far as the settings have their credentials."""
    if s3.consumer is None:
        return []
    consumer, buckets = _client(s3, s3.consumer), s3.buckets
    closed = [name for name in (buckets.intake, buckets.workspace, buckets.archive) if name != buckets.library]
    return [name for name in closed if _exists(client, name) and _is_listed(consumer, name)]


def _is_listed(client: S3Client, name: str) -> bool:
    """Whether these credentials can list a bucket."""
    try:
        client.list_objects_v2(Bucket=name, MaxKeys=1)
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSED:
            return False
        raise
    return True


def _client(s3: S3Settings, who: Credentials | None = None, *, anonymous: bool = False) -> S3Client:
    """A client of Signoff itself, of other credentials, or of nobody."""
    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 3, "mode": "standard"},
        connect_timeout=5,
        signature_version=UNSIGNED if anonymous else None,
    )
    identity = None if anonymous else who or s3.service
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=identity.access_key if identity else None,
        aws_secret_access_key=identity.secret_key.get_secret_value() if identity else None,
        config=config,
    )
