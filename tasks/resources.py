"""The one place that builds engines, stores and API connections from the settings, each when it is first needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ledger.engine import Ledger
from ledger.policy_store import active_policy, stored_policy
from ledger.transaction import Origin
from tasks.errors import NoActivePolicy
from tasks.settings import Settings, load_settings

if TYPE_CHECKING:
    from policies.document import PolicyDocument
    from tasks.prefect_api import PrefectApi
    from tasks.storage import Storage


@dataclass(frozen=True, slots=True)
class PinnedPolicy:
    """A policy as the ledger stores it, parsed."""

    sha256: str
    document: PolicyDocument


class Resources:
    """What tasks work with, built from one settings object. One a process is enough (`open_resources`)."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened here: a part that is not used costs nothing, not even its import."""
        self.settings = settings
        self.clock = settings.make_clock()
        self._policies: dict[str, PolicyDocument] = {}

    @cached_property
    def ledger(self) -> Ledger:
        """The system of record."""
        return Ledger(self.settings.database_url)

    @cached_property
    def storage(self) -> Storage:
        """The object store, with Signoff's own identity."""
        from tasks.storage import Storage

        return Storage(self.settings.s3, self.settings.s3_endpoint)

    @cached_property
    def prefect(self) -> PrefectApi:
        """The Prefect API, with the password that Prefect's own clients take from the environment."""
        from tasks.prefect_api import PrefectApi

        return PrefectApi(self.settings.prefect_api, auth_string=os.environ.get("PREFECT_API_AUTH_STRING"))

    def origin(self, actor: str, flow_run_id: str | None = None) -> Origin:
        """Who acts now. `actor` is `system:<flow>`, `operator:<name>` or `person:<id>`."""
        return Origin(actor, self.clock.now(), flow_run_id)

    def active_policy(self) -> PinnedPolicy:
        """The policy that routes what arrives now. Raises `NoActivePolicy`."""
        with self.ledger.reading() as connection:
            stored = active_policy(connection)
        if stored is None:
            raise NoActivePolicy
        return PinnedPolicy(stored.sha256, self._parsed(stored.sha256, stored.body))

    def policy(self, sha256: str) -> PolicyDocument:
        """The policy that a version is pinned to; parsed once a process."""
        if sha256 not in self._policies:
            with self.ledger.reading() as connection:
                stored = stored_policy(connection, sha256)
            self._parsed(sha256, stored.body)
        return self._policies[sha256]

    def _parsed(self, sha256: str, body: str) -> PolicyDocument:
        if sha256 not in self._policies:
            from policies.document import load_policy  # a second of imports that reading the ledger does not need

            self._policies[sha256] = load_policy(body, f"policy {sha256[:12]}")
        return self._policies[sha256]

    def close(self) -> None:
        """Give connections back."""
        for name in ("ledger", "prefect"):
            if name in self.__dict__:
                self.__dict__[name].close()


@lru_cache(maxsize=1)
def open_resources() -> Resources:
    """The resources of this process, from the settings that its environment names."""
    return Resources(load_settings())
