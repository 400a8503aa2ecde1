"""What the tests of tasks share: a connection to the Prefect server and a deployment whose runs can be parked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tasks.prefect_api import PrefectApi

if TYPE_CHECKING:
    from tests.conftest import PrefectServer


@pytest.fixture(scope="session")
def prefect_api(prefect_server: PrefectServer) -> Iterator[PrefectApi]:
    """A connection to the session's Prefect server."""
    with PrefectApi(prefect_server.api_url) as api:
        yield api


@pytest.fixture(scope="session")
def review_deployment(prefect_api: PrefectApi) -> str:
    """Name of a deployment on a work pool that no worker serves: its runs stay as they are put."""
    flow = prefect_api.post("flows/", {"name": "decide-review-parked"})
    prefect_api.post("work_pools/", {"name": "unserved", "type": "process"})
    named = {"name": "test", "flow_id": flow["id"], "work_pool_name": "unserved", "entrypoint": "nowhere.nothing"}
    prefect_api.post("deployments/", named)
    return "decide-review-parked/test"
