"""Watches the library all the time: whatever is readable there must be published, or on its approved way to be."""

from __future__ import annotations

import hashlib
import threading
from types import TracebackType

from botocore.exceptions import ClientError

from tests.workplace import Workplace

_PAUSE_S = 0.05
_ALLOWED = """
SELECT assets.key, versions.sha256 FROM versions JOIN assets ON assets.asset_id = versions.asset_id
WHERE versions.state = 'published' OR EXISTS (
    SELECT 1 FROM effects WHERE effects.version_id = versions.version_id AND effects.status = 'open'
    AND (effects.kind = 'publish' AND versions.state IN ('approved', 'withdrawn'))
)
"""


class LibraryWatch:
    """A thread that lists the library all the time, reads what is new there, and compares it with the ledger.

    The ledger is read before and after each listing: what was readable in between must have been allowed at one of the
    two moments, for an effect is opened before its bytes move and closed after.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="library-watch", daemon=True)
        self._known: dict[tuple[str, str], str] = {}
        self.looks = 0
        self.offences: list[str] = []

    def __enter__(self) -> LibraryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            assert self.offences == []
            assert self.looks > 0

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE_S):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - a watcher that dies must fail the test, not stay silent
                self.offences.append(f"the watch itself failed: {error!r}")
                return

    def _look(self) -> None:
        before = set(self._workplace.rows(_ALLOWED))
        seen = self._readable()
        allowed = before | set(self._workplace.rows(_ALLOWED))
        self.offences += [f"{key} was readable with bytes {sha256[:12]}" for key, sha256 in seen - allowed]
        self.looks += 1

    def _readable(self) -> set[tuple[str, str]]:
        bucket, found = self._workplace.buckets.library, set()
        for one in self._workplace.client.list_objects_v2(Bucket=bucket).get("Contents", []):
            name = (one["Key"], one["ETag"] + str(one["LastModified"]))
            if name not in self._known:
                try:
                    body = self._workplace.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                except ClientError:  # gone between listing and reading
                    continue
                self._known[name] = hashlib.sha256(body).hexdigest()
            found.add((one["Key"], self._known[name]))
        return found
