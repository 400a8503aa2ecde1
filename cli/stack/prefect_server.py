"""The embedded Prefect server: SQLite under the stack's folder, loopback only, no telemetry, no promotions."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import httpx

from cli.stack.components import LOOPBACK, Component, Part, quiet_environment

_TRACKER_KEY: Final = re.compile(r"return`[0-9a-f]{32}`")


def api_url(port: int) -> str:
    """Return the address of the embedded server's API.

    >>> api_url(4200)
    'http://127.0.0.1:4200/api'
    """
    return f"http://{LOOPBACK}:{port}/api"


def prefect_server(folder: Path, port: int) -> Component:
    """Return the server as a component; it is ready when its database answers."""
    address = api_url(port)
    origins = ",".join(f"http://{host}:{port}" for host in (LOOPBACK, "localhost"))
    own = {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_UI_API_URL": address,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_UI_STATIC_DIRECTORY": str(_ui_folder(folder)),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,  # other pages in the browser must not decide reviews
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        # a lease that lived in memory would be lost with the server, and its slot taken for ever
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        # every five seconds by default it reads each paused run whole; reviews wait by the hundred, and never expire
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "3600",
    }
    return Component(
        part=Part.PREFECT_SERVER,
        argv=(sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)),
        environment=quiet_environment(os.environ, keep_prefect=False) | own,
        folder=folder,
        ready=lambda: _serves(address),
        ready_within_s=180,
        stop_within_s=15,
    )


def silence_ui(folder: Path) -> bool:
    """Take the key of the usage tracker out of the UI that the server has laid under `folder`; True if it was there.

    The V2 UI of Prefect 3.8 reports every page load to amplitude.com, whatever the server's telemetry settings say;
    without its key it asks nobody. The page is served from this copy, so it works once the server is ready.
    """
    found = False
    for script in (_ui_folder(folder) / "v2" / "assets").glob("index-*.js"):
        text = script.read_text(encoding="utf-8")
        if _TRACKER_KEY.search(text):
            found = True
            silenced = script.with_suffix(".silenced")
            silenced.write_text(_TRACKER_KEY.sub("return``", text), encoding="utf-8")
            silenced.replace(script)
    return found


def _ui_folder(folder: Path) -> Path:
    return folder / "ui"


def _serves(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ready", trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
