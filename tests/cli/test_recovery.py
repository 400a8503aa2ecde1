"""What downtime leaves behind, on a real server whose schedule runs while no worker does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.stack.late import late_flows
from cli.stack.recovery import drop_missed_runs
from tasks.prefect_api import PrefectApi
from tests.conftest import PrefectServer

POOL = "recovery"
SCHEDULED_WITHIN_S = 60.0


@pytest.fixture
def api(prefect_server: PrefectServer) -> Iterator[PrefectApi]:
    """The server with one flow that is due every two seconds, on a pool without a worker."""
    with PrefectApi(prefect_server.api_url) as connection:
        if connection.find(f"work_pools/{POOL}") is None:
            connection.post("work_pools/", {"name": POOL, "type": "process"})
        flow = connection.post("flows/", {"name": "never-run"})
        request = {
            "name": "recovery",
            "flow_id": flow["id"],
            "entrypoint": "flows.never_run.never_run",
            "work_pool_name": POOL,
            "tags": ["signoff"],
            "schedules": [{"schedule": {"interval": 2.0}}],
        }
        deployment = connection.post("deployments/", request)["id"]
        yield connection
        connection.call("DELETE", f"deployments/{deployment}")


def test_downtime_is_seen_and_then_forgotten(api: PrefectApi) -> None:
    """A flow that misses more than three intervals is late; what it missed is dropped, what comes and what people asked
    for stays, and nothing is late any more."""
    asked = api.post(f"deployments/{_deployment(api)}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    deadline = time.monotonic() + SCHEDULED_WITHIN_S
    while "never_run" not in late_flows(api, datetime.now(UTC)):
        assert time.monotonic() < deadline, "the scheduler planned nothing"
        time.sleep(0.2)
    now = datetime.now(UTC)
    assert drop_missed_runs(api, POOL, now) >= 3
    left = api.post("flow_runs/filter", {"work_pools": {"name": {"any_": [POOL]}}, "limit": 200})
    assert [run["id"] for run in left if not run["auto_scheduled"]] == [asked]
    assert all(datetime.fromisoformat(run["expected_start_time"]) >= now for run in left if run["auto_scheduled"])
    assert drop_missed_runs(api, POOL, now) == 0
    assert "never_run" not in late_flows(api, now + timedelta(seconds=1))


def _deployment(api: PrefectApi) -> str:
    return str(api.post("deployments/filter", {"deployments": {"name": {"any_": ["recovery"]}}})[0]["id"])
