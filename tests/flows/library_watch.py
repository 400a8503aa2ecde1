"""Watches the library all the time: whatever is readable there must be published, or on its approved way to be."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from botocore.exceptions import ClientError

from tasks.resources import Resources
from tasks.settings import load_settings
from tests.flows.forked import fork_context
from tests.workplace import Workplace

_PAUSE_S = 0.02
_ALLOWED = sa.text("""
SELECT assets.key, versions.sha256 FROM versions JOIN assets ON assets.asset_id = versions.asset_id
WHERE versions.state = 'published' OR EXISTS (
    SELECT 1 FROM effects WHERE effects.version_id = versions.version_id AND effects.status = 'open'
    AND effects.kind = 'publish' AND versions.state IN ('approved', 'withdrawn')
)
""")


class LibraryWatch:
    """A process that lists the library, reads what is new there, and compares it with the ledger, over and over.

    The ledger is read before and after each listing: what was readable in between must have been allowed at one of the
    two moments, for an effect is opened before its bytes move and closed after. It is a process of its own because the
    flows of a test read the ledger in bulk, while nothing else in their process may use it.
    """

    def __init__(self, workplace: Workplace) -> None:
        context = fork_context()
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_watch, args=(workplace.config, theirs), daemon=True)

    def __enter__(self) -> LibraryWatch:
        self._process.start()
        assert self._ours.recv() == "watching"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.send("enough")
        looks, offences = self._ours.recv()
        self._process.join()
        if kind is None:
            assert offences == []
            assert looks > 0


def _watch(config: Path, pipe: Connection) -> None:
    resources = Resources(load_settings(config))
    known: dict[tuple[str, str], str] = {}
    looks, offences = 0, set[str]()
    pipe.send("watching")
    while not pipe.poll(_PAUSE_S):
        before = _allowed(resources)
        seen = _readable(resources, known)
        forbidden = seen - before - _allowed(resources)
        offences |= {f"{key!r} was readable with bytes {sha256[:12]}" for key, sha256 in forbidden}
        looks += 1
    pipe.send((looks, sorted(offences)))


def _allowed(resources: Resources) -> set[Any]:
    with resources.ledger.reading() as connection:
        return {(row.key, row.sha256) for row in connection.execute(_ALLOWED)}


def _readable(resources: Resources, known: dict[tuple[str, str], str]) -> set[Any]:
    client, bucket, found = resources.storage.client, resources.storage.buckets.library, set()
    for one in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        name = (one["Key"], f"{one['ETag']} {one['LastModified']}")
        if name not in known:
            with suppress(ClientError):  # gone between listing and reading
                body = client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                known[name] = hashlib.sha256(body).hexdigest()
        if name in known:
            found.add((one["Key"], known[name]))
    return found
