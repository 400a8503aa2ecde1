"""Labels for what can be read: the text of a version compared with the words of each offered label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from classifiers.classifier import Content
from classifiers.text_encoder import MODEL, TextEncoder, clean_text
from classifiers.verdict import Verdict
from classifiers.zero_shot import TOO_FEW_LABELS, Vector, give_verdicts, label_texts

NO_TEXT = "no text was extracted"
NO_WORDS = "the text has no words"
UNKNOWN_SCRIPT = "the text is not in a script that the model reads"

MOST_UNKNOWN = 0.5
"""Share of word pieces without a word in the model above which its vector says nothing."""


class TextClassifier:
    """Zero-shot with MiniLM: the label whose name and description lie nearest to the text of a version."""

    name = "text"
    model = MODEL
    kinds = frozenset({"document", "text", "video", "audio", "other"})

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @property
    def revision(self) -> str:
        """The exact weights, arithmetic and method."""
        return self._encoder.revision

    def classify(self, batch: Sequence[Content], labels: Mapping[str, str]) -> list[Verdict]:
        """Give one verdict for each item of `batch`, by its `text`; abstain where there is none that can be read."""
        if len(labels) < 2:
            return give_verdicts(self, [TOO_FEW_LABELS] * len(batch), labels, self._encoder.encode([]))
        texts = [clean_text(item.text or "") for item in batch]
        reasons = [why_unreadable(text, self._encoder.unknown_share) for text in texts]
        vectors = iter(self._encoder.encode([text for text, reason in zip(texts, reasons, strict=True) if not reason]))
        findings: list[Vector | str] = [reason or next(vectors) for reason in reasons]
        return give_verdicts(self, findings, labels, self._encoder.encode(label_texts(labels)))


def why_unreadable(text: str, unknown_share: Callable[[str], float]) -> str | None:
    """Decide whether a cleaned text says something to a model; the reason if it does not.

    `unknown_share` gives the share (0..1) of a text's word pieces that the model has no word for.

    >>> why_unreadable("4711", lambda _: 0.0), why_unreadable("Terms of use", lambda _: 0.0)
    ('the text has no words', None)
    """
    if not text:
        return NO_TEXT
    if not any(character.isalpha() for character in text):
        return NO_WORDS
    return UNKNOWN_SCRIPT if unknown_share(text) > MOST_UNKNOWN else None
