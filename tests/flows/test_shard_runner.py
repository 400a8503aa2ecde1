"""Which task runner the shards of an ingest go through."""

from __future__ import annotations

import pytest
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from flows.errors import TaskRunnerUnknown
from flows.shard_runner import make_task_runner
from tasks.settings_schema import IngestSettings


def test_local_processes_are_no_more_than_there_are_shards() -> None:
    """With the default setting, shards go to as many processes as are allowed and useful."""
    runner = make_task_runner(IngestSettings(processes=4), shards=3)
    assert isinstance(runner, ProcessPoolTaskRunner)
    assert runner._max_workers == 3


def test_another_task_runner_is_named_by_module_and_class() -> None:
    """A cluster's task runner is chosen by its import path."""
    settings = IngestSettings(task_runner="prefect.task_runners:ThreadPoolTaskRunner")
    assert isinstance(make_task_runner(settings, shards=3), ThreadPoolTaskRunner)


@pytest.mark.parametrize(
    "name", ["prefect_nowhere:Runner", "prefect.task_runners:Nothing", "threads", "json:loads", "pathlib:Path"]
)
def test_what_is_no_task_runner_is_refused_with_what_is_allowed(name: str) -> None:
    """A name that leads to nothing, or to something else, says what may stand there."""
    with pytest.raises(TaskRunnerUnknown, match="allowed are"):
        make_task_runner(IngestSettings(task_runner=name), shards=3)
