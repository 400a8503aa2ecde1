"""`<home>/stack.json`: the embedded stack's ports, addresses and credentials, for its owner's eyes only."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli.errors import StackBusy
from cli.stack.components import LOOPBACK
from cli.stack.prefect_server import api_url
from tasks.settings import STACK_FILE, read_stack_file

IDENTITIES: Final = ("service", "source", "consumer")


def make_private_folder(home: Path) -> None:
    """Create the stack's folder; only its owner may look into it."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Hold the stack's lock: one command at a time starts or stops it. Raises `StackBusy`."""
    import fcntl

    with (home / "stack.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackBusy(f"Another command starts or stops the stack in {home} right now; wait for it") from None
        yield  # the lock goes with the file


def remembered_ports(home: Path) -> dict[str, int]:
    """Return the ports of the last start."""
    ports = read_stack_file(home / STACK_FILE).get("ports")
    return {name: int(port) for name, port in ports.items()} if isinstance(ports, Mapping) else {}


def write_stack_file(home: Path, ports: Mapping[str, int]) -> dict[str, Any]:
    """Record the ports, and credentials that are made once; return the whole document.

    Sections exist for the parts that have a port: `s3` and `prefect`, in the shape of the settings.
    """
    document = read_stack_file(home / STACK_FILE)
    document["ports"] = dict(ports)
    if "s3" in ports:
        known = document.get("s3") or {}
        keys = {name: known.get(name) or _fresh_credentials() for name in IDENTITIES}
        document["s3"] = {"endpoint": f"http://{LOOPBACK}:{ports['s3']}", **keys}
    if "prefect" in ports:
        document["prefect"] = {"api_url": api_url(ports["prefect"])}
    _write_private(home / STACK_FILE, json.dumps(document, indent=1))
    return document


def _fresh_credentials() -> dict[str, str]:
    return {"access_key": secrets.token_hex(10).upper(), "secret_key": secrets.token_urlsafe(30)}


def _write_private(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
