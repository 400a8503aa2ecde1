"""Who sees what in the store, with the real identities: before approval nobody but Signoff, afterwards the library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.flows.pictures import picture
from tests.running_stack import RunningStack
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

SEED = uuid4().int % 1_000_000
FOLDER = f"press/{SEED}/"
WANTED, UNWANTED = f"{FOLDER}wanted.jpg", f"{FOLDER}unwanted.jpg"
UNCLASSIFIED = {"MODELS__ENABLED": "false"}
REFUSED = {403, 404}


@pytest.fixture
def house(stack: RunningStack) -> Workplace:
    """The stack's own ledger and buckets, which its three identities are made for."""
    return Workplace(stack, stack.config, stack.resources)


def test_what_is_not_approved_is_invisible(house: Workplace) -> None:
    """One picture waits, one was rejected and archived: nobody but Signoff reads a byte of either, in any bucket.

    Once approved, the consumer reads exactly the approved bytes from the library, and still nothing else.
    """
    stack, s3 = house.stack, house.stack.settings.s3
    source, consumer, nobody = stack.client(s3.source), stack.client(s3.consumer), stack.client(None)
    house.put_contracts({"id": "C-PRESS", "collection": "press"})
    with unversioned(house):  # so that the bytes in custody are copies in the workspace
        for seed, key in ((SEED, WANTED), (SEED + 1, UNWANTED)):
            source.put_object(Bucket=s3.buckets.intake, Key=key, Body=picture(seed=seed))
        house.ingest(**UNCLASSIFIED)
    _decide(house, exceptions={"unwanted": "reject"})
    house.archive(CLOCK="+31d")
    assert {key: house.states()[key] for key in (WANTED, UNWANTED)} == {WANTED: "in_review", UNWANTED: "archived"}
    places = everything(house)
    kinds = {(bucket, key.split("/")[0]) for bucket, key, _ in places}
    assert kinds >= {
        ("intake", "press"),
        ("workspace", "masters"),
        ("workspace", "thumbnails"),
        ("archive", "versions"),
    }
    assert not [key for bucket, key, _ in places if bucket == "library" and key.startswith(FOLDER)]
    assert readable(nobody, places) == []
    assert [place for place in readable(consumer, places) if place[0] != "library"] == []
    assert {bucket for bucket, _, _ in readable(source, places)} == {"intake"}
    while house.states()[WANTED] == "in_review":
        _decide(house)
    assert house.states()[WANTED] == "published"
    body = consumer.get_object(Bucket=s3.buckets.library, Key=WANTED)["Body"].read()
    assert hashlib.sha256(body).digest() == hashlib.sha256(picture(seed=SEED)).digest()
    places = everything(house)
    assert readable(nobody, places) == []
    assert {bucket for bucket, _, _ in readable(consumer, places)} == {"library"}
    assert ("library", UNWANTED, None) not in readable(consumer, places)
    assert {bucket for bucket, _, _ in readable(source, places)} == {"intake"}
    for who, bucket in ((consumer, "intake"), (consumer, "workspace"), (consumer, "archive"), (source, "library")):
        with pytest.raises(ClientError, match="AccessDenied"):
            who.list_objects_v2(Bucket=bucket)


def _decide(house: Workplace, exceptions: dict[str, str] | None = None) -> None:
    asked = [row for row in house.reviews() if row["collection"] == "press" and row["stage"] != "quarantine"]
    row = max(asked, key=lambda row: row["review"])
    house.decide(row, exceptions=exceptions, **UNCLASSIFIED)


@contextmanager
def unversioned(house: Workplace) -> Iterator[None]:
    """The intake without versions, for as long as the block lasts."""
    house.client.put_bucket_versioning(Bucket="intake", VersioningConfiguration={"Status": "Suspended"})
    try:
        yield
    finally:
        house.client.put_bucket_versioning(Bucket="intake", VersioningConfiguration={"Status": "Enabled"})


def everything(house: Workplace) -> list[tuple[str, str, str | None]]:
    """(bucket, key, version id) of every object and every version of it that the store holds."""
    found: list[tuple[str, str, str | None]] = []
    for bucket in house.buckets.model_dump().values():
        listed = house.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        versions = house.client.list_object_versions(Bucket=bucket).get("Versions", [])
        found += [(bucket, one["Key"], None) for one in listed]
        found += [(bucket, one["Key"], one["VersionId"]) for one in versions if one["VersionId"] != "null"]
    return found


def readable(client: Any, places: list[tuple[str, str, str | None]]) -> list[tuple[str, str, str | None]]:
    """Which of these a client can read, or even see; a refusal is a 403 or a 404."""
    seen = []
    for bucket, key, version in places:
        pin = {"VersionId": version} if version else {}
        for look in (client.head_object, client.get_object):
            try:
                look(Bucket=bucket, Key=key, **pin)
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] in REFUSED  # noqa: PT017 - asked for each
            else:
                seen.append((bucket, key, version))
    return sorted(set(seen), key=str)
