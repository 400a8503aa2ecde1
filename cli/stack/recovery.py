"""What a stack that was down leaves in Prefect, put right before its worker starts again.

Both are safe because every flow is idempotent and takes whatever is open: one next run does the work of all those
that were missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from tasks.prefect_api import PrefectApi

_PAGE: Final = 200
_LOST: Final = "The stack was stopped while this run was going on"


def drop_missed_runs(api: PrefectApi, pool: str, now: datetime) -> int:
    """Delete the runs that the schedule wanted before `now`, and return how many there were.

    Otherwise an hour of downtime would begin with dozens of sweeps at once. Runs that a person or a program asked for,
    a resumed review above all, are kept.
    """
    missed = [run for run in _runs(api, pool, ["SCHEDULED"], before=now) if run["auto_scheduled"]]
    for run in missed:
        api.call("DELETE", f"/flow_runs/{run['id']}", allow=(404,))
    return len(missed)


def settle_lost_runs(api: PrefectApi, pool: str, now: datetime) -> int:
    """Settle the runs whose process ended with the worker, which frees their places; return how many there were.

    What a person or a program asked for, an answered review above all, is scheduled again for `now`. What the schedule
    wanted ends as crashed: its next run is on its way. Suspended reviews have no process and lose nothing.
    """
    lost = list(_runs(api, pool, ["PENDING", "RUNNING", "CANCELLING"]))
    again = {"type": "SCHEDULED", "message": _LOST, "state_details": {"scheduled_time": now.isoformat()}}
    for run in lost:
        asked_for = not run["auto_scheduled"] and run["state"]["type"] != "CANCELLING"
        state = again if asked_for else {"type": "CRASHED", "message": _LOST}
        api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return len(lost)


def _runs(api: PrefectApi, pool: str, states: list[str], before: datetime | None = None) -> Iterator[dict[str, Any]]:
    wanted: dict[str, Any] = {"state": {"type": {"any_": states}}}
    if before is not None:
        wanted["expected_start_time"] = {"before_": before.isoformat()}
    found: list[dict[str, Any]] = []
    while True:  # the whole answer is read before anything is changed, so that no page shifts
        page = {"offset": len(found), "limit": _PAGE, "sort": "ID_DESC"}
        rows = api.post("/flow_runs/filter", {"flow_runs": wanted, "work_pools": {"name": {"any_": [pool]}}, **page})
        found.extend(rows)
        if len(rows) < _PAGE:
            return iter(found)
