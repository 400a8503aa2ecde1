"""Labels for what can be read, by a checkpoint of one's own choice instead of the built-in MiniLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from classifiers.classifier import Content
from classifiers.hub_checkpoint import Checkpoint
from classifiers.hub_text_models import EntailmentModel, SentenceModel, text_model
from classifiers.text_classifier import TextClassifier, why_unreadable
from classifiers.text_encoder import WINDOW, clean_text
from classifiers.verdict import Verdict
from classifiers.zero_shot import TOO_FEW_LABELS, Shares, rank_shares


class HubTextClassifier:
    """Zero-shot with a transformers checkpoint: a sentence encoder, or a model for natural language inference."""

    name = TextClassifier.name
    kinds = TextClassifier.kinds

    def __init__(self, checkpoint: Checkpoint, cache: Path) -> None:
        self._checkpoint = checkpoint
        self._cache = cache

    @property
    def model(self) -> str:
        """The checkpoint's name."""
        return self._checkpoint.name

    @property
    def revision(self) -> str:
        """The exact weights, arithmetic and method."""
        return self._model.revision

    def classify(self, batch: Sequence[Content], labels: Mapping[str, str]) -> list[Verdict]:
        """Give one verdict for each item of `batch`, by its `text`; abstain where there is none that can be read."""
        if len(labels) < 2:
            return rank_shares(self, [TOO_FEW_LABELS] * len(batch), labels)
        findings: list[Shares | str] = []
        for start in range(0, len(batch), WINDOW):
            findings += self._read(batch[start : start + WINDOW], labels)
        return rank_shares(self, findings, labels)

    def _read(self, items: Sequence[Content], labels: Mapping[str, str]) -> list[Shares | str]:
        texts = [clean_text(item.text or "") for item in items]
        reasons = [why_unreadable(text, self._model.unknown_share) for text in texts]
        readable = [text for text, reason in zip(texts, reasons, strict=True) if not reason]
        shares = iter(self._model.shares(readable, labels) if readable else ())
        return [reason or next(shares) for reason in reasons]

    @cached_property
    def _model(self) -> SentenceModel | EntailmentModel:
        return text_model(self._checkpoint, self._cache)
