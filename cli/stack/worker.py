"""The worker: one process on the work pool, which runs each flow run as a process of its own."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

from cli.stack.components import LOOPBACK, Component, Part, quiet_environment
from tasks.errors import PrefectAway
from tasks.prefect_api import PrefectApi
from tasks.settings import CONFIG_VARIABLE, Settings

WORKER_NAME: Final = "signoff-embedded"


def worker(
    settings: Settings, config: Path | None, api: PrefectApi, started_at: datetime, *, embedded: bool
) -> Component:
    """Return the worker as a component; it is ready when the server has heard from it after `started_at`.

    `embedded` says whether the Prefect server is the embedded one: then no Prefect variable of the caller is passed on.
    """
    pool = settings.prefect.work_pool
    folder = settings.home / "prefect"
    environment = quiet_environment(os.environ, keep_prefect=not embedded) | {
        "PREFECT_API_URL": api.url,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        "PREFECT_WORKER_WEBSERVER_HOST": LOOPBACK,
        "SIGNOFF_HOME": str(settings.home),
    }
    environment.setdefault("OMP_NUM_THREADS", "1")  # flow runs stand side by side: threads would only fight
    if config is not None:
        environment[CONFIG_VARIABLE] = str(config)
    if embedded:
        environment |= {"PREFECT_HOME": str(folder), "PREFECT_PROFILES_PATH": str(folder / "profiles.toml")}
    options = ("--pool", pool, "--type", "process", "--name", WORKER_NAME, "--install-policy", "never")
    return Component(
        part=Part.WORKER,
        argv=(
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            *options,
            "--limit",
            str(settings.prefect.worker_limit),
        ),
        environment=environment,
        folder=folder,
        ready=lambda: _heard_from(api, pool, started_at),
        ready_within_s=180,
        stop_within_s=10,
    )


def _heard_from(api: PrefectApi, pool: str, started_at: datetime) -> bool:
    try:
        workers = api.post(f"/work_pools/{pool}/workers/filter", {})
    except PrefectAway:
        return False
    heard = [row["last_heartbeat_time"] for row in workers if row["name"] == WORKER_NAME]
    return any(datetime.fromisoformat(moment) >= started_at for moment in heard if moment)
