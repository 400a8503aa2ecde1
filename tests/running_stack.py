"""The embedded stack, started once a session by the code behind `signoff up`, with its schedules far away."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore import UNSIGNED
from botocore.config import Config

from cli import main as command_line
from cli.stack.components import Part
from cli.stack.stack import start_stack, stop_stack
from cli.stack.supervisor import STACK_HOME, Supervisor
from tasks.prefect_api import PrefectApi
from tasks.resources import Resources, open_resources
from tasks.settings import CONFIG_VARIABLE, Credentials, ScheduleSettings, Settings, load_settings

SAMPLES = Path(__file__).parents[1] / "examples" / "creative-signoff"
NEVER = "0 0 1 1 *"
"""A schedule that does not come into the way of a test."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class RunningStack:
    """A started stack with the sample policy and roster; a worker only while `worker_at_work`."""

    home: Path
    config: Path

    @cached_property
    def settings(self) -> Settings:
        """Its settings, as every command reads them."""
        return load_settings(self.config)

    @cached_property
    def resources(self) -> Resources:
        """Its ledger, store and Prefect API."""
        return Resources(self.settings)

    @property
    def api(self) -> PrefectApi:
        """Its Prefect API."""
        return self.resources.prefect

    def start(self) -> None:
        """Start what does not run, as `signoff up` does."""
        start_stack(load_settings(self.config), self.config, lambda: load_settings(self.config), report=lambda _: None)

    @contextmanager
    def worker_at_work(self) -> Iterator[None]:
        """While inside, the worker runs what is scheduled; otherwise tests do, and the two never meet."""
        with settings_of(self.config, PREFECT__WORKER="true"):
            self._drop_runs_of_other_tests()
            self.start()
            try:
                yield
            finally:
                self.stop_worker()

    def _drop_runs_of_other_tests(self) -> None:
        """Delete reviews that tests resumed or forced, and ran themselves if at all: a worker would run them."""
        wanted = {
            "flows": {"name": {"any_": ["decide-review"]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}},
            "limit": 200,
        }
        while left := self.api.post("flow_runs/filter", wanted):
            for run in left:
                self.api.call("DELETE", f"flow_runs/{run['id']}", allow=(404,))

    def stop_worker(self) -> None:
        """Stop the worker and its runs."""
        Supervisor(self.home).stop(Part.WORKER, within_s=0)

    def processes(self) -> list[psutil.Process]:
        """Every process of the stack, descendants included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(STACK_HOME) == str(self.home) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):  # of another user, or gone
                continue
        return found

    def client(self, keys: Credentials | None) -> Any:
        """An S3 client of one identity; None: nobody."""
        return s3_client(self.settings, keys)

    def say(self, *arguments: str) -> Said:
        """Run a command in this process, with this stack's settings."""
        return say(self.config, *arguments)


def s3_client(settings: Settings, keys: Credentials | None) -> Any:
    """An S3 client of one identity of the stack; None: nobody."""
    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 1},
        signature_version=UNSIGNED if keys is None else "s3v4",
    )
    identity: dict[str, Any] = (
        {}
        if keys is None
        else {
            "aws_access_key_id": keys.access_key,
            "aws_secret_access_key": keys.secret_key.get_secret_value(),
        }
    )
    return boto3.client(
        "s3", endpoint_url=settings.s3_endpoint, region_name=settings.s3.region, config=config, **identity
    )


def say(config: Path, *arguments: str) -> Said:
    """Run a `signoff` command in this process; `config` is its settings file."""
    out, err, code = StringIO(), StringIO(), 0
    before, sys.argv = sys.argv, ["signoff", *arguments]
    with settings_of(config), redirect_stdout(out), redirect_stderr(err):
        try:
            command_line.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
    return Said(code, out.getvalue(), err.getvalue())


@contextmanager
def settings_of(config: Path, **variables: str) -> Iterator[None]:
    """While inside, this process reads these settings; `variables` are further ones by name, such as `CLOCK`."""
    wanted = {CONFIG_VARIABLE: str(config)} | {f"SIGNOFF_{name}": value for name, value in variables.items()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    open_resources.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        open_resources.cache_clear()


@contextmanager
def run_stack(folder: Path, database: Path) -> Iterator[RunningStack]:
    """A stack in `folder`, with a copy of this empty Prefect database; afterwards no process of it is left.

    `SIGNOFF_TEST_STACK` names another folder, whose stack goes on running: that is for those who write tests.
    """
    kept = os.environ.get("SIGNOFF_TEST_STACK")
    folder = Path(kept) if kept else folder
    started = RunningStack(folder / "state", folder / "signoff.toml")
    if not started.config.exists():
        _prepare(started, database)
    try:
        started.start()
        yield started
    finally:
        _send_the_rest()
        if not kept:
            stop_stack(started.home)
            assert started.processes() == []


def _send_the_rest() -> None:
    """Let Prefect send what it has still to say: without a server it would try for half a minute at exit."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


def _prepare(stack: RunningStack, database: Path) -> None:
    (stack.home / "prefect").mkdir(parents=True)
    shutil.copy(database, stack.home / "prefect" / "prefect.db")
    seldom = "".join(f'{name} = "{NEVER}"\n' for name in ScheduleSettings.model_fields)
    stack.config.write_text(
        f'home = "state"\npolicy = "{SAMPLES / "policy.yaml"}"\nroster = "{SAMPLES / "roster.yaml"}"\n'
        f"[prefect]\nworker = false\n[schedules]\n{seldom}",
        encoding="utf-8",
    )
