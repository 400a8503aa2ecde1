"""Verdicts: either a label or a reason, rounded and ordered so that they repeat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from classifiers.classifier import Content
from classifiers.errors import UnknownKind
from classifiers.registry import KINDS, classifiers_for, classify_by_kind
from classifiers.verdict import Ranking, Verdict, label_set_digest, rank_labels


def test_a_verdict_needs_a_label_or_a_reason() -> None:
    """A verdict that says nothing is refused when it is made."""
    with pytest.raises(ValueError, match="give exactly one of them"):
        Verdict("text", "m", "r", "s")


def test_a_verdict_never_has_both_label_and_reason() -> None:
    """A verdict that labels and abstains at once is refused when it is made."""
    with pytest.raises(ValueError, match="give exactly one of them"):
        Verdict("text", "m", "r", "s", label="portrait", abstained="no text was extracted")


def test_risk_and_calibration_are_absent_by_default() -> None:
    """Without a calibration there is no bound on the error, whatever the score."""
    verdict = Verdict("text", "m", "r", "s", label="portrait", score=1.0, margin=1.0, second_label="other")
    assert (verdict.risk, verdict.calibration) == (None, None)


def test_noise_below_the_rounding_changes_nothing() -> None:
    """Scores that differ by less than half a step give the very same ranking."""
    scores = {"contract": 0.6101, "invoice": 0.2899, "other": 0.1}
    noisy = {label: score + shift for (label, score), shift in zip(scores.items(), (3e-6, -2e-6, -1e-6), strict=True)}
    assert rank_labels(scores) == rank_labels(noisy) == Ranking("contract", 0.61, 0.32, "invoice")


def test_equal_scores_are_ordered_by_name() -> None:
    """A tie is decided by the labels' names and not by the order in which they were offered, nor by noise."""
    assert rank_labels({"b": 0.50000004, "a": 0.49999996}) == Ranking("a", 0.5, 0.0, "b")


def test_the_label_set_is_known_by_names_and_descriptions() -> None:
    """Another description is another label set; another order is not."""
    labels = {"portrait": "a person", "other": "anything else"}
    same = {"other": "anything else", "portrait": "a person"}
    changed = labels | {"other": "the rest"}
    assert label_set_digest(labels) == label_set_digest(same) != label_set_digest(changed)


def test_the_label_set_digest_is_sha256_of_canonical_json() -> None:
    """Another tool can compute the digest: sorted keys, no spaces, UTF-8 as it is."""
    expected = "d17c9611e3af6988df62ef49c1b95e8d1afb99e51ab8995b154872259730b543"
    assert label_set_digest({"b": "ü", "a": "x"}) == expected


def test_every_kind_has_a_classifier(tmp_path: Path) -> None:
    """Images are seen, everything else is read, and no kind of content is without a classifier."""
    chosen = classifiers_for(cache=tmp_path)
    assert {kind: classifier.name for kind, classifier in chosen.items()} == {
        kind: "image" if kind == "image" else "text" for kind in KINDS
    }


def test_an_unknown_kind_is_refused_by_name(tmp_path: Path) -> None:
    """A kind that does not exist is an error that says what is allowed."""
    with pytest.raises(UnknownKind, match="hologram; there are classifiers for image, document") as refused:
        classifiers_for(["image", "hologram"], cache=tmp_path)
    assert refused.value.kinds == ("hologram",)


def test_a_batch_of_a_kind_without_classifier_is_refused_before_any_work(tmp_path: Path) -> None:
    """Verdicts are given for the whole batch or the error names the kind that was not asked for."""
    chosen = classifiers_for(["text"], cache=tmp_path)
    with pytest.raises(UnknownKind, match="no classifier for kind image"):
        classify_by_kind([Content("0" * 64, "image")], {"a": "", "b": ""}, chosen)


def test_choosing_classifiers_loads_no_model_library(tmp_path: Path) -> None:
    """Flows may import verdicts, the port and the registry without paying for torch or transformers."""
    program = (
        "import sys, pathlib; from classifiers import classifier, registry, verdict;"
        f"registry.classifiers_for(cache=pathlib.Path({str(tmp_path)!r}));"
        "print(sorted({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
