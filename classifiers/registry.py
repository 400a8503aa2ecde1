"""Which classifier speaks about which kind of content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from classifiers.classifier import Classifier, Content
from classifiers.errors import UnknownKind
from classifiers.hub_checkpoint import Checkpoint
from classifiers.hub_image import HubImageClassifier
from classifiers.hub_text import HubTextClassifier
from classifiers.image_classifier import ImageClassifier
from classifiers.model_source import ModelSource
from classifiers.text_classifier import TextClassifier
from classifiers.text_encoder import TextEncoder
from classifiers.verdict import Verdict

KINDS = ("image", "document", "text", "video", "audio", "other")
"""Every kind of content, as the fact `kind` knows them."""


def classifiers_for(
    kinds: Collection[str] = KINDS,
    *,
    cache: Path,
    text: ModelSource | None = None,
    image: ModelSource | None = None,
    download: bool = False,
) -> Mapping[str, Classifier]:
    """Choose the classifier of each kind in `kinds`; nothing is loaded before the first batch.

    Images are seen; every other kind is read by the text that inspection extracted from it, and abstained from if there
    is none. `cache` is a local folder for converted weights (`<home>/models`), made when needed. `text` and `image`
    name checkpoints that take the place of the built-in models, which share one text model; `download` is whether they
    may be fetched from a hub. `UnknownKind` is raised for a kind that is not in `KINDS`.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise UnknownKind(unknown, KINDS)
    encoder = TextEncoder(cache)
    reads: Classifier = (
        HubTextClassifier(Checkpoint(text, download=download), cache) if text else TextClassifier(encoder)
    )
    sees: Classifier = (
        HubImageClassifier(Checkpoint(image, download=download)) if image else ImageClassifier(cache, encoder)
    )
    return {kind: sees if kind == "image" else reads for kind in kinds}


def classify_by_kind(
    batch: Sequence[Content], labels: Mapping[str, str], classifiers: Mapping[str, Classifier]
) -> list[Verdict]:
    """Give one verdict for each item, in the order of `batch`, each by the classifier of its kind.

    `UnknownKind` is raised before any work if an item's kind has no classifier in `classifiers`.
    """
    if unknown := sorted({item.kind for item in batch} - set(classifiers)):
        raise UnknownKind(unknown, tuple(classifiers))
    verdicts: dict[int, Verdict] = {}
    for classifier in dict.fromkeys(classifiers.values()):
        places = [place for place, item in enumerate(batch) if classifiers[item.kind] is classifier]
        spoken = classifier.classify([batch[place] for place in places], labels) if places else []
        verdicts.update(zip(places, spoken, strict=True))
    return [verdicts[place] for place in range(len(batch))]
