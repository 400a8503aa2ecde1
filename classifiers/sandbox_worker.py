"""The sandboxed process: inspects one file after the other under hard limits; started by `classifiers.sandbox` only.

Requests are lines of JSON (`[path, name]`) on standard input, answers are frames on standard output: two lengths, the
inspection as JSON, the thumbnail. An empty frame says that the worker is ready. The end of the input is its own end.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Final

FRAME: Final = struct.Struct(">II")  # bytes of JSON, bytes of thumbnail plus one (zero: none)
RECYCLED: Final = 75  # exit status: this worker has grown and asks for a fresh one; no item is to blame
_GROWN: Final = 0.6  # of the memory limit
_FILES_MAX: Final = 64
_WRITTEN_BYTES_MAX: Final = 8 * 1024 * 1024  # compiled modules and its own error output
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


def main(memory_bytes: int, cpu_s: int, parent_pid: int) -> int:
    """Serve requests until the input ends; gives the exit status."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the frames
    _confine(memory_bytes, parent_pid)
    from classifiers import embedded_metadata, inspection, thumbnails  # noqa: F401 — pictures come first and most

    answers.write(FRAME.pack(0, 0))
    answers.flush()
    for line in sys.stdin.buffer:
        path, name = json.loads(line)
        _allow_cpu(cpu_s)
        found = inspection.inspect_file(Path(path), name)
        body = found.to_json().encode()
        answers.write(FRAME.pack(len(body), 0 if found.thumbnail is None else len(found.thumbnail) + 1))
        answers.write(body)
        answers.write(found.thumbnail or b"")
        answers.flush()
        if (found.failure or "").startswith("memory:") or _address_space_bytes() > _GROWN * memory_bytes:
            return RECYCLED
    return 0


def _confine(memory_bytes: int, parent_pid: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the worker ends
    if sys.platform == "linux":
        _confine_on_linux(parent_pid)
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES_MAX),
        (resource.RLIMIT_NOFILE, _FILES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (allowed, allowed))


def _confine_on_linux(parent_pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):  # needs a privilege; a user namespace of its own gives it where that is allowed
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the signal was asked for
        os._exit(1)


def _allow_cpu(cpu_s: int) -> None:
    """Grant the next item its own seconds of processor time; the kernel ends the process when they are used up."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(time.process_time()) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 — once an item: a Path costs more than the read
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux: growth then ends in the memory limit instead
        return 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:4])))
