"""Servers that take messages on the loopback address: SMTP and a webhook, each with what it was sent."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Letter:
    """A mail as it arrived."""

    recipients: list[str]
    message: EmailMessage

    @property
    def text(self) -> str:
        """Its body, as a person reads it."""
        return str(self.message.get_content()).replace("\r\n", "\n").strip()


@dataclass
class MailServer:
    """A real SMTP server. `refuse` turns every recipient away; `hold` keeps each mail's acknowledgement until set."""

    letters: list[Letter] = field(default_factory=list)
    refuse: bool = False
    hold: threading.Event | None = None
    port: int = 0

    def address(self, options: str = "") -> str:
        """Apprise URL of a channel of this server."""
        return f"mailto://127.0.0.1:{self.port}?from=signoff@example.org&to=desk@example.org{options}"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """An SMTP server while inside."""
    box = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 box ESMTP")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "RCPT" and box.refuse:
                    self._say("550 no such person")
                elif verb == "RCPT":
                    recipients.append(line.partition("<")[2].rstrip("> \r\n"))
                    self._say("250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    body = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        body += part[1:] if part.startswith(b"..") else part
                    box.letters.append(Letter(recipients, message_from_bytes(body, policy=policy.default)))
                    recipients = []
                    if box.hold is not None:
                        box.hold.wait(30)
                    self._say("250 taken")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _running(_Threads(("127.0.0.1", 0), Session)) as port:
        box.port = port
        yield box
        if box.hold is not None:
            box.hold.set()


@dataclass
class Webhook:
    """A real HTTP server that takes JSON. `status` is what it answers."""

    calls: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """(headers, body)"""
    status: int = 200
    port: int = 0

    def address(self, path: str = "hook/secret-token") -> str:
        """Apprise URL of a channel of this server."""
        return f"json://127.0.0.1:{self.port}/{path}"


@contextmanager
def webhook() -> Iterator[Webhook]:
    """An HTTP server while inside."""
    hook = Webhook()

    class Call(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.calls.append((dict(self.headers), body))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
            """Say nothing."""

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Call)) as port:
        hook.port = port
        yield hook


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
