"""What the bytes of one asset are: type, size, text, embedded rights, thumbnail, or why they could not be read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

import orjson

from classifiers import readers
from classifiers.embedded_rights import NOTHING_EMBEDDED, EmbeddedRights, EmbeddedStatus
from classifiers.errors import ContentError
from classifiers.media_types import UNKNOWN, Kind, detect_media_type, is_mismatch, kind_of, media_type_of_name

__all__ = ["INSPECTOR", "EmbeddedRights", "EmbeddedStatus", "Inspection", "Kind", "inspect_file"]

REVISION: Final = 2  # of our own reading: raise it whenever the same bytes would be read differently
INSPECTOR: Final = f"{REVISION} " + " ".join(
    f"{library}={version(library)}" for library in ("av", "lxml", "magika", "pdqhash", "pikepdf", "pillow", "pypdfium2")
)
FAILURE_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Inspection:
    """What inspection found in one file; with `failure` set, only what was found before it failed.

    `failure` is "cause: detail"; causes are empty, broken, encrypted, unsupported, refused, too large, unreadable,
    memory, hang and crash. `sha256` is empty only where the file itself could not be read. `width` and `height` are px
    as shown, orientation applied. `thumbnail` (JPEG, at most 320 px) travels beside the JSON, not in it.
    """

    sha256: str
    size_bytes: int
    media_type: str
    kind: Kind
    named_media_type: str | None = None
    type_mismatch: bool = False
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    duration_s: float | None = None
    text: str | None = None
    language: str | None = None
    perceptual_hash: str | None = None
    people_detected: bool | None = None
    embedded: EmbeddedRights = NOTHING_EMBEDDED
    thumbnail: bytes | None = None
    failure: str | None = None

    def to_json(self) -> str:
        """Give the inspection without its thumbnail as one JSON object."""
        plain: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        del plain["thumbnail"]
        plain["embedded"] = self.embedded.to_dict()
        return orjson.dumps(plain).decode()

    @classmethod
    def from_json(cls, text: str | bytes, thumbnail: bytes | None = None) -> Inspection:
        """Read what `to_json` gave, and put the thumbnail back beside it."""
        plain = orjson.loads(text)
        plain["kind"] = Kind(plain["kind"])
        plain["embedded"] = EmbeddedRights.from_dict(plain["embedded"])
        return cls(**plain, thumbnail=thumbnail)


def inspect_file(path: Path, name: str) -> Inspection:
    """Read one file and say what it is; `name` is the key under which it came. Raises nothing: failures are findings.

    Runs the readers in this very process. For bytes of strangers use `classifiers.sandbox.Sandbox`.
    """
    try:
        with _open_regular(path) as file:
            return _inspect(_identify(file, name), file)
    except OSError as problem:
        return unread_file(name, f"unreadable: {problem.strerror or problem}")


def unread_file(name: str, failure: str, path: Path | None = None) -> Inspection:
    """Give the inspection of a file that no reader could look into; with `path`, its hash and size all the same."""
    sha256, size_bytes = "", 0
    if path is not None:
        try:
            with _open_regular(path) as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size_bytes = file.tell()
        except OSError as problem:
            failure = f"unreadable: {problem.strerror or problem}"
    named = media_type_of_name(name)
    return Inspection(sha256, size_bytes, UNKNOWN, Kind.OTHER, named, failure=failure[:FAILURE_CHARS_MAX])


def _open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; raises OSError for pipes and devices, which might never end or never begin."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 — a descriptor has no path to open it by


def _identify(file: BufferedReader, name: str) -> Inspection:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Inspection(sha256, file.tell(), UNKNOWN, Kind.OTHER, media_type_of_name(name))


def _inspect(found: Inspection, file: BufferedReader) -> Inspection:
    failure = None
    try:
        media_type = detect_media_type(file)
        found = replace(
            found,
            media_type=media_type,
            kind=kind_of(media_type),
            type_mismatch=is_mismatch(media_type, found.named_media_type),
        )
        for findings in readers.read(file, media_type, found.kind):
            found = replace(found, **findings)
    except ContentError as problem:
        failure = str(problem)
    except MemoryError:
        failure = "memory: more is needed to read this file than a worker may have"
    except Exception as problem:  # noqa: BLE001 — hostile bytes raise nearly anything; whatever it is, it is recorded
        failure = f"broken: {problem or type(problem).__name__}"
    return replace(found, failure=failure[:FAILURE_CHARS_MAX]) if failure else found
