"""Processes that screen shards on this machine: without Prefect in them, kept for all shards, ended with their run."""

from __future__ import annotations

import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tasks.errors import ShardProcessLost
from tasks.list_intake import Shard
from tasks.screen_shard import ShardSummary, screen
from tasks.spool_folders import remove_abandoned, spool_folder

_LENGTH: Final = struct.Struct("<Q")
_ERROR_OUTPUT: Final = 2
_ROOT: Final = Path(__file__).resolve().parent.parent


class ShardProcesses:
    """Up to `count` processes that screen shards, each one shard at a time; leaving the context ends them.

    Prefect takes three seconds to import and 100 MB to hold, and screening needs none of it: the run that started them
    speaks with Prefect. They start at once, so that they import while the run goes on. One that is lost in the middle
    of a shard is replaced when the next shard wants it. Their scratch files are gone with the context. Use `screen`
    from as many threads as there are processes.
    """

    def __init__(self, count: int) -> None:
        remove_abandoned(time.time())
        self._scratch = spool_folder("shards")
        self._idle: queue.SimpleQueue[_ShardProcess | None] = queue.SimpleQueue()
        self._all = [_ShardProcess(self._scratch.name) for _ in range(count)]
        for process in self._all:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.end()
        self._scratch.cleanup()

    def screen(self, shard: Shard, flow_run_id: str | None) -> ShardSummary:
        """Screen a shard in the next process that is free; raises what screening raised, and `ShardProcessLost`."""
        process: _ShardProcess | None = None
        answered = False
        try:
            process = self._idle.get() or self._another()
            answer: ShardSummary | _Failure = process.ask((shard, flow_run_id))
            answered = True
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise ShardProcessLost(process.end() if process else None) from error
        finally:
            if process is not None and not answered:  # whatever it says next would be no answer to what is asked then
                process.end()
                self._all.remove(process)
            self._idle.put(process if answered else None)
        if isinstance(answer, ShardSummary):
            return answer
        answer.error.add_note(f"in a process that screens shards:\n{answer.trace}")
        raise answer.error

    def _another(self) -> _ShardProcess:
        process = _ShardProcess(self._scratch.name)
        self._all.append(process)
        return process


@dataclass(frozen=True, slots=True)
class _Failure:
    """What screening a shard raised, and where: a trace and its notes do not travel with an error."""

    error: Exception
    trace: str


class _ShardProcess:
    """One process and the two pipes to it; what libraries print in it goes to the error output of this one."""

    def __init__(self, scratch: str) -> None:
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tasks.start_shard_process", str(writing)],
                stdin=subprocess.PIPE,
                stdout=_ERROR_OUTPUT,
                pass_fds=(writing,),
                env=os.environ | {"PYTHONPATH": paths, "TMPDIR": scratch},
                process_group=0,  # an interrupt typed at the terminal is for the run
            )
        except BaseException:
            self._answers.close()
            raise
        finally:
            os.close(writing)

    def ask(self, request: Any) -> Any:
        assert self._process.stdin is not None  # noqa: S101 — asked for above
        write_message(self._process.stdin, request)
        return read_message(self._answers)

    def end(self) -> int | None:
        """End the process at once: what it was doing is safe to repeat. Returns its exit code."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # of a request that it never read
                self._process.stdin.close()
        self._process.kill()
        code = self._process.wait()
        self._answers.close()
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


def serve(answers: IO[bytes]) -> None:
    """Screen what is asked for until the run that started this process is gone, however it ends."""
    from tasks.resources import open_resources

    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), name="requests", daemon=True).start()
    import tasks.route_contents  # noqa: F401 (whatever a shard needs is imported while the run still lists)

    while True:
        shard, flow_run_id = requests.get()
        answer: ShardSummary | _Failure
        try:
            answer = screen(open_resources(), shard, flow_run_id)
        except Exception as error:  # noqa: BLE001 — it is raised again in the run
            answer = _failure(error)
        write_message(answers, answer)


def _listen(requests: queue.SimpleQueue[Any]) -> None:
    """Hand on what is asked for; at its end nobody is left to hear of a shard, which is safe to repeat: end at once."""
    try:
        while True:
            requests.put(read_message(sys.stdin.buffer))
    except EOFError:
        os._exit(1)
    except BaseException:  # noqa: BLE001 — a request that cannot be read: silence would keep the run waiting for ever
        traceback.print_exc()
        os._exit(1)


def _failure(error: Exception) -> _Failure:
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    except Exception:  # noqa: BLE001 (whatever keeps it from travelling, its words do travel)
        return _Failure(RuntimeError(f"{type(error).__name__}: {error}"), trace)
    return _Failure(error, trace)
