"""Inspection of files from strangers in a process of its own, so that a bad file costs one answer and nothing else."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from classifiers.errors import SandboxUnavailable
from classifiers.inspection import Inspection, unread_file
from classifiers.sandbox_worker import FRAME, RECYCLED

MEMORY_BYTES: Final = 5 * 512 * 1024**2  # of addresses: 0.35 GB of libraries, two copies of the largest picture (2 GB)
WALL_S: Final = 20.0
CPU_S: Final = 15
READ_BYTES_PER_S: Final = 100 * 1024 * 1024  # a large file gets more time, for its bytes are read and hashed as well
_START_S: Final = 60.0
_IN_FLIGHT_ITEMS: Final = 16  # asked ahead, so that the worker never waits for the next request
_IN_FLIGHT_BYTES: Final = 32_768  # less than a pipe holds: a request is written without ever blocking
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_NAME_CHARS_MAX: Final = 1024
_INHERITED: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")  # nothing that could hold a credential
_ROOT: Final = Path(__file__).resolve().parent.parent


class _WorkerLost(Exception):
    """The worker gave no answer and is gone; `blames_item` is false when it only asked for a fresh one."""

    def __init__(self, failure: str, *, blames_item: bool = True, again: bool = False) -> None:
        super().__init__(failure)
        self.failure, self.blames_item, self.again = failure, blames_item, again


class Sandbox:
    """Owns one long-lived worker process with limits on memory, time, files and network; use it from one thread.

    `memory_bytes` bounds the worker's address space, `wall_s` the time without an answer for one item (plus a second
    for each 100 MiB of it), `cpu_s` its processor time. The worker starts with the first item and ends with the
    context, or with this process however it dies. Works in daemonic processes too.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, wall_s: float = WALL_S, cpu_s: int = CPU_S) -> None:
        self.memory_bytes, self.wall_s, self.cpu_s = memory_bytes, wall_s, cpu_s
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker; the sandbox may be used again and then starts another."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, None before the first item and after `close`."""
        return self._worker.pid if self._worker else None

    def inspect(self, items: Sequence[tuple[Path, str]]) -> list[Inspection]:
        """Inspect files, each given as (path, key), in order; what one of them does to the worker is its failure alone.

        Failures of the worker read "hang: …", "crash: …" or "memory: …". A crash is tried once more, for something else
        on the machine may have killed the worker. Raises SandboxUnavailable where no worker can be started.
        """
        found: list[Inspection] = []
        crashed_at: int | None = None
        while len(found) < len(items):
            try:
                self._stream(items, found)
            except _WorkerLost as lost:
                self.close()
                if not lost.blames_item:
                    continue
                if lost.again and crashed_at != len(found):
                    crashed_at = len(found)
                    continue
                path, name = items[len(found)]
                found.append(unread_file(name, lost.failure, path))
            except BaseException:
                self.close()  # answers that nobody read would be taken for those of the next items
                raise
        return found

    def _stream(self, items: Sequence[tuple[Path, str]], found: list[Inspection]) -> None:
        """Ask ahead and take answers until all are found; raises _WorkerLost with `found` ending before the culprit."""
        worker = self._worker = self._worker or _Worker(self.memory_bytes, self.cpu_s)
        in_flight: list[int] = []  # bytes of each request that is not answered yet
        asked = len(found)
        while len(found) < len(items):
            while asked < len(items) and len(in_flight) < _IN_FLIGHT_ITEMS:
                request = _request(*items[asked])
                if in_flight and sum(in_flight) + len(request) > _IN_FLIGHT_BYTES:
                    break
                worker.ask(request)
                in_flight.append(len(request))
                asked += 1
            found.append(worker.answer(self._allowed_s(items[len(found)][0])))
            in_flight.pop(0)

    def _allowed_s(self, path: Path) -> float:
        try:
            return self.wall_s + path.stat().st_size / READ_BYTES_PER_S
        except OSError:
            return self.wall_s  # the worker meets the same and says so


