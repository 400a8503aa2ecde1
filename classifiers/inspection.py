"""What the bytes of one asset are: type, size, text, embedded rights, thumbnail, or why they could not be read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import orjson

from classifiers.embedded_rights import NOTHING_EMBEDDED, EmbeddedRights, EmbeddedStatus

__all__ = ["EmbeddedRights", "EmbeddedStatus", "Inspection", "Kind"]


class Kind(StrEnum):
    """The sort of content, as policies name it."""

    IMAGE = "image"
    DOCUMENT = "document"
    TEXT = "text"
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What inspection found in one file; with `failure` set, only what was found before it failed.

    `thumbnail` (JPEG, at most 320 px) travels beside the JSON, not in it.
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
