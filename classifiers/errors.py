"""Errors of the classifiers package."""

from __future__ import annotations

from collections.abc import Sequence


class ContentError(Exception):
    """Base of everything that can go wrong while content is inspected or classified. All of it is permanent."""


class UnknownKind(ContentError):
    """No classifier was asked for these kinds of content."""

    def __init__(self, kinds: Sequence[str], allowed: Sequence[str]) -> None:
        super().__init__(kinds, allowed)
        self.kinds = tuple(kinds)
        self.allowed = tuple(allowed)

    def __str__(self) -> str:
        found, allowed = ", ".join(self.kinds), ", ".join(self.allowed)
        return f"no classifier for kind {found}; classifiers exist for {allowed}: name the kind in classifiers_for()"


class ModelUnusable(ContentError):
    """A model's files are missing, were changed, or do not fit its architecture."""
