"""Errors of the command line: each is one clear message for the person who typed the command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOG_TAIL_LINES: Final = 15


class CliError(Exception):
    """Base of everything that a command can fail with; printed without a traceback, exit code 1."""


class ComponentFailed(CliError):
    """A part of the embedded stack died or was not ready in time."""

    def __init__(self, component: str, problem: str, log: Path) -> None:
        tail = "".join(f"\n  | {line}" for line in last_lines(log, LOG_TAIL_LINES)) or "\n  (the log is empty)"
        super().__init__(f"{component} {problem}. Its log is {log}; the last lines are:{tail}")
        self.component = component
        self.log = log


class StackBusy(CliError):
    """Another command starts or stops this stack right now."""


class PortsExhausted(CliError):
    """No free port on the loopback address was found."""


class LeftRunning(CliError):
    """Processes of the stack survived being killed."""


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last `count` lines of a log file, none when there is no file."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]
