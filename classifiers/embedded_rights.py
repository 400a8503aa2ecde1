"""What a file says about its own rights: a value, without the readers that find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EmbeddedStatus(StrEnum):
    """Whether rights metadata was there, and whether all of it could be read."""

    NONE = "none"
    READ = "read"
    UNPARSED = "unparsed"  # something is there that was not understood: never the same as nothing


@dataclass(frozen=True, slots=True)
class EmbeddedRights:
    """The rights that a file carries inside itself: they may restrict a use, never clear it.

    `prohibits` holds actions of the rights vocabulary (`data_mine`, `ai_train`); `conflicts` the names of the fields
    on which XMP, IIM and EXIF contradict each other; `unread` the parts that are present but were not understood.
    `model_release` and `property_release` are PLUS codes (`MR-NON`, `PR-UPR`, …), `data_mining` a PLUS code (`DMI-…`).
    """

    status: EmbeddedStatus = EmbeddedStatus.NONE
    creator: str | None = None
    credit_line: str | None = None
    copyright_notice: str | None = None
    usage_terms: str | None = None
    web_statement: str | None = None
    model_release: str | None = None
    property_release: str | None = None
    expires_at: datetime | None = None
    data_mining: str | None = None
    prohibits: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the plain mapping that goes into JSON."""
        plain = asdict(self)
        plain["expires_at"] = self.expires_at.isoformat() if self.expires_at else None
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> EmbeddedRights:
        """Read what `to_dict` gave."""
        fields = dict(plain)
        fields["status"] = EmbeddedStatus(fields["status"])
        fields["expires_at"] = datetime.fromisoformat(fields["expires_at"]) if fields["expires_at"] else None
        for name in ("prohibits", "conflicts", "unread"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


NOTHING_EMBEDDED = EmbeddedRights()
