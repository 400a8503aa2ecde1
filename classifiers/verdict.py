"""What a classifier says about one version: a label with its score and margin, or an abstention with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

SCORE_DECIMALS = 3
"""Decimals that a score and a margin keep.

Other neighbours in a batch move a score by less than 0.000001 (see `classifiers.text_encoder`), so that rounded
numbers repeat; where one lies on the edge between two steps it moves by one step, never by more. Labels whose rounded
scores are equal are a tie, which their names decide and not the noise.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One classifier's answer for one version under one label set.

    `classifier`, `model` and `revision` say exactly who spoke, `label_set` which labels were offered
    (`label_set_digest`). Either `label` is set, with `score` (0..1, its share among the offered labels), `margin`
    (0..1, score of the first minus score of the second label) and `second_label`; or `abstained` holds the reason why
    there is none. `risk` (0..1, bound on the error of this verdict) and `calibration` (which evidence gives that
    bound) stay None as long as no calibration exists: a score is not a probability of being right.
    """

    classifier: str
    model: str
    revision: str
    label_set: str
    label: str | None = None
    score: float | None = None
    margin: float | None = None
    second_label: str | None = None
    risk: float | None = None
    calibration: str | None = None
    abstained: str | None = None

    def __post_init__(self) -> None:
        if (self.label is None) == (self.abstained is None):
            raise ValueError(
                f"a verdict has a label or a reason for abstaining, found label={self.label!r} and "
                f"abstained={self.abstained!r}; give exactly one of them"
            )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best two of the offered labels: `score` and `margin` are 0..1, rounded to `SCORE_DECIMALS`."""

    label: str
    score: float
    margin: float
    second_label: str


def rank_labels(scores: Mapping[str, float]) -> Ranking:
    """Decide which of at least two labels comes first: the highest rounded score, ties by name.

    >>> rank_labels({"portrait": 0.30004, "other": 0.29996, "product photo": 0.4})
    Ranking(label='product photo', score=0.4, margin=0.1, second_label='other')
    """
    rounded = {label: round(float(score), SCORE_DECIMALS) for label, score in scores.items()}
    first, second = sorted(rounded, key=lambda label: (-rounded[label], label))[:2]
    margin = round(rounded[first] - rounded[second], SCORE_DECIMALS)
    return Ranking(first, rounded[first], margin, second)


def label_set_digest(labels: Mapping[str, str]) -> str:
    """SHA-256 (hex) of the offered labels and their descriptions as canonical JSON, whatever their order.

    >>> label_set_digest({"a": "x", "b": "y"}) == label_set_digest({"b": "y", "a": "x"})
    True
    """
    canonical = json.dumps(dict(labels), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
