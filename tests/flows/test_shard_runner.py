"""Which task runner the shards of an ingest go through."""

from __future__ import annotations

import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from flows.errors import TaskRunnerUnknown
from flows.shard_runner import make_task_runner


def test_another_task_runner_is_named_by_module_and_class() -> None:
    """A cluster's task runner is chosen by its import path."""
    assert isinstance(make_task_runner("prefect.task_runners:ThreadPoolTaskRunner"), ThreadPoolTaskRunner)


@pytest.mark.parametrize(
    "name", ["prefect_nowhere:Runner", "prefect.task_runners:Nothing", "threads", "json:loads", "pathlib:Path"]
)
def test_what_is_no_task_runner_is_refused_with_what_is_allowed(name: str) -> None:
    """A name that leads to nothing, or to something else, says what may stand there."""
    with pytest.raises(TaskRunnerUnknown, match="allowed are"):
        make_task_runner(name)
