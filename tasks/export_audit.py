"""Write the audit trail into a file: streamed, and there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import orjson
import sqlalchemy as sa

from ledger.audit_log import stream_clearances, stream_events, stream_versions
from ledger.verify import last_event
from tasks.errors import ExportRefused
from tasks.resources import Resources


class ExportFormat(StrEnum):
    """How the trail is written."""

    JSONL = "jsonl"
    PREMIS = "premis"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the file, its events, size and SHA-256."""

    path: Path
    events: int
    size_bytes: int
    sha256: str


def export_audit(
    resources: Resources,
    form: ExportFormat,
    path: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Exported:
    """Write every event of one snapshot of the ledger to `path`, in place of what may be there.

    `jsonl`: one event a line, with the hashed body as it is, so that whoever has the file can follow the chain.
    `premis`: PREMIS 3 XML. `progress` is told how many events were written, and of how many. Raises `ExportRefused`
    when the file cannot be written, or when there is nothing that PREMIS could hold.
    """
    written = 0
    with _whole_file(path) as file, resources.ledger.reading() as connection:
        total = last_event(connection)

        def counted() -> Iterator[dict[str, Any]]:
            nonlocal written
            for event in stream_events(connection):
                yield event
                written += 1
                if written % 1_000 == 0:
                    progress(written, total)

        if form is ExportFormat.JSONL:
            for event in counted():
                file.write(orjson.dumps(_plain(event)) + b"\n")
        else:
            _write_premis(file, connection, counted(), path)
        progress(written, total)
    digest = hashlib.sha256()
    with path.open("rb") as done:
        while chunk := done.read(1 << 20):
            digest.update(chunk)
    return Exported(path, written, path.stat().st_size, digest.hexdigest())


def _write_premis(file: IO[bytes], connection: sa.Connection, events: Iterator[Mapping[str, Any]], path: Path) -> None:
    from tasks.premis_document import write_premis

    if next(iter(stream_versions(connection)), None) is None:
        raise ExportRefused(path, "PREMIS describes objects, and no version was submitted yet; take --format jsonl")
    write_premis(file, stream_versions(connection), events, stream_clearances(connection))


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name once everything is on disk; before that, the old one stays."""
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        try:
            with aside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            raise ExportRefused(path, error.strerror or str(error)) from error
    finally:
        aside.unlink(missing_ok=True)


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    at: datetime = event["at"]
    return {**event, "at": at.isoformat().replace("+00:00", "Z")}
