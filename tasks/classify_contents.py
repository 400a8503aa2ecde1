"""Classify the content of a shard; the same bytes are never classified twice by the same revision and label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from classifiers.classifier import Classifier, Content
from classifiers.registry import classifiers_for, classify_by_kind
from classifiers.verdict import Verdict, label_set_digest
from ledger.reader import verdicts_of
from ledger.screen import VerdictRecord
from tasks.resources import Resources
from tasks.settings import ModelSettings

_BUILT_IN = ModelSettings()


def classify_contents(
    resources: Resources, contents: Sequence[Content], labels: Mapping[str, str]
) -> dict[str, VerdictRecord]:
    """One verdict for each distinct SHA-256 of `contents`, from the ledger where it is known already.

    Nothing is said with models switched off or without labels to choose from. Contents whose rights forbid machine
    processing must not be passed in.
    """
    if not resources.settings.models.enabled or len(labels) < 2:
        return {}
    classifiers = _classifiers(resources.settings.home / "models", resources.settings.models)
    label_set = label_set_digest(labels)
    distinct = {one.sha256: one for one in contents}
    known = _known_verdicts(resources, distinct, classifiers, label_set)
    fresh = [one for sha256, one in distinct.items() if sha256 not in known]
    spoken = classify_by_kind(fresh, labels, classifiers)
    known.update({one.sha256: _record(one.sha256, verdict) for one, verdict in zip(fresh, spoken, strict=True)})
    return known


@lru_cache(maxsize=1)
def _classifiers(cache: Path, models: ModelSettings = _BUILT_IN) -> Mapping[str, Classifier]:
    """The classifiers of this process; their models are loaded once."""
    return classifiers_for(
        cache=cache,
        text=models.text.source if models.text else None,
        image=models.image.source if models.image else None,
        download=models.download,
    )


def _known_verdicts(
    resources: Resources, contents: Mapping[str, Content], classifiers: Mapping[str, Classifier], label_set: str
) -> dict[str, VerdictRecord]:
    with resources.ledger.reading() as connection:
        rows = verdicts_of(connection, contents)
    known: dict[str, VerdictRecord] = {}
    for row in rows:
        speaker = classifiers[contents[row.sha256].kind]
        wanted = (speaker.name, speaker.model, speaker.revision, label_set)
        if (row.classifier, row.model, row.revision, row.label_set) == wanted:
            known[row.sha256] = VerdictRecord(
                **{name: getattr(row, name) for name in VerdictRecord.__dataclass_fields__}
            )
    return known


def _record(sha256: str, verdict: Verdict) -> VerdictRecord:
    return VerdictRecord(
        sha256=sha256,
        classifier=verdict.classifier,
        model=verdict.model,
        revision=verdict.revision,
        label_set=verdict.label_set,
        label=verdict.label,
        score=verdict.score,
        margin=verdict.margin,
        second_label=verdict.second_label,
        risk=verdict.risk,
        calibration=verdict.calibration,
        abstained=verdict.abstained,
    )
