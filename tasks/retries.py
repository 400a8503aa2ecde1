"""Which failures of a task are tried again, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.errors import LedgerBusy, LedgerUnreachable, StaleVersion
from tasks.errors import TransientError

RETRY_DELAYS_S: Final[list[float]] = [2, 10, 30]
"""A store or database that restarts is back within the sum of these; a longer outage is left to the next run."""

TRANSIENT: Final = (TransientError, LedgerBusy, LedgerUnreachable, StaleVersion)
"""`StaleVersion` is among them: somebody else moved a version meanwhile, and the task reads everything anew."""


def is_transient(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001 (the signature is Prefect's)
    """Whether a failed task run may be tried again: only what a later attempt can cure."""
    result: Callable[..., Any] = state.result
    try:
        outcome = result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001 (a result that cannot be read is judged by the error that says so)
        outcome = error
    return isinstance(outcome, TRANSIENT)
