"""The deployments of Signoff as data, and their registration with a Prefect server.

`prefect.yaml` declares the same ones for `prefect deploy --all`. Flows are named by module path and nothing is imported
here: registering takes a few calls of the REST API.

Prefect's worker starts two processes for a run, one after the other: the first prepares a folder with the code of the
flow and then becomes the second. Here the code is installed and there is nothing to prepare, so the embedded worker is
given a command (`flows.start_run`), which makes it one process and spares a third of the way from a reviewer's click
to the library. Only a run that starts processes of its own keeps the long way, in which it is ended together with them.

Sweeps and ingest run one at a time. A run that is due while another runs waits for its turn (`ENQUEUE`): nobody's run
is ever cancelled, and a waiting run costs one call every few seconds and no process. As every sweep takes whatever is
open, the runs that waited find nothing left to do and end at once. Decisions have no such limit: reviewers never wait
for each other.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.errors import PrefectRefused
from tasks.prefect_api import PrefectApi
from tasks.settings import ScheduleSettings, Settings

NO_PARAMETERS: Final = {"title": "Parameters", "type": "object", "properties": {}}
"""The form that Prefect's UI shows for a run: every flow takes what it needs from the settings and the ledger."""

DEPLOYMENT_NAME: Final = "signoff"
TAG: Final = "signoff"
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment: the flow (module and function name), what it is for, when it runs, whether side by side.

    `has_processes` says that its runs start processes of their own.
    """

    flow: str
    description: str
    cron: str | None = None
    one_at_a_time: bool = True
    has_processes: bool = False

    @property
    def entrypoint(self) -> str:
        """Module path of the flow.

        >>> Deployment("decide_review", "").entrypoint
        'flows.decide_review.decide_review'
        """
        return f"flows.{self.flow}.{self.flow}"

    @property
    def flow_name(self) -> str:
        """Name of the flow in Prefect, as Prefect derives it from the function.

        >>> Deployment("decide_review", "").flow_name
        'decide-review'
        """
        return self.flow.replace("_", "-")

    @property
    def path(self) -> str:
        """Where the API finds it: flow name and deployment name."""
        return f"{self.flow_name}/{DEPLOYMENT_NAME}"


def declared_deployments(schedules: ScheduleSettings) -> tuple[Deployment, ...]:
    """Return every deployment, with its schedule from the settings."""
    return (
        Deployment(
            "ingest_assets",
            "List the source, screen what is new, route it, park the reviews.",
            schedules.ingest_assets,
            has_processes=True,
        ),
        Deployment(
            "decide_review",
            "Resumed by a reviewer: validate the answer against the ledger, record the decisions, move the versions.",
            one_at_a_time=False,
        ),
        Deployment(
            "carry_out_effects",
            "Publish, withdraw, archive, restore, dispose: whatever is open.",
            schedules.carry_out_effects,
        ),
        Deployment(
            "enforce_deadlines",
            "Keep deadlines: remind, ask more people, end; park again every review that lost its run.",
            schedules.enforce_deadlines,
        ),
        Deployment(
            "apply_archive_policy",
            "Plan the archive; apply what is approved, holds and retention first.",
            schedules.apply_archive_policy,
        ),
        Deployment("refresh_metrics", "Bring the ledger's news into DuckDB.", schedules.refresh_metrics),
        Deployment("seal_ledger", "Sign where the audit trail leads to, and put the seal away.", schedules.seal_ledger),
        Deployment("send_notices", "Tell people what waits for them, by their own channels.", schedules.send_notices),
    )


def deployment_request(deployment: Deployment, work_pool: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the API is told about a deployment, save the flow's id; `version` is the hash of all the rest."""
    request: dict[str, Any] = {
        "name": DEPLOYMENT_NAME,
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "work_pool_name": work_pool,
        "parameters": {},
        "parameter_openapi_schema": NO_PARAMETERS,
        "schedules": [_schedule(deployment.cron)] if deployment.cron else [],
        "concurrency_limit": 1 if deployment.one_at_a_time else None,
        "concurrency_options": {"collision_strategy": "ENQUEUE"} if deployment.one_at_a_time else None,
        "enforce_parameter_schema": True,
        "tags": [TAG],
        "pull_steps": [],
        "path": None,
        "job_variables": _job_variables(deployment, environment) if environment else {},
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return request | {"version": hashlib.sha256(canonical.encode()).hexdigest()[:12]}


def register_deployments(api: PrefectApi, settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Bring the server's deployments to what is declared, and return the flows of those that had to change.

    `environment` is set for every flow run of the embedded worker, which runs them with this very Python; workers on
    other machines have their own of both, so it is empty for an existing server. Pausing, and switching a schedule off,
    is the operator's decision and survives.
    """
    pool = settings.prefect.work_pool
    _create_work_pool(api, pool)
    present = {row["entrypoint"]: row for row in _registered(api)}
    changed = []
    for deployment in declared_deployments(settings.schedules):
        request = deployment_request(deployment, pool, environment)
        before = present.get(deployment.entrypoint)
        if before is not None and before["version"] == request["version"]:
            continue
        flow = api.post("/flows/", {"name": deployment.flow_name})
        api.post("/deployments/", request | {"flow_id": flow["id"]} | _operators_choice(before, request))
        changed.append(deployment.flow)
    return changed


def _job_variables(deployment: Deployment, environment: Mapping[str, str]) -> dict[str, Any]:
    variables: dict[str, Any] = {"env": dict(environment)}
    if not deployment.has_processes:
        variables["command"] = shlex.join([sys.executable, "-m", "flows.start_run"])
    return variables


def _registered(api: PrefectApi) -> list[dict[str, Any]]:
    named = {"deployments": {"name": {"any_": [DEPLOYMENT_NAME]}}, "limit": 200}
    found: list[dict[str, Any]] = api.post("/deployments/filter", named)
    return found


def _operators_choice(before: Mapping[str, Any] | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the switches that an operator may have turned on the server: paused, and the schedule's own."""
    if before is None:
        return {}
    off = any(not row["active"] for row in before["schedules"])
    return {"paused": before["paused"], "schedules": [row | {"active": not off} for row in request["schedules"]]}


def _create_work_pool(api: PrefectApi, name: str) -> None:
    if api.find(f"/work_pools/{name}") is not None:
        return
    try:
        api.post("/work_pools/", {"name": name, "type": "process", "description": "Flow runs of Signoff"})
    except PrefectRefused as error:
        if error.status != _CONFLICT:  # another `signoff up` was faster
            raise


def _schedule(cron: str) -> dict[str, Any]:
    return {"active": True, "schedule": {"cron": cron, "timezone": "UTC", "day_or": True}}
