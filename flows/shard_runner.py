"""Run the shards of an ingest: in processes on this machine, or through any Prefect task runner on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.errors import TaskRunnerUnknown
from tasks.list_intake import Shard
from tasks.resources import open_resources
from tasks.retries import RETRY_DELAYS_S, is_transient
from tasks.screen_shard import ShardSummary, screen
from tasks.settings_schema import LOCAL_PROCESSES, IngestSettings
from tasks.shard_processes import ShardProcesses


@task(
    name="screen-shard",
    task_run_name="screen-shard-{shard.number}",
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def screen_shard(shard: Shard, flow_run_id: str | None, processes: ShardProcesses | None = None) -> ShardSummary:
    """Screen one shard, in one of `processes` if given, else in the process that runs this task.

    Raises `TransientError` or `LedgerBusy` (retried) and permanent errors.
    """
    if processes is not None:
        return processes.screen(shard, flow_run_id)
    return screen(open_resources(), shard, flow_run_id)


def run_shards(
    shards: Sequence[Shard],
    settings: IngestSettings,
    flow_run_id: str,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[list[ShardSummary], dict[int, str]]:
    """Screen every shard; returns what became of those that went well, and shard number → error of the others.

    `meanwhile` is called whenever a shard is done while others are still under way. A single shard is screened in this
    process: starting another one and loading the models there costs more. Raises `TaskRunnerUnknown` when the settings
    name a task runner that is not there.
    """
    summaries: list[ShardSummary] = []
    failures: dict[int, str] = {}
    for number, (shard, state) in enumerate(_states(shards, settings, flow_run_id), start=1):
        outcome = state.result(raise_on_failure=False)
        if isinstance(outcome, ShardSummary):
            summaries.append(outcome)
        else:
            failures[shard.number] = f"{type(outcome).__name__}: {outcome}"
        if number < len(shards):
            meanwhile()
    return summaries, failures


def _states(
    shards: Sequence[Shard], settings: IngestSettings, flow_run_id: str
) -> Iterator[tuple[Shard, State[ShardSummary]]]:
    """Each shard with the state that its task ended in, as soon as it has."""
    local = settings.task_runner == LOCAL_PROCESSES
    if len(shards) <= 1 or (local and settings.processes == 1):
        for shard in shards:
            yield shard, screen_shard(shard, flow_run_id, return_state=True)
        return
    with ExitStack() as stack:
        count = min(settings.processes, len(shards))
        processes = stack.enter_context(ShardProcesses(count)) if local else None
        runner = stack.enter_context(ThreadPoolTaskRunner(count) if local else make_task_runner(settings.task_runner))
        given: dict[str, Any] = {"flow_run_id": flow_run_id, "processes": processes}
        submitted = {runner.submit(screen_shard, {"shard": shard, **given}): shard for shard in shards}
        for future in as_completed(list(submitted)):
            future.wait()  # it is done, but its state is only taken over by this
            yield submitted[future], future.state


def make_task_runner(name: str) -> TaskRunner[Any]:
    """The task runner class at `module:Class`, made with its defaults. Raises `TaskRunnerUnknown`."""
    module, _, attribute = name.partition(":")
    try:
        made = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise TaskRunnerUnknown(name, str(error)) from error
    if not isinstance(made, TaskRunner):
        raise TaskRunnerUnknown(name, f"it is a {type(made).__name__}")
    return made
