"""The port that every classifier implements: a batch of content and the offered labels in, one verdict each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from classifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Content:
    """One version as a classifier sees it.

    `sha256` names the bytes (hex), `kind` is the fact of that name (image, document, text, video, audio, other),
    `path` is a local copy of the bytes or None, `text` is what inspection extracted from them or None.
    """

    sha256: str
    kind: str
    path: Path | None = None
    text: str | None = None


class Classifier(Protocol):
    """Something that gives labels. Making one costs nothing: models load when they are first needed."""

    @property
    def name(self) -> str:
        """Which classifier this is, as verdicts name it."""
        ...

    @property
    def model(self) -> str:
        """The model behind it."""
        ...

    @property
    def revision(self) -> str:
        """The exact weights and arithmetic: two equal revisions give equal verdicts for equal bytes and labels."""
        ...

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of content about which it can say something."""
        ...

    def classify(self, batch: Sequence[Content], labels: Mapping[str, str]) -> list[Verdict]:
        """Give one verdict for each item, in the order of `batch`; what cannot be read is abstained from, never raised.

        `labels` maps each offered label to its description in plain words; with fewer than two labels there is nothing
        to choose between, and every verdict is an abstention.
        """
        ...
