"""Which scheduled flows do not run although they should: the silence that nobody notices otherwise."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from flows.deployments import TAG
from tasks.prefect_api import PrefectApi

INTERVALS: Final = 3
_NOT_STARTED: Final = ["Late", "Scheduled"]


def late_flows(api: PrefectApi, now: datetime) -> list[str]:
    """Return the deployments whose oldest run that has not started was due more than three intervals before `now`.

    A run that waits for its turn behind another (`AwaitingConcurrencySlot`) is not late: its flow runs.
    """
    runs = api.post(
        "/flow_runs/filter",
        {
            "flow_runs": {"state": {"name": {"any_": _NOT_STARTED}}},
            "deployments": {"tags": {"all_": [TAG]}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
        },
    )
    due: dict[str, list[datetime]] = defaultdict(list)
    for run in runs:
        if run["auto_scheduled"]:
            due[run["deployment_id"]].append(datetime.fromisoformat(run["expected_start_time"]))
    late = [deployment for deployment, moments in due.items() if _overdue(moments, now)]
    if not late:
        return []
    found = api.post("/deployments/filter", {"deployments": {"id": {"any_": late}}, "limit": 200})
    return sorted(_flow_of(deployment["entrypoint"]) for deployment in found)


def _overdue(moments: list[datetime], now: datetime) -> bool:
    gaps = [after - before for before, after in pairwise(moments) if after > before]
    interval = min(gaps, default=timedelta(hours=1))
    return now - moments[0] > INTERVALS * interval


def _flow_of(entrypoint: str) -> str:
    return entrypoint.rpartition(".")[2]
