"""Real parts that several test folders need, each started once a session and only when a test asks for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.prefect_api import PrefectApi

if TYPE_CHECKING:
    from tests.running_stack import RunningStack
    from tests.workplace import MakeWorkplace, Workplace

READY_WITHIN_S = 120.0
STACK = "stack"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several processes (`-n 2 --dist loadscope --no-loadscope-reorder`), decide which tests go to the same one.

    Tests go file by file, and each process has a stack of its own as soon as one of its files asks for it. What needs
    a Prefect server alone stays together, so that one such server is enough.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = config.rootpath / nodeid.partition("::")[0]
            server = _server_of(file)
            return str(file) if server == STACK else server

    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each of several processes: what needs a stack takes longest and begins first, the longest files before."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -_weight(item.path))


@lru_cache
def _weight(file: Path) -> int:
    """Bytes of a file whose tests need a stack, as a measure of how long they take; 0 for all others."""
    return file.stat().st_size if _server_of(file) == STACK else 0


@lru_cache
def _server_of(file: Path) -> str:
    """The server that the tests of a file share, or the file itself."""
    text = file.read_text(encoding="utf-8")
    if "workplace" in text or "running_stack" in text:
        return STACK
    if "prefect_server" in text:
        return "prefect server"
    return STACK if "mark.stack" in text else str(file)


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A running Prefect server: where its API and its UI are, and where it keeps database and log."""

    api_url: str
    ui_url: str
    folder: Path


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[PrefectServer]:
    """A Prefect server on a free loopback port with an empty SQLite database; awaited until its API is ready."""
    folder = tmp_path_factory.mktemp("prefect")
    shutil.copy(migrated_database(pytestconfig, folder), folder / "prefect.db")
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    log = folder / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=_server_environment(folder, api_url),
            cwd=folder,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the server has children: they end with it
        )
    try:
        _await_ready(api_url, process, log)
        yield PrefectServer(api_url, f"http://127.0.0.1:{port}", folder)
    finally:
        _end_group(process)


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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[RunningStack]:
    """The embedded stack with the sample policy and roster, as `signoff up` starts it."""
    from tests.running_stack import run_stack

    folder = tmp_path_factory.mktemp("signoff")
    with run_stack(folder, migrated_database(pytestconfig, folder)) as started:
        yield started


@pytest.fixture
def make_workplace(stack: RunningStack, tmp_path: Path) -> Iterator[MakeWorkplace]:
    """Makes ledgers with buckets of their own on the session's stack."""
    from tests.workplace import open_workplaces

    with open_workplaces(stack, tmp_path) as make:
        yield make


@pytest.fixture
def workplace(make_workplace: MakeWorkplace) -> Workplace:
    """One such ledger, with the usual settings."""
    return make_workplace()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrated_database(config: pytest.Config, folder: Path) -> Path:
    """An empty database with Prefect's schema, made once for each version: its migrations take most of a start."""
    assert config.cache is not None
    made = config.cache.mkdir("prefect") / f"empty-{version('prefect')}.db"
    if not made.exists():
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
            env=_server_environment(folder, ""),
            check=True,
            capture_output=True,
            timeout=READY_WITHIN_S,
        )
        (folder / "prefect.db").rename(folder / "empty.db")
        unfinished = made.with_suffix(f".{os.getpid()}")
        shutil.copy(folder / "empty.db", unfinished)
        unfinished.replace(made)  # whole or not at all, for sessions side by side
    return made


def _server_environment(folder: Path, api_url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        **({"PREFECT_SERVER_UI_API_URL": api_url} if api_url else {}),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _await_ready(api_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{api_url}/ready", trust_env=False, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.1)  # between two looks at the condition
    raise RuntimeError(f"the Prefect server did not become ready:\n{log.read_text(errors='replace')[-4000:]}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
