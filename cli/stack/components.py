"""What a part of the embedded stack is: how it is started, when it is ready, how long it may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"


class Part(StrEnum):
    """The parts, in the order in which they are started; they are stopped in the reverse order."""

    OBJECT_STORE = "object-store"
    PREFECT_SERVER = "prefect-server"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Component:
    """One part, ready to be started: its command, its environment, and the condition that says it serves."""

    part: Part
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    ready: Callable[[], bool]
    ready_within_s: float
    stop_within_s: float


@dataclass(frozen=True, slots=True)
class ComponentState:
    """Where one part stands: `running`, `unresponsive` (it runs, but does not answer) or `stopped`."""

    name: str
    pid: int | None
    state: str
    log: str


def quiet_environment(inherited: Mapping[str, str], *, keep_prefect: bool) -> dict[str, str]:
    """Return the environment of a part: telemetry off, no proxy towards loopback, no stray Prefect profile.

    `keep_prefect` keeps the caller's `PREFECT_` variables, which hold the key of an existing server.

    >>> quiet_environment({"PREFECT_API_URL": "http://elsewhere", "no_proxy": "corp"}, keep_prefect=False)["NO_PROXY"]
    'corp,127.0.0.1,localhost'
    """
    kept = {name: value for name, value in inherited.items() if keep_prefect or not name.startswith("PREFECT_")}
    bypass = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), LOOPBACK, "localhost"]))
    return kept | {
        "NO_PROXY": bypass,
        "no_proxy": bypass,
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        "PYTHONUNBUFFERED": "1",
    }
