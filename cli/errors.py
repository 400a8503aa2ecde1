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


class NothingWaits(CliError):
    """The review is not waiting for an answer."""

    def __init__(self, review: int) -> None:
        super().__init__(f"review {review} does not wait for an answer now; `signoff reviews` lists those that do")
        self.review = review


class AnswerRefused(CliError):
    """The answer to a review was not taken."""

    def __init__(self, review: int, reason: str) -> None:
        super().__init__(f"the answer to review {review} was not taken: {reason}")
        self.review, self.reason = review, reason


class NotScreened(CliError):
    """A version has not been routed, or does not exist."""

    def __init__(self, key: str, version: int) -> None:
        super().__init__(
            f"version {version} of {key!r} has not been routed; `signoff show` lists its versions, and the next ingest "
            "routes what waits"
        )
        self.key, self.version = key, version


class RunFailed(CliError):
    """A flow run did not complete."""

    def __init__(self, flow: str, state: str, url: str, message: str | None) -> None:
        super().__init__(f"{flow} ended as {state}: {message or 'no reason was given'}. Its log: {url}")
        self.flow, self.state, self.url = flow, state, url


class SamplesMissing(CliError):
    """The sample assets are only in a checkout of the repository."""