def _request(path: Path, name: str) -> bytes:
    return json.dumps([str(path.absolute()), name[-_NAME_CHARS_MAX:]]).encode() + b"\n"


class _Worker:
    """One running worker process and the two pipes to it."""

    def __init__(self, memory_bytes: int, cpu_s: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 — lives as long as the worker
        self._cpu_s = cpu_s
        self._pending = bytearray()
        self._answers = 0
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "classifiers.sandbox_worker", str(memory_bytes), str(cpu_s), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            cwd="/",
            process_group=0,  # an interrupt typed at the terminal is for the parent
            env={
                **{name: os.environ[name] for name in _INHERITED if name in os.environ},
                "PYTHONPATH": paths,
                "LC_ALL": "C.UTF-8",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "MALLOC_ARENA_MAX": "2",  # each further arena would reserve address space that pictures need
            },
        )
        assert self._process.stdin is not None  # noqa: S101 — asked for above
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._output = self._process.stdin, self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        try:
            self._read_frame(_START_S)
        except _WorkerLost as lost:
            said = self._last_words()
            self.end()
            raise SandboxUnavailable(
                f"an inspection worker does not start ({lost.failure}; it said: {said or 'nothing'}); it needs about "
                f"400 MiB of address space and is allowed {memory_bytes // 1024**2} MiB"
            ) from lost

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: bytes) -> None:
        try:
            self._input.write(request)
        except BrokenPipeError:
            raise self._lost() from None

    def answer(self, allowed_s: float) -> Inspection:
        body, thumbnail = self._read_frame(allowed_s)
        try:
            found = Inspection.from_json(body, thumbnail)
        except (ValueError, TypeError, KeyError) as problem:
            raise _WorkerLost(f"crash: the worker's answer is none ({problem})") from problem
        self._answers += 1
        return found

    def end(self) -> None:
        """End the process at once: it holds nothing that would be lost."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()
        self._errors.close()

    def _read_frame(self, allowed_s: float) -> tuple[bytes, bytes | None]:
        deadline = time.monotonic() + allowed_s
        body_bytes, thumbnail_bytes = FRAME.unpack(self._read(FRAME.size, deadline, allowed_s))
        if body_bytes + thumbnail_bytes > _ANSWER_BYTES_MAX:
            raise _WorkerLost(f"crash: the worker's answer has {body_bytes + thumbnail_bytes} bytes")
        body = self._read(body_bytes, deadline, allowed_s)
        return body, self._read(thumbnail_bytes - 1, deadline, allowed_s) if thumbnail_bytes else None

    def _read(self, wanted: int, deadline: float, allowed_s: float) -> bytes:
        while len(self._pending) < wanted:
            remaining_s = max(0.0, deadline - time.monotonic())
            if not self._poll.poll(remaining_s * 1000):
                raise _WorkerLost(f"hang: no answer in {allowed_s:.0f} s")
            chunk = os.read(self._output.fileno(), 1 << 20)
            if not chunk:
                raise self._lost()
            self._pending += chunk
        taken = bytes(self._pending[:wanted])
        del self._pending[:wanted]
        return taken

    def _lost(self) -> _WorkerLost:
        """Say why the worker ended by itself."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return _WorkerLost("crash: the worker closed its output")
        if status == RECYCLED and self._answers:
            return _WorkerLost("recycled", blames_item=False)
        if status == -signal.SIGXCPU:
            return _WorkerLost(f"hang: more than {self._cpu_s} s of processor time")
        said = self._last_words()
        if "bad_alloc" in said or "MemoryError" in said or "llocation failed" in said:
            return _WorkerLost("memory: more is needed to read this file than a worker may have")
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return _WorkerLost(f"crash: {how}" + (f" ({said})" if said else ""), again=True)

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return " ".join(lines[-3:]).strip()[-300:]
