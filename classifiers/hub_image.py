"""Labels for what can be seen, by a CLIP or SigLIP checkpoint: images and label texts in one space of vectors.

Sources: Radford et al., Learning Transferable Visual Models From Natural Language Supervision (2021); Zhai et al.,
Sigmoid Loss for Language Image Pre-Training (2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from classifiers.classifier import Content
from classifiers.hub_checkpoint import Checkpoint, arithmetic, device
from classifiers.image_classifier import DECODED_IMAGES, NO_BYTES, ImageClassifier, decode_images
from classifiers.imagenet import Squares
from classifiers.verdict import Verdict
from classifiers.zero_shot import TOO_FEW_LABELS, Shares, Vectors, label_shares, label_texts, rank_shares

METHOD = "dual-encoder-1"
"""Names label texts, cuts, the square, the temperature and rounding. Raise the number when one changes a verdict."""


class HubImageClassifier:
    """Zero-shot with a dual encoder: the label whose words lie nearest to the picture, at the model's own temperature.

    A picture is squeezed into a square as a whole, never cropped: what stands at its edge counts for an approval too.
    Shares are a softmax over the offered labels, also where a model was trained with independent probabilities.
    """

    name = ImageClassifier.name
    kinds = ImageClassifier.kinds

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @property
    def model(self) -> str:
        """The checkpoint's name."""
        return self._checkpoint.name

    @cached_property
    def revision(self) -> str:
        """The exact weights, arithmetic and method."""
        return f"{self._checkpoint.revision} {arithmetic()} {METHOD}"

    def classify(self, batch: Sequence[Content], labels: Mapping[str, str]) -> list[Verdict]:
        """Give one verdict for each item of `batch`, by the file at its `path`; abstain from what cannot be decoded."""
        if len(labels) < 2:
            return rank_shares(self, [TOO_FEW_LABELS] * len(batch), labels)
        findings: list[Shares | str] = []
        for start in range(0, len(batch), DECODED_IMAGES):
            findings += self._look_at(batch[start : start + DECODED_IMAGES], labels)
        return rank_shares(self, findings, labels)

    def _look_at(self, items: Sequence[Content], labels: Mapping[str, str]) -> list[Shares | str]:
        squares, reasons = decode_images(items, self._side_pixels)
        if not squares:
            return [reason or NO_BYTES for reason in reasons]
        vectors, label_vectors = self._embed_pictures(squares), self._embed_words(label_texts(labels))
        shares = iter(label_shares(vectors, label_vectors, self._temperature))
        return [reason or next(shares) for reason in reasons]

    def _embed_pictures(self, squares: Sequence[Squares]) -> Vectors:
        """Turn squares into unit vectors, float32, shape (squares, width)."""
        import torch

        inputs = self._checkpoint.image_processor(images=list(squares), return_tensors="pt").to(device())
        with torch.inference_mode():
            return _unit(self._model.get_image_features(**inputs))

    def _embed_words(self, texts: Sequence[str]) -> Vectors:
        """Turn texts into unit vectors, float32, shape (texts, width)."""
        import torch

        tokenizer = self._checkpoint.tokenizer
        positions = int(self._model.config.text_config.max_position_embeddings)
        inputs = tokenizer(
            list(texts),
            padding="max_length",  # SigLIP was trained so, and reads the last position
            truncation=True,
            max_length=min(positions, tokenizer.model_max_length),
            return_tensors="pt",
        ).to(device())
        with torch.inference_mode():
            return _unit(self._model.get_text_features(**inputs))

    @cached_property
    def _model(self) -> Any:
        config = self._checkpoint.config
        both = "text_config" in config and "vision_config" in config
        model = self._checkpoint.load("AutoModel") if both else None
        if model is None or not hasattr(model, "logit_scale") or not hasattr(model, "get_image_features"):
            raise self._checkpoint.unusable(
                f"its architecture is {self._checkpoint.architecture or 'not stated'}; images need a dual encoder of "
                "images and texts, such as CLIP or SigLIP"
            )
        return model

    @cached_property
    def _temperature(self) -> float:
        return float(np.exp(-self._model.logit_scale.double().cpu().item()))

    @cached_property
    def _side_pixels(self) -> int:
        side = getattr(self._model.config.vision_config, "image_size", None)
        if not isinstance(side, int):
            raise self._checkpoint.unusable("it does not state one image_size; choose a model of one resolution")
        return side


def _unit(features: Any) -> Vectors:
    from torch.nn.functional import normalize

    vectors: Vectors = normalize(features.pooler_output.float(), dim=1).cpu().numpy()
    return vectors
