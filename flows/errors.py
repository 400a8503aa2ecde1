"""Errors that fail a flow run."""

from __future__ import annotations

from collections.abc import Mapping


class FlowError(Exception):
    """Base of what fails a flow run."""


class ShardsFailed(FlowError):
    """Some shards of an ingest failed for good; the rest of the run was carried out."""

    def __init__(self, failures: Mapping[int, str]) -> None:
        """`failures`: shard number → what failed."""
        self.failures = dict(failures)
        listed = "; ".join(f"shard {number}: {reason}" for number, reason in sorted(self.failures.items())[:5])
        super().__init__(
            f"{len(self.failures)} shards failed ({listed}). Nothing of them is lost: the next run takes them up where "
            "they stopped"
        )

    def __reduce__(self) -> tuple[type[ShardsFailed], tuple[dict[int, str]]]:
        return (type(self), (self.failures,))


class TaskRunnerUnknown(FlowError):
    """The settings name a task runner that cannot be made."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            f"ingest.task_runner is {name!r}, which is no Prefect task runner ({problem}); allowed are 'processes', or "
            "'module:Class' of an installed one, such as 'prefect_dask:DaskTaskRunner'"
        )
        self.name, self.problem = name, problem

    def __reduce__(self) -> tuple[type[TaskRunnerUnknown], tuple[str, str]]:
        return (type(self), (self.name, self.problem))
