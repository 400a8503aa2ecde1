"""A relay on loopback in front of an HTTP service that counts the requests that pass, connection by connection."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[^ \r\n]*) HTTP/1\.1\r\n")
_TOO_BUSY = re.compile(rb"HTTP/1\.1 (?:429|50[0234]) ")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_LONGEST_LINE = 2_048


class CountingRelay:
    """Passes bytes in both directions, unchanged; `counts` holds `METHOD path` with ids left out → requests.

    Requests that the server was too busy for (its SQLite was locked), and which are sent again, are in `busy`.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.counts: Counter[str] = Counter()
        self.busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                asked: list[str] = []  # the requests of this connection; answers come in their order, one at a time
                for one, other, watch in ((client, server, self._request), (server, client, self._answer)):
                    threading.Thread(target=self._pass, args=(one, other, partial(watch, asked)), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, source: socket.socket, sink: socket.socket, watch: Callable[[bytes, bytes], None]) -> None:
        tail = b""
        with suppress(OSError):
            while chunk := source.recv(65_536):
                watch(tail, chunk)
                tail = (tail + chunk)[-_LONGEST_LINE:]
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def _request(self, asked: list[str], tail: bytes, chunk: bytes) -> None:
        for found in _REQUEST.finditer(tail + chunk):
            if found.end() > len(tail):
                method, path = found.group(1).decode(), found.group(2).decode().partition("?")[0]
                asked.append(f"{method} {_ID.sub('ID', path)}")
                with self._lock:
                    self.counts[asked[-1]] += 1

    def _answer(self, asked: list[str], tail: bytes, chunk: bytes) -> None:
        if any(found.end() > len(tail) for found in _TOO_BUSY.finditer(tail + chunk)):
            with self._lock:
                self.counts[asked[-1]] -= 1
                self.busy[asked[-1]] += 1


@contextmanager
def relay_to(target: str) -> Iterator[CountingRelay]:
    """A relay in front of `target`, for as long as the block lasts."""
    relay = CountingRelay(target)
    threading.Thread(target=relay.serve, daemon=True).start()
    try:
        yield relay
    finally:
        relay.close()
