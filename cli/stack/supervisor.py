"""Starts processes that outlive the command, knows which of them are still ours, and stops them without a rest.

A process is recognised by its id together with the moment of its creation, so a stale file or a reused id is never
mistaken for a part. Every part and all its descendants also carry the stack's folder in their environment, which finds
what a lost file would leave behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

from cli.errors import ComponentFailed, LeftRunning
from cli.stack.components import Component, ComponentState, Part

STACK_HOME: Final = "SIGNOFF_STACK_HOME"
STACK_PART: Final = "SIGNOFF_STACK_PART"
_POLL_S: Final = 0.1
_KILL_WITHIN_S: Final = 10.0
_CLOCK_STEP_S: Final = 1.0
_LOG_LIMIT_BYTES: Final = 16 * 1024**2


class Supervisor:
    """The processes of the stack whose state lies under `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: dict[Part, subprocess.Popen[bytes]] = {}  # of this very command: they must be reaped

    def log_of(self, part: Part) -> Path:
        """Return the log file of a part."""
        return self._home / "logs" / f"{part}.log"

    def running_pid(self, part: Part) -> int | None:
        """Return the process id of a part that runs, or None."""
        process = self._recorded(part)
        return None if process is None else process.pid

    def states(self, parts: Iterable[Part]) -> list[ComponentState]:
        """Return where each part stands."""
        found = []
        for part in parts:
            pid = self.running_pid(part)
            state = "stopped" if pid is None else "running"
            found.append(ComponentState(name=part, pid=pid, state=state, log=str(self.log_of(part))))
        return found

    def start(self, component: Component) -> None:
        """Start a part in a session of its own and record it; what a former start left behind is stopped first."""
        self._end(list(self._marked(component.part)), component.stop_within_s)
        log = self.log_of(component.part)
        for folder in (log.parent, self._record_of(component.part).parent, component.folder):
            folder.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        marks = {STACK_HOME: str(self._home), STACK_PART: str(component.part)}
        with log.open("ab") as output:
            process = subprocess.Popen(
                component.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**component.environment, **marks},
                cwd=component.folder,
                start_new_session=True,
            )
        self._children[component.part] = process
        created_at_s = psutil.Process(process.pid).create_time()
        record = {"pid": process.pid, "created_at_s": created_at_s, "argv": component.argv}
        self._record_of(component.part).write_text(json.dumps(record), encoding="utf-8")

    def await_ready(self, component: Component) -> None:
        """Wait until a part serves. Raises `ComponentFailed` with its log when it dies or takes too long."""
        deadline = time.monotonic() + component.ready_within_s
        while not component.ready():
            if self.running_pid(component.part) is None:
                self._record_of(component.part).unlink(missing_ok=True)
                raise ComponentFailed(component.part, "ended while it was starting", self.log_of(component.part))
            if time.monotonic() > deadline:
                problem = f"was not ready after {component.ready_within_s:g} s"
                raise ComponentFailed(component.part, problem, self.log_of(component.part))
            time.sleep(_POLL_S)

    def stop(self, part: Part, within_s: float) -> bool:
        """Stop a part with all its descendants: ask, wait `within_s`, then kill. Says whether anything ran.

        Raises `LeftRunning` when a process survives even that.
        """
        leader = self._recorded(part)
        family = [] if leader is None else [leader, *leader.children(recursive=True)]
        family += [process for process in self._marked(part) if process not in family]
        self._end(family, within_s)
        self._record_of(part).unlink(missing_ok=True)
        self._children.pop(part, None)
        return bool(family)

    def leftovers(self) -> list[int]:
        """Return the ids of every process that still carries this stack's mark."""
        return [process.pid for process in self._marked(None)]

    def _end(self, family: list[psutil.Process], within_s: float) -> None:
        for process in family:
            _signal(process, kill=False)  # the descendants too: a worker does not hand the signal on to its runs
        alive = self._wait(family, within_s if family else 0.0)
        for process in alive:
            _signal(process, kill=True)
        survivors = self._wait(alive, _KILL_WITHIN_S)
        if survivors:
            listed = ", ".join(str(process.pid) for process in survivors)
            raise LeftRunning(f"These processes of the stack survived being killed: {listed}")

    def _wait(self, processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
        deadline = time.monotonic() + within_s
        alive = [process for process in processes if self._lives(process)]
        while alive and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            alive = [process for process in alive if self._lives(process)]
        return alive

    def _recorded(self, part: Part) -> psutil.Process | None:
        try:
            record = json.loads(self._record_of(part).read_text(encoding="utf-8"))
            process = psutil.Process(int(record["pid"]))
            created_at_s = float(record["created_at_s"])
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        except (ValueError, KeyError, TypeError):  # cut off by a full disk: the mark in the environment still finds it
            return next(self._marked(part), None)
        same = abs(process.create_time() - created_at_s) < _CLOCK_STEP_S or self._is_marked(process, part)
        return process if same and self._lives(process) else None

    def _marked(self, part: Part | None) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            if process.pid != os.getpid() and self._is_marked(process, part) and self._lives(process):
                yield process

    def _is_marked(self, process: psutil.Process, part: Part | None) -> bool:
        try:
            marks = process.environ()
        except (psutil.Error, OSError):  # of another user, or gone: not ours
            return False
        return marks.get(STACK_HOME) == str(self._home) and part in (None, marks.get(STACK_PART))

    def _lives(self, process: psutil.Process) -> bool:
        for child in self._children.values():
            if child.pid == process.pid and child.poll() is not None:
                return False
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _record_of(self, part: Part) -> Path:
        return self._home / "run" / f"{part}.json"


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
