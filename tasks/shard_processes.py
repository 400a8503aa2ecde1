"""Processes that screen shards on this machine: without Prefect in them, kept for all shards, ended with their run."""

from __future__ import annotations

import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tasks.errors import ShardProcessLost
from tasks.list_intake import Shard
from tasks.screen_shard import ShardSummary, screen

_LENGTH: Final = struct.Struct("<Q")
_ROOT: Final = Path(__file__).resolve().parent.parent


class ShardProcesses:
    """Up to `count` processes that screen shards, each one shard at a time; leaving the context ends them.

    Prefect takes three seconds to import and 100 MB to hold, and screening needs none of it: the run that started them
    speaks with Prefect. They start at once, so that they import while the run goes on. One that is lost in the middle
    of a shard is replaced. Use `screen` from as many threads as there are processes.
    """

    def __init__(self, count: int) -> None:
        self._idle: queue.SimpleQueue[_ShardProcess] = queue.SimpleQueue()
        self._all = [_ShardProcess() for _ in range(count)]
        for process in self._all:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.end()

    def screen(self, shard: Shard, flow_run_id: str | None) -> ShardSummary:
        """Screen a shard in the next process that is free; raises what screening raised, and `ShardProcessLost`."""
        process = self._idle.get()
        try:
            answer = process.ask((shard, flow_run_id))
        except (EOFError, BrokenPipeError) as error:
            lost = ShardProcessLost(process.end())
            self._all.remove(process)
            process = _ShardProcess()
            self._all.append(process)
            raise lost from error
        finally:
            self._idle.put(process)
        if isinstance(answer, ShardSummary):
            return answer
        raise answer


class _ShardProcess:
    """One process and the two pipes to it."""

    def __init__(self) -> None:
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tasks.shard_processes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths},
            process_group=0,  # an interrupt typed at the terminal is for the run
        )

    def ask(self, request: Any) -> Any:
        assert self._process.stdin is not None  # noqa: S101 — asked for above
        assert self._process.stdout is not None  # noqa: S101
        write_message(self._process.stdin, request)
        return read_message(self._process.stdout)

    def end(self) -> int | None:
        """End the process at once: what it was doing is safe to repeat. Returns its exit code."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # what it was not there to read any more
                self._process.stdin.close()
        self._process.kill()
        code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


def write_message(pipe: IO[bytes], message: Any) -> None:
    """Send one object. Raises `BrokenPipeError` when nobody is left to read it."""
    body = pickle.dumps(message)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> Any:
    """Wait for one object. Raises `EOFError` when the other side is gone.

    Both sides are this same program on the same machine: what is unpickled is what was pickled here.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(head)[0]
    body = pipe.read(size)
    if len(body) < size:
        raise EOFError
    return pickle.loads(body)  # noqa: S301 (see above)


def serve() -> None:
    """Screen what is asked for until the run that started this process is gone, however it ends."""
    from tasks.resources import open_resources

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), name="requests", daemon=True).start()
    import tasks.route_contents  # noqa: F401 (whatever a shard needs is imported while the run still lists)

    while True:
        shard, flow_run_id = requests.get()
        answer: Any
        try:
            answer = screen(open_resources(), shard, flow_run_id)
        except Exception as error:  # noqa: BLE001 — it is raised again in the run
            answer = _portable(error)
        write_message(answers, answer)


def _listen(requests: queue.SimpleQueue[Any]) -> None:
    """Hand on what is asked for; at its end nobody is left to hear of a shard, which is safe to repeat: end at once."""
    while True:
        try:
            requests.put(read_message(sys.stdin.buffer))
        except EOFError:
            os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error with its trace as a note, for a trace does not travel; another one in its place if it cannot either."""
    import traceback

    error.add_note("in a process that screens shards:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    except Exception:  # noqa: BLE001 (whatever keeps it from travelling, its words do travel)
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


if __name__ == "__main__":
    serve()
