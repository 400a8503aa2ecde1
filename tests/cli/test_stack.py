"""The embedded stack as a person meets it: the real commands, the real object store, Prefect server and worker."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr

from cli.errors import CliError
from cli.main import _is_own
from tasks.errors import SettingsInvalid
from tasks.prefect_api import PrefectApi
from tasks.settings import Credentials, ScheduleSettings, Settings, load_settings

PROBE = '''
from prefect import flow

@flow
def probe_flow(folder: str, seconds: float) -> None:
    """Write down which settings a run sees, then wait."""
    import pathlib, time
    from tasks.settings import load_settings
    seen = load_settings()
    text = f"{seen.home} {seen.s3_endpoint} {seen.prefect_api}"
    pathlib.Path(folder, "unfinished").write_text(text)
    pathlib.Path(folder, "unfinished").rename(pathlib.Path(folder, "seen"))
    time.sleep(seconds)
'''
SELDOM = "[schedules]\n" + "".join(
    f'{name} = "0 0 1 1 *"\n' for name, declared in ScheduleSettings.model_fields.items() if declared.default
)
DONE_WITHIN_S = 120.0


def signoff(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command for a home, in that home's parent folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNOFF_")}
    command = [sys.executable, "-m", "cli.main", *arguments, "--home", str(home)]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        command, cwd=home.parent, env=clean | {"PYTHONPATH": root}, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Stack:
    """A started stack: its home, the output of `up`, and its settings as any other command reads them."""

    home: Path
    said: str
    settings: Settings

    def status(self) -> tuple[int, dict[str, Any]]:
        """Exit code and object of `signoff status --json`."""
        answer = signoff("status", "--json", home=self.home)
        return answer.returncode, json.loads(answer.stdout)

    def pids(self) -> dict[str, int]:
        """Process id of each part."""
        return {part["name"]: part["pid"] for part in self.status()[1]["components"]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack in an empty home; it is stopped afterwards whatever happened."""
    home = tmp_path_factory.mktemp("stack") / "state"
    (home.parent / "signoff.toml").write_text(SELDOM, encoding="utf-8")  # the commands run there and find it
    answer = signoff("up", home=home)
    try:
        assert answer.returncode == 0, answer.stderr
        yield Stack(home, answer.stdout + answer.stderr, load_settings(overrides={"home": home}))
    finally:
        stopped = signoff("down", home=home)
        assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[PrefectApi]:
    """The stack's Prefect API."""
    with PrefectApi(stack.settings.prefect_api) as connection:
        yield connection


@pytest.mark.stack
def test_status_tells_where_everything_is(stack: Stack) -> None:
    """After `up`, `status --json` holds every address, bucket, file and part, and exits with 0."""
    code, found = stack.status()
    pids = [part.pop("pid") for part in found["components"]]
    assert code == 0
    assert all(isinstance(pid, int) for pid in pids)
    assert found == {
        "prefect_ui": stack.settings.prefect_api.removesuffix("/api"),
        "prefect_api": stack.settings.prefect_api,
        "s3_endpoint": stack.settings.s3_endpoint,
        "buckets": {"intake": "intake", "workspace": "workspace", "library": "library", "archive": "archive"},
        "ledger": f"sqlite:///{stack.home}/ledger.db",
        "analytics": f"{stack.home}/analytics.duckdb",
        "components": [
            {"name": name, "state": "running", "log": f"{stack.home}/logs/{name}.log"}
            for name in ("object-store", "prefect-server", "worker")
        ],
        "late": [],
    }
    for address in (found["prefect_ui"], found["s3_endpoint"]):
        assert address in stack.said


