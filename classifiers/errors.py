"""Errors of the classifiers package."""

from __future__ import annotations

from collections.abc import Sequence


class ClassifierError(Exception):
    """Base of everything that can go wrong while content is inspected or classified. All of it is permanent."""


class SandboxUnavailable(ClassifierError):
    """A sandboxed worker cannot be started at all, whatever the item: a fault of the machine or the installation."""


class ContentError(ClassifierError):
    """A finding about one file: it cannot be read; `cause` says why in a word. It becomes a failure."""

    cause = "broken"

    def __str__(self) -> str:
        return f"{self.cause}: {super().__str__()}"


class ContentBroken(ContentError):
    """The bytes do not follow the format that they claim."""


class ContentTooLarge(ContentError):
    """The content would need more pixels, entries or unpacked bytes than is allowed."""

    cause = "too large"


class ContentRefused(ContentError):
    """The content uses a construct that is only good for attacks."""

    cause = "refused"


class ContentEncrypted(ContentError):
    """The content needs a password to be read."""

    cause = "encrypted"


class ContentUnsupported(ContentError):
    """The format is known but no reader for it is here."""

    cause = "unsupported"


class ContentEmpty(ContentError):
    """The file has no bytes."""

    cause = "empty"


class BytesNotAtHand(ClassifierError):
    """The local copy of the content cannot be read: a fault of the machine, not of the content. It may pass."""


class ModelUnusable(ClassifierError):
    """A model's files are missing, were changed, or do not fit its architecture. Permanent until reinstalled."""


class FontUnusable(ClassifierError):
    """Words cannot be drawn with this installation. Permanent until reinstalled."""


class UnknownKind(ClassifierError):
    """There is no classifier for these kinds of content."""

    def __init__(self, kinds: Sequence[str], allowed: Sequence[str]) -> None:
        super().__init__(kinds, allowed)
        self.kinds = tuple(kinds)
        self.allowed = tuple(allowed)

    def __str__(self) -> str:
        found, allowed = ", ".join(self.kinds), ", ".join(self.allowed)
        return f"no classifier for kind {found}; there are classifiers for {allowed}: name it in classifiers_for()"
