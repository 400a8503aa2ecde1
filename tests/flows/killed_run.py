"""Runs a flow in a process of its own that is killed (SIGKILL) at a named point, without a hook in the product.

The child wraps one function of its own copy of the code and calls the flow as a worker would.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from prefect import Flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.flows.forked import fork_context
from tests.running_stack import settings_of
from tests.workplace import Workplace

_WITHIN_S: Final = 120


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run dies: around the `call`-th call of a function, named as `module:attribute` where it is looked up."""

    name: str
    function: str
    call: int = 1
    after: bool = False


def run_until_killed(workplace: Workplace, flow: Callable[[], Any], point: Point) -> None:
    """Run a flow of this workplace until its process dies at `point`; it is an error if it gets past it."""
    assert isinstance(flow, Flow)
    name = f"{flow.fn.__module__}:{flow.fn.__name__}"
    api_url = workplace.stack.settings.prefect_api
    process = fork_context().Process(target=_run, args=(str(workplace.config), api_url, name, point))
    process.start()
    process.join(_WITHIN_S)
    assert process.exitcode == -signal.SIGKILL, f"the run did not come to {point.name}: exit code {process.exitcode}"


def _run(config: str, api_url: str, flow: str, point: Point) -> None:
    from pathlib import Path

    _arm(point)
    with settings_of(Path(config)), temporary_settings({PREFECT_API_URL: api_url}):
        _found(flow)()


def _arm(point: Point) -> None:
    original, calls = _found(point.function), 0

    @wraps(original)
    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        last = calls == point.call
        if last and not point.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    module, _, path = point.function.partition(":")
    *owners, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for name in owners:
        owner = getattr(owner, name)
    setattr(owner, attribute, deadly)


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found