@pytest.mark.stack
def test_credentials_are_for_the_owner_only(stack: Stack) -> None:
    """The folder and the files that hold secrets cannot be read by other users, and `config` does not print them."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in (stack.home, *stack.home.glob("*.json"))}
    assert modes == {"state": 0o700, "stack.json": 0o600, "s3.json": 0o600}
    shown = signoff("config", home=stack.home).stdout + signoff("config", "--json", home=stack.home).stdout
    assert stack.settings.s3.service is not None
    assert stack.settings.s3.service.secret_key.get_secret_value() not in shown
    assert f"{stack.settings.s3_endpoint}  ({stack.home}/stack.json)" in shown


@pytest.mark.stack
def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    """No process of the stack, descendants included, accepts connections from elsewhere."""
    family = [process for pid in stack.pids().values() for process in _family(pid)]
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.stack
def test_nothing_reports_home(stack: Stack) -> None:
    """Every part was told to send no telemetry, in its own words."""
    for name, pid in stack.pids().items():
        process = psutil.Process(pid)
        if name == "object-store":
            assert "-master.telemetry=false" in process.cmdline()
        else:
            environment = process.environ()
            assert environment["DO_NOT_TRACK"] == "1"
            assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
            assert environment["PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY"] == "false"


@pytest.mark.stack
def test_identities_reach_what_is_theirs(stack: Stack) -> None:
    """Submitters write the intake, consumers read the library, a stranger nothing; the library is not versioned."""
    s3 = stack.settings.s3
    service = s3_client(stack.settings, s3.service)
    for bucket in ("intake", "workspace", "library"):
        service.put_object(Bucket=bucket, Key="there", Body=b"bytes")
    who = {
        "source": s3.source,
        "consumer": s3.consumer,
        "wrong": Credentials(access_key="x", secret_key=SecretStr("y")),
    }
    allowed = {
        name: {
            f"{action} {bucket}"
            for bucket in ("intake", "workspace", "library", "archive")
            for action in ("put", "get", "list")
            if _may(s3_client(stack.settings, keys), action, bucket)
        }
        for name, keys in who.items()
    }
    assert allowed == {
        "source": {"put intake", "get intake", "list intake"},
        "consumer": {"get library", "list library"},
        "wrong": set(),
    }
    versioning = {
        name: service.get_bucket_versioning(Bucket=name).get("Status")
        for name in ("intake", "workspace", "library", "archive")
    }
    assert versioning == {"intake": "Enabled", "workspace": None, "library": None, "archive": "Enabled"}
    assert service.get_object_lock_configuration(Bucket="archive")["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled"
    }


@pytest.mark.stack
def test_a_second_up_changes_nothing(stack: Stack) -> None:
    """`up` on a running stack starts nothing, registers nothing and says the same addresses."""
    before = stack.pids()
    used_s = -children_cpu_s()
    answer = signoff("up", home=stack.home)
    used_s += children_cpu_s()
    assert answer.returncode == 0, answer.stderr
    assert stack.pids() == before
    for word in ("starting", "registered", "created"):
        assert word not in answer.stderr
    assert used_s < 6, "processor time: about 2 s, Prefect is not imported"


@pytest.mark.stack
def test_what_the_settings_name_is_not_started(stack: Stack, tmp_path: Path) -> None:
    """With an existing store and server `up` starts a worker and nothing else, and creates the buckets that lack."""
    service = stack.settings.s3.service
    assert service is not None
    config = tmp_path / "existing.toml"
    config.write_text(
        f"""
        home = "other"
        [s3]
        endpoint = "{stack.settings.s3_endpoint}"
        service = {{access_key = "{service.access_key}", secret_key = "{service.secret_key.get_secret_value()}"}}
        buckets = {{workspace = "other-workspace", library = "other-library", archive = "other-archive"}}
        [prefect]
        api_url = "{stack.settings.prefect_api}"
        work_pool = "other"
        """
        + SELDOM,
        encoding="utf-8",
    )
    home = tmp_path / "other"
    try:
        answer = signoff("up", "--config", str(config), home=home)
        assert answer.returncode == 0, answer.stderr
        assert "buckets created: other-workspace, other-library, other-archive" in answer.stderr
        found = json.loads(signoff("status", "--json", "--config", str(config), home=home).stdout)
        assert [(part["name"], part["state"]) for part in found["components"]] == [("worker", "running")]
        assert found["s3_endpoint"] == stack.settings.s3_endpoint
        worker = psutil.Process(found["components"][0]["pid"]).environ()
        assert (worker["SIGNOFF_CONFIG"], worker["SIGNOFF_HOME"]) == (str(config), str(home))
    finally:
        stopped = signoff("down", home=home)
    assert stopped.stdout == "Stopped: worker\n"


@pytest.mark.stack
def test_a_worker_runs_flows_by_module_path(stack: Stack, api: PrefectApi, tmp_path: Path) -> None:
    """A run of a module-path deployment sees the stack's settings without being told more than its home."""
    deployment = deploy_probe(api, tmp_path)
    api.post(f"deployments/{deployment}/create_flow_run", {"parameters": {"folder": str(tmp_path), "seconds": 0}})
    await_file(tmp_path / "seen")
    expected = f"{stack.home} {stack.settings.s3_endpoint} {stack.settings.prefect_api}"
    assert (tmp_path / "seen").read_text() == expected


