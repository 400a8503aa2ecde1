"""The steps of flows that are worth a retry and a line in the Prefect UI, as Prefect tasks around plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from tasks.retries import RETRY_DELAYS_S, is_transient

P = ParamSpec("P")
R = TypeVar("R")


def step(function: Callable[P, R], name: str) -> Task[P, R]:
    """A Prefect task of `function`: retried after transient failures only, its results neither cached nor stored."""
    decorate: Callable[[Callable[P, R]], Task[P, R]] = task(
        name=name,
        retries=len(RETRY_DELAYS_S),
        retry_delay_seconds=RETRY_DELAYS_S,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return decorate(function)
