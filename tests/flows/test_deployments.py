"""Deployments: declared once as data, registered with a real server, and the same as what prefect.yaml deploys."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.deployments import declared_deployments, deployment_request, register_deployments
from tasks.prefect_api import PrefectApi
from tasks.settings import ScheduleSettings, Settings, load_settings
from tests.conftest import PrefectServer

ROOT = Path(__file__).parents[2]
FLOWS = [
    "ingest_assets",
    "decide_review",
    "carry_out_effects",
    "enforce_deadlines",
    "apply_archive_policy",
    "refresh_metrics",
    "seal_ledger",
    "send_notices",
]
GIVEN_BY_THE_SERVER = {
    "id",
    "created",
    "updated",
    "created_by",
    "updated_by",
    "deployment_id",
    "last_polled",
    "status",
    "active_slots",
    "version",  # the hash of the declaration, which prefect.yaml does not know
    "version_id",
    "version_info",
}


@pytest.fixture
def api(prefect_server: PrefectServer) -> Iterator[PrefectApi]:
    """The server's API, with no deployment of Signoff."""
    with PrefectApi(prefect_server.api_url) as connection:
        for row in _registered(connection):
            connection.call("DELETE", f"deployments/{row['id']}")
        yield connection


@pytest.fixture
def settings(prefect_server: PrefectServer, tmp_path: Path) -> Settings:
    """Default settings that name the server."""
    return load_settings(overrides={"prefect.api_url": prefect_server.api_url, "home": tmp_path})


def test_registering_twice_changes_nothing_the_second_time(api: PrefectApi, settings: Settings) -> None:
    """The first registration creates every deployment, the second none; a changed schedule changes its own."""
    assert register_deployments(api, settings, {}) == FLOWS
    assert register_deployments(api, settings, {}) == []
    moved = load_settings(overrides={"home": settings.home, "schedules.refresh_metrics": "5 * * * *"})
    assert register_deployments(api, moved, {}) == ["refresh_metrics"]
    crons = {_flow_of(row): [one["schedule"]["cron"] for one in row["schedules"]] for row in _registered(api)}
    assert crons == {
        "ingest_assets": ["*/5 * * * *"],
        "decide_review": [],
        "carry_out_effects": ["1-59/2 * * * *"],
        "enforce_deadlines": ["2-59/5 * * * *"],
        "apply_archive_policy": ["36 2 * * *"],
        "refresh_metrics": ["5 * * * *"],
        "seal_ledger": ["48 * * * *"],
        "send_notices": ["4-59/5 * * * *"],
    }


def test_what_an_operator_switched_off_stays_off(api: PrefectApi, settings: Settings) -> None:
    """A paused deployment and a stopped schedule survive a registration that changes them."""
    register_deployments(api, settings, {})
    rows = {_flow_of(row): row for row in _registered(api)}
    paused, stopped = rows["ingest_assets"], rows["refresh_metrics"]
    api.call("PATCH", f"deployments/{paused['id']}", {"paused": True})
    schedule = stopped["schedules"][0]["id"]
    api.call("PATCH", f"deployments/{stopped['id']}/schedules/{schedule}", {"active": False})
    register_deployments(api, settings, {"SIGNOFF_HOME": "/elsewhere"})
    after = {_flow_of(row): row for row in _registered(api)}
    assert {flow for flow, row in after.items() if row["paused"]} == {"ingest_assets"}
    assert [row["active"] for row in after["refresh_metrics"]["schedules"]] == [False]
    assert after["refresh_metrics"]["job_variables"]["env"] == {"SIGNOFF_HOME": "/elsewhere"}


def test_only_decisions_run_side_by_side(settings: Settings) -> None:
    """Sweeps wait for each other and none is ever cancelled; decisions have no limit."""
    requests = {one.flow: deployment_request(one, "signoff", {}) for one in declared_deployments(settings.schedules)}
    assert {flow: (one["concurrency_limit"], one["concurrency_options"]) for flow, one in requests.items()} == {
        flow: (None, None) if flow == "decide_review" else (1, {"collision_strategy": "ENQUEUE"}) for flow in FLOWS
    }


def test_the_embedded_worker_starts_one_process_a_run(settings: Settings) -> None:
    """It is given the command for its runs, except those that have to end together with processes of their own."""
    env = {"SIGNOFF_HOME": "/somewhere"}
    requests = {one.flow: deployment_request(one, "signoff", env) for one in declared_deployments(settings.schedules)}
    command = {"command": f"{shlex.quote(sys.executable)} -m flows.start_run"}
    assert {flow: one["job_variables"] for flow, one in requests.items()} == {
        flow: {"env": env} | ({} if flow == "ingest_assets" else command) for flow in FLOWS
    }


def test_prefect_yaml_deploys_the_same(api: PrefectApi, settings: Settings, prefect_server: PrefectServer) -> None:
    """`prefect deploy --all` leaves the server with exactly the deployments that `signoff up` registers.

    As it imports every flow, this also shows that each one exists under its module path and takes no parameters.
    """
    register_deployments(api, settings, {})
    ours = _comparable(api)
    for row in _registered(api):
        api.call("DELETE", f"deployments/{row['id']}")
    deployed = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=ROOT,
        env=_environment(prefect_server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert _comparable(api) == ours


def _environment(server: PrefectServer) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SIGNOFF_"))}
    return inherited | {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_HOME": str(server.folder / "client"),
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _registered(api: PrefectApi) -> list[dict[str, Any]]:
    named = {"deployments": {"name": {"any_": ["signoff"]}}}
    return list(api.post("deployments/filter", named))


def _flow_of(row: dict[str, Any]) -> str:
    return str(row["entrypoint"]).rpartition(".")[2]


def _comparable(api: PrefectApi) -> dict[str, Any]:
    return {_flow_of(row): _without_what_the_server_gives(row) for row in _registered(api)}


def _without_what_the_server_gives(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if name not in GIVEN_BY_THE_SERVER}
        if "slot_decay_per_second" in kept:  # a limit is named after the id of its deployment
            del kept["name"]
        return {name: _without_what_the_server_gives(one) for name, one in kept.items()}
    if isinstance(value, list):
        return [_without_what_the_server_gives(one) for one in value]
    return value


def test_schedules_are_staggered() -> None:
    """In no minute of a day do more than two flows begin, so that a machine of two cores is never swamped."""
    crons = [one.cron for one in declared_deployments(ScheduleSettings()) if one.cron]
    begin = Counter(
        (hour, minute) for cron in crons for hour in range(24) for minute in range(60) if _fires(cron, hour, minute)
    )
    assert max(begin.values()) == 2


def _fires(cron: str, hour: int, minute: int) -> bool:
    minutes, hours, *_ = cron.split()
    return _matches(minutes, minute, 60) and _matches(hours, hour, 24)


def _matches(field: str, value: int, end: int) -> bool:
    span, _, step = field.partition("/")
    first, _, last = span.replace("*", f"0-{end - 1}").partition("-")
    return value in range(int(first), int(last or first) + 1, int(step or 1))
