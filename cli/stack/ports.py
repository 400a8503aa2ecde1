"""Ports on the loopback address: the remembered one, else the preferred one, else a free one."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.errors import PortsExhausted
from cli.stack.components import LOOPBACK

GRPC_DISTANCE: Final = 10_000
"""SeaweedFS serves gRPC on each HTTP port plus this."""

PREFERRED: Final[Mapping[str, int]] = {"master": 9333, "volume": 8380, "filer": 8888, "s3": 8333, "prefect": 4200}
_WITH_TWIN: Final = frozenset({"master", "volume", "filer", "s3"})
_SEARCHED: Final = range(12_000, 32_000)
_ATTEMPTS: Final = 400


@contextmanager
def one_start_at_a_time(report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock under which this user's stacks choose their ports and take them, whatever their folders.

    Two that start at the same moment would choose the same free ports, and each find the other's servers ready.
    """
    import fcntl

    path = Path(tempfile.gettempdir()) / f"signoff-ports-{os.getuid()}.lock"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another stack is being started; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # the lock goes with the file


def choose_ports(names: Iterable[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """Decide a port for each name: the remembered one if it is free, else the preferred, else any free one.

    The gRPC twin of an object store's port is free too. Raises `PortsExhausted` when none was found.
    """
    chosen: dict[str, int] = {}
    for name in names:
        taken = {port for other in chosen.values() for port in (other, other + GRPC_DISTANCE)}
        wished = [port for port in (remembered.get(name), PREFERRED[name]) if port is not None]
        chosen[name] = next((port for port in wished if _usable(name, port, taken)), 0) or _search(name, taken)
    return chosen


def port_is_free(port: int) -> bool:
    """Whether nothing listens on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of an earlier run do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _usable(name: str, port: int, taken: set[int]) -> bool:
    wanted = (port, port + GRPC_DISTANCE) if name in _WITH_TWIN else (port,)
    return all(candidate not in taken and port_is_free(candidate) for candidate in wanted)


def _search(name: str, taken: set[int]) -> int:
    for port in random.sample(_SEARCHED, _ATTEMPTS):
        if _usable(name, port, taken):
            return port
    raise PortsExhausted(
        f"No free port was found on {LOOPBACK} for {name} after {_ATTEMPTS} attempts between {_SEARCHED.start} and "
        f"{_SEARCHED.stop}; stop what listens there and try again"
    )
