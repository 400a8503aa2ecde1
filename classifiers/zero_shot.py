"""How near a vector lies to each offered label: similarities become shares, shares become a ranking.

The same arithmetic serves text and images, because both end up in one 384-dimensional space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifiers.verdict import Verdict, label_set_digest, rank_labels

Vectors: TypeAlias = NDArray[np.float32]
"""Unit vectors as rows, shape (items, 384), float32."""

Vector: TypeAlias = NDArray[np.float32]
"""One unit vector, shape (384,), float32."""

Shares: TypeAlias = NDArray[np.float64]
"""Shares of one item among the offered labels, shape (labels,), float64, sum 1."""

TOO_FEW_LABELS = "fewer than two labels are offered"

TEMPERATURE = 0.05
"""Cosine similarity that counts as one step of e in the shares: a label nearer by 0.05 gets 2.7 times the share.

Shares stay spread over the labels at this temperature, so that the margin says something; it is no calibration.
"""

METHOD = "zero-shot-1"
"""Names label texts, cuts, pooling, temperature and rounding. Raise the number when any of them changes a verdict."""


class Speaker(Protocol):
    """Who speaks, as verdicts name it."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def revision(self) -> str: ...


def label_text(label: str, description: str) -> str:
    """Give the words that stand for a label; name and description together separate labels better than names alone.

    >>> label_text("portrait", "a person looking at the camera")
    'portrait: a person looking at the camera'
    >>> label_text("portrait", " ")
    'portrait'
    """
    return f"{label}: {description.strip()}" if description.strip() else label


def label_shares(vectors: Vectors, label_vectors: Vectors, temperature: float = TEMPERATURE) -> NDArray[np.float64]:
    """Turn cosine similarities into shares: a softmax over the labels at `temperature`, shape (items, labels), rows
    sum to 1.

    >>> import numpy as np
    >>> unit = np.eye(2, dtype=np.float32)
    >>> label_shares(unit[:1] * 0.05, unit).round(3).tolist()
    [[0.731, 0.269]]
    """
    return softmax((vectors @ label_vectors.T).astype(np.float64) / temperature)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits into shares, row by row; shape (items, labels) in and out, rows sum to 1.

    >>> softmax(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def label_texts(labels: Mapping[str, str]) -> list[str]:
    """Give the words of every offered label, in the order of `labels`."""
    return [label_text(label, description) for label, description in labels.items()]


def give_verdicts(
    speaker: Speaker, findings: Sequence[Vector | str], labels: Mapping[str, str], label_vectors: Vectors
) -> list[Verdict]:
    """Turn each finding into the speaker's verdict: a unit vector into the nearest label, a reason into an abstention.

    `label_vectors` has one row for each of `labels`, in their order; it is not looked at when no finding is a vector.
    """
    shares = [
        finding if isinstance(finding, str) else label_shares(finding[np.newaxis], label_vectors)[0]
        for finding in findings
    ]
    return rank_shares(speaker, shares, labels)


def rank_shares(speaker: Speaker, findings: Sequence[Shares | str], labels: Mapping[str, str]) -> list[Verdict]:
    """Turn each finding into the speaker's verdict: shares into the label with the largest, a reason into an
    abstention."""
    label_set = label_set_digest(labels)

    def verdict(finding: Shares | str) -> Verdict:
        if isinstance(finding, str):
            return Verdict(speaker.name, speaker.model, speaker.revision, label_set, abstained=finding)
        best = rank_labels(dict(zip(labels, finding.tolist(), strict=True)))
        return Verdict(
            speaker.name,
            speaker.model,
            speaker.revision,
            label_set,
            label=best.label,
            score=best.score,
            margin=best.margin,
            second_label=best.second_label,
        )

    return [verdict(finding) for finding in findings]
