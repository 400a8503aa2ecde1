"""Run the shards of an ingest through a Prefect task runner: local processes here, anything Prefect has elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import State
from prefect.task_runners import ProcessPoolTaskRunner

from tasks.list_intake import Shard
from tasks.screen_shard import ShardSummary, screen_shard


def run_shards(shards: Sequence[Shard], processes: int, flow_run_id: str) -> tuple[list[ShardSummary], dict[int, str]]:
    """Screen every shard; returns what became of those that went well, and shard number → error of the others.

    A single shard is screened in this process: starting another one and loading the models there costs more.
    """
    summaries: list[ShardSummary] = []
    failures: dict[int, str] = {}
    if len(shards) <= 1 or processes == 1:
        states = ((shard, screen_shard(shard, flow_run_id, return_state=True)) for shard in shards)
        for shard, state in states:
            _sort_out(shard, state, summaries, failures)
        return summaries, failures
    with ProcessPoolTaskRunner(max_workers=min(processes, len(shards))) as runner:
        futures = [
            (shard, runner.submit(screen_shard, {"shard": shard, "flow_run_id": flow_run_id})) for shard in shards
        ]
        for shard, future in futures:
            future.wait()
            _sort_out(shard, future.state, summaries, failures)
    return summaries, failures


def _sort_out(
    shard: Shard, state: State[ShardSummary], summaries: list[ShardSummary], failures: dict[int, str]
) -> None:
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, ShardSummary):
        summaries.append(outcome)
    else:
        failures[shard.number] = f"{type(outcome).__name__}: {outcome}"
