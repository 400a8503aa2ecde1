"""The arithmetic of a machine: short only where it is faster and says the same, and settled once for all processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classifiers.precision import Measurement, measure_precision, settled_precision
from classifiers.zero_shot import Vectors

FAST = Measurement(float32_s=1.0, bfloat16_s=0.4, least_cosine=0.9998, drift=0.0)
SLOW = Measurement(float32_s=1.0, bfloat16_s=7.5)


@pytest.mark.parametrize(
    ("measured", "precision"),
    [
        (FAST, "bfloat16"),
        (SLOW, "float32"),
        (Measurement(1.0, 0.9, 0.9998, 0.0), "float32"),
        (Measurement(1.0, 0.4, 0.998, 0.0), "float32"),
        (Measurement(1.0, 0.4, 0.9998, 0.002), "float32"),
        (Measurement(1.0, 0.4), "float32"),
    ],
)
def test_short_arithmetic_must_be_faster_faithful_and_steady(measured: Measurement, precision: str) -> None:
    """Little gain, another direction, neighbours that matter or an unknown each keep float32."""
    assert measured.precision == precision


def test_the_first_answer_holds_for_every_process(tmp_path: Path) -> None:
    """A second process that measures something else follows what the first one wrote."""
    answers = [settled_precision(tmp_path, "minilm", lambda measured=measured: measured) for measured in (FAST, SLOW)]
    assert answers == ["bfloat16", "bfloat16"]
    assert settled_precision(tmp_path, "another", lambda: SLOW) == "float32"


def test_a_race_is_won_by_one_process(tmp_path: Path) -> None:
    """Whoever finishes second reads the winner's answer, and leaves no temporary file."""

    def overtaken() -> Measurement:
        settled_precision(tmp_path, "minilm", lambda: FAST)
        return SLOW

    assert settled_precision(tmp_path, "minilm", overtaken) == "bfloat16"
    assert [path.name for path in tmp_path.iterdir()] == ["precision-minilm.json"]


def test_a_model_that_looks_at_its_neighbours_drifts() -> None:
    """The measurement sees when an item's vector changes with its batch."""

    def steady(items: Sequence[int]) -> Vectors:
        for _ in range(200):
            np.linalg.inv(np.eye(60))
        return np.eye(3, dtype=np.float32)[list(items)]

    def nosy(items: Sequence[int]) -> Vectors:
        turned = np.eye(3, dtype=np.float32)[list(items)]
        return turned if len(items) == 1 else np.roll(turned, 1, axis=1)

    measured = measure_precision(steady, nosy, range(3))
    assert (measured.least_cosine, measured.drift, measured.precision) == (0.0, 1.0, "float32")
