"""Run the shards of an ingest through a Prefect task runner: local processes here, anything Prefect has elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from prefect import State
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner

from flows.errors import TaskRunnerUnknown
from tasks.list_intake import Shard
from tasks.screen_shard import ShardSummary, screen_shard
from tasks.settings_schema import LOCAL_PROCESSES, IngestSettings


def run_shards(
    shards: Sequence[Shard], settings: IngestSettings, flow_run_id: str
) -> tuple[list[ShardSummary], dict[int, str]]:
    """Screen every shard; returns what became of those that went well, and shard number → error of the others.

    A single shard is screened in this process: starting another one and loading the models there costs more. Raises
    `TaskRunnerUnknown` when the settings name a task runner that is not there.
    """
    summaries: list[ShardSummary] = []
    failures: dict[int, str] = {}
    local = settings.task_runner == LOCAL_PROCESSES
    if len(shards) <= 1 or (local and settings.processes == 1):
        states = ((shard, screen_shard(shard, flow_run_id, return_state=True)) for shard in shards)
        for shard, state in states:
            _sort_out(shard, state, summaries, failures)
        return summaries, failures
    with make_task_runner(settings, len(shards)) as runner:
        futures = [
            (shard, runner.submit(screen_shard, {"shard": shard, "flow_run_id": flow_run_id})) for shard in shards
        ]
        for shard, future in futures:
            future.wait()
            _sort_out(shard, future.state, summaries, failures)
    return summaries, failures


def make_task_runner(settings: IngestSettings, shards: int) -> TaskRunner[Any]:
    """The task runner that the settings choose: local processes, or the class at `module:Class`.

    Raises `TaskRunnerUnknown`.
    """
    if settings.task_runner == LOCAL_PROCESSES:
        return ProcessPoolTaskRunner(max_workers=min(settings.processes, shards))
    module, _, name = settings.task_runner.partition(":")
    try:
        made = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise TaskRunnerUnknown(settings.task_runner, str(error)) from error
    if not isinstance(made, TaskRunner):
        raise TaskRunnerUnknown(settings.task_runner, f"it is a {type(made).__name__}")
    return made


def _sort_out(
    shard: Shard, state: State[ShardSummary], summaries: list[ShardSummary], failures: dict[int, str]
) -> None:
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, ShardSummary):
        summaries.append(outcome)
    else:
        failures[shard.number] = f"{type(outcome).__name__}: {outcome}"
