"""Ports on the loopback address: the remembered one, else the preferred one, else a free one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from typing import Final

from cli.errors import PortsExhausted
from cli.stack.components import LOOPBACK

GRPC_DISTANCE: Final = 10_000
"""SeaweedFS serves gRPC on each HTTP port plus this."""

PREFERRED: Final[Mapping[str, int]] = {"master": 9333, "volume": 8380, "filer": 8888, "s3": 8333, "prefect": 4200}
_WITH_TWIN: Final = frozenset({"master", "volume", "filer", "s3"})
_SEARCHED: Final = range(12_000, 32_000)
_ATTEMPTS: Final = 400


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
