"""Processes of a test's own that start fast: forked from a server that has imported what takes long."""

from __future__ import annotations

from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from typing import Final

_PRELOADED: Final = [
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.task_runners",
    "prefect.artifacts",
    "sqlalchemy",
    "alembic.command",
    "boto3",
    "botocore.session",
    "obstore",
    "sqlglot",
    "holidays",
    "pydantic_settings",
    "PIL.Image",
    "lxml.etree",
    "psutil",
    "pytest",
]
"""What takes long to import and starts no thread: a process with threads must not be forked, so polars is not here."""


@lru_cache(maxsize=1)
def fork_context() -> ForkServerContext:
    """The one way to start such a process: the first user of the server decides what it has imported."""
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context