@pytest.mark.stack
def test_a_dead_worker_is_seen_and_replaced(stack: Stack, api: PrefectApi, tmp_path: Path) -> None:
    """A killed worker makes `status` fail; `up` replaces it alone, and the run that was asked for begins anew."""
    deployment = deploy_probe(api, tmp_path)
    body = {"parameters": {"folder": str(tmp_path), "seconds": 300}}
    run = api.post(f"deployments/{deployment}/create_flow_run", body)["id"]
    await_file(tmp_path / "seen")
    before = stack.pids()
    for process in reversed(_family(before["worker"])):
        process.kill()
    (tmp_path / "seen").unlink()
    code, found = stack.status()
    assert code == 1
    assert [part["state"] for part in found["components"]] == ["running", "running", "stopped"]
    answer = signoff("up", home=stack.home)
    assert answer.returncode == 0, answer.stderr
    after = stack.pids()
    assert {name for name in before if before[name] != after[name]} == {"worker"}
    await_file(tmp_path / "seen")
    state = api.read_run(run)
    assert state is not None
    assert state.type == "RUNNING"


@pytest.mark.stack
def test_down_leaves_nothing_and_up_finds_everything(stack: Stack) -> None:
    """`down` ends every process, twice is no error; the next `up` has the same ports, bytes and deployments."""
    s3_client(stack.settings, stack.settings.s3.service).put_object(Bucket="workspace", Key="kept", Body=b"kept")
    family = [process.pid for pid in stack.pids().values() for process in _family(pid)]
    first, second = signoff("down", home=stack.home), signoff("down", home=stack.home)
    assert (first.returncode, first.stdout) == (0, "Stopped: worker, prefect-server, object-store\n")
    assert (second.returncode, second.stdout) == (0, "Nothing was running.\n")
    assert [pid for pid in family if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []
    assert stack.status()[0] == 1
    answer = signoff("up", home=stack.home)
    assert answer.returncode == 0, answer.stderr
    assert "deployments registered" not in answer.stderr
    settings = load_settings(overrides={"home": stack.home})
    assert (settings.s3_endpoint, settings.prefect_api) == (stack.settings.s3_endpoint, stack.settings.prefect_api)
    kept = s3_client(settings, settings.s3.service).get_object(Bucket="workspace", Key="kept")["Body"].read()
    assert kept == b"kept"


def test_exit_codes_and_messages(tmp_path: Path) -> None:
    """A mistake in the settings is one message and exit code 1, a misspelt command exit code 2; no traceback."""
    (tmp_path / "signoff.toml").write_text('clock = "noon"\n', encoding="utf-8")
    refused = signoff("status", home=tmp_path / "state")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: The settings cannot be used:\n")
    assert "Traceback" not in refused.stderr
    assert signoff("stauts", home=tmp_path).returncode == 2
    assert _is_own(SettingsInvalid([]))
    assert _is_own(CliError())
    assert not _is_own(ValueError())


def children_cpu_s() -> float:
    """Processor time of all child processes that ended, which a busy machine does not stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def deploy_probe(api: PrefectApi, folder: Path) -> str:
    """Create the deployment of a small flow in a module of its own; return its id."""
    name = f"probe_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(PROBE, encoding="utf-8")
    flow = api.post("flows/", {"name": "probe-flow"})
    request = {
        "name": name,
        "flow_id": flow["id"],
        "entrypoint": f"{name}.probe_flow",
        "work_pool_name": "signoff",
        "pull_steps": [],
        "job_variables": {"env": {"PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}"}},
    }
    return str(api.post("deployments/", request)["id"])


def await_file(path: Path) -> None:
    """Wait until a flow run has written a file."""
    deadline = time.monotonic() + DONE_WITHIN_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not written within {DONE_WITHIN_S:g} s"
        time.sleep(0.1)


def s3_client(settings: Settings, keys: Credentials | None) -> Any:
    """An S3 client of one identity."""
    assert keys is not None
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key.get_secret_value(),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def _may(client: Any, action: str, bucket: str) -> bool:
    try:
        if action == "put":
            client.put_object(Bucket=bucket, Key="tried", Body=b"")
        elif action == "get":
            client.get_object(Bucket=bucket, Key="there")
        else:
            client.list_objects_v2(Bucket=bucket)
    except ClientError as error:
        assert error.response["Error"]["Code"] in {"AccessDenied", "InvalidAccessKeyId"}  # noqa: PT017 - asked for each
        return False
    return True


def _family(pid: int) -> list[psutil.Process]:
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]
