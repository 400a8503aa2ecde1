"""Two ways in which a checkpoint tells how well texts fit labels: nearness of vectors, or entailment.

Sources: Reimers and Gurevych, Sentence-BERT (2019), for pooled vectors; Yin, Hay and Roth, Benchmarking Zero-shot Text
Classification (2019), for labels as hypotheses of natural language inference (NLI).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifiers.hub_checkpoint import Checkpoint, arithmetic, device, read_json
from classifiers.hub_tokens import MOST_TOKENS, HubTokens, TokenRow
from classifiers.precision import BFLOAT16, FLOAT32, Measurement, measure_precision, settled_precision
from classifiers.zero_shot import METHOD, Vectors, label_shares, label_texts, softmax

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

HYPOTHESIS = "This example is {}."
NLI_METHOD = "entailment-1"
"""Names hypothesis, label texts, cuts and rounding. Raise the number when any of them changes a verdict."""

SENTENCE_TOKENS = 256
"""Longest text of a sentence encoder that does not say its own; most were trained on less."""

_PROBE = ("An invoice for the licence of two photographs.", "A portrait of a person.", "Terms of use", "a red shoe") * 2
_PARTS = {"Transformer", "Pooling", "Normalize"}
_MEAN, _FIRST = "mean_tokens", "cls_token"


class SentenceModel:
    """An encoder whose pooled tokens are a text's vector. `cache` keeps what was measured on this machine."""

    def __init__(self, checkpoint: Checkpoint, cache: Path) -> None:
        self._checkpoint = checkpoint
        self._cache = cache

    @cached_property
    def revision(self) -> str:
        """Weights, arithmetic and method."""
        return f"{self._checkpoint.revision} {arithmetic(self.precision)} {METHOD}"

    @cached_property
    def precision(self) -> str:
        """`float32` on a GPU; on processors `float32` or `bfloat16`, as this machine settled on."""
        import torch

        if device() != "cpu":
            return FLOAT32
        weights = self._checkpoint.revision.rpartition(":")[2].replace("/", "-")
        name = f"{weights}-torch-{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
        return settled_precision(self._cache, name, self._measure)

    def shares(self, texts: Sequence[str], labels: Mapping[str, str]) -> NDArray[np.float64]:
        """Give each text's shares of the labels, shape (texts, labels), rows sum to 1."""
        return label_shares(self.encode(texts), self.encode(label_texts(labels)))

    def unknown_share(self, text: str) -> float:
        """Share (0..1) of the text's tokens that the model has no word for."""
        return self._tokens.unknown_share(text)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Turn texts into unit vectors, float32, shape (texts, width); each is independent of the others."""
        return self._encode_with(self._model, texts)

    def _encode_with(self, model: PreTrainedModel, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
        for places, inputs in self._tokens.batches(self._tokens.rows(texts)):
            vectors[places] = _pooled(model, inputs, self._pooling)
        return vectors

    @cached_property
    def _model(self) -> PreTrainedModel:
        return self._load(self.precision)

    def _load(self, precision: str) -> PreTrainedModel:
        return self._checkpoint.load("AutoModel", precision, unused="pooler.")  # a head beside the pooled tokens

    @cached_property
    def _tokens(self) -> HubTokens:
        stated = self._checkpoint.folder / "sentence_bert_config.json"
        most = (read_json(stated).get("max_seq_length") if stated.is_file() else None) or SENTENCE_TOKENS
        return HubTokens(self._checkpoint, min(int(most), MOST_TOKENS))

    @cached_property
    def _pooling(self) -> str:
        """How tokens become one vector: their mean, unless the checkpoint says that the first token is it."""
        path = self._checkpoint.folder / "1_Pooling" / "config.json"
        if not path.is_file():
            return _MEAN
        stated = read_json(path)
        modes = [
            name.removeprefix("pooling_mode_") for name, on in stated.items() if name.startswith("pooling_mode_") and on
        ]
        mode = modes[0] if len(modes) == 1 else str(modes)
        if mode not in (_MEAN, _FIRST):
            raise self._checkpoint.unusable(f"it pools tokens by {mode}; known are {_MEAN} and {_FIRST}")
        return mode

    def _measure(self) -> Measurement:
        float32, bfloat16 = (self._load(precision) for precision in (FLOAT32, BFLOAT16))
        return measure_precision(
            lambda texts: self._encode_with(float32, texts), lambda texts: self._encode_with(bfloat16, texts), _PROBE
        )


class EntailmentModel:
    """An NLI model: a label fits a text by how strongly the text entails the sentence that names the label."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @cached_property
    def revision(self) -> str:
        """Weights, arithmetic and method."""
        return f"{self._checkpoint.revision} {arithmetic()} {NLI_METHOD}"

    def shares(self, texts: Sequence[str], labels: Mapping[str, str]) -> NDArray[np.float64]:
        """Give each text's shares of the labels, shape (texts, labels): a softmax over the logits of entailment."""
        hypotheses = [HYPOTHESIS.format(words) for words in label_texts(labels)]
        logits = [self._entailment(self._tokens.rows(texts, hypothesis)) for hypothesis in hypotheses]
        return softmax(np.stack(logits, axis=1))

    def unknown_share(self, text: str) -> float:
        """Share (0..1) of the text's tokens that the model has no word for."""
        return self._tokens.unknown_share(text)

    def _entailment(self, rows: Sequence[TokenRow]) -> NDArray[np.float64]:
        import torch

        logits = np.zeros(len(rows))
        for places, inputs in self._tokens.batches(rows):
            with torch.inference_mode():
                logits[places] = self._model(**inputs).logits[:, self._entails].double().cpu().numpy()
        return logits

    @cached_property
    def _model(self) -> PreTrainedModel:
        return self._checkpoint.load("AutoModelForSequenceClassification")

    @cached_property
    def _tokens(self) -> HubTokens:
        return HubTokens(self._checkpoint)

    @cached_property
    def _entails(self) -> int:
        """Place of the output that means entailment."""
        outputs = dict(self._checkpoint.config.get("id2label") or {})
        places = [int(place) for place, label in outputs.items() if str(label).lower().startswith("entail")]
        if len(places) != 1:
            raise self._checkpoint.unusable(
                f"its outputs are {', '.join(map(str, outputs.values())) or 'without names'}, and one of them must be "
                "'entailment'; choose a model for natural language inference or a sentence encoder"
            )
        return places[0]


def text_model(checkpoint: Checkpoint, cache: Path) -> SentenceModel | EntailmentModel:
    """Choose how a checkpoint is asked, by the architecture that its configuration names.

    `ModelUnusable` is raised for one that is neither an encoder of sentences nor a classifier of pairs.
    """
    architecture = checkpoint.architecture
    if architecture.endswith("ForSequenceClassification"):
        return EntailmentModel(checkpoint)
    encoder = architecture.endswith(("Model", "ForMaskedLM")) and not architecture.endswith("LMHeadModel")
    if not encoder or "vision_config" in checkpoint.config:
        raise checkpoint.unusable(
            f"its architecture is {architecture or 'not stated'}; texts need an encoder (…Model, …ForMaskedLM) or a "
            "model for natural language inference (…ForSequenceClassification)"
        )
    _refuse_more_parts(checkpoint)
    return SentenceModel(checkpoint, cache)


def _refuse_more_parts(checkpoint: Checkpoint) -> None:
    """Refuse a sentence encoder with layers behind its pooling: without them its vectors mean something else."""
    path = checkpoint.folder / "modules.json"
    if path.is_file():
        kinds = {str(part["type"]).rpartition(".")[2] for part in read_json(path)}
        if more := sorted(kinds - _PARTS):
            raise checkpoint.unusable(f"it has the parts {', '.join(more)}; known are {', '.join(sorted(_PARTS))}")


def _pooled(model: PreTrainedModel, inputs: Mapping[str, Tensor], pooling: str) -> Vectors:
    import torch

    with torch.inference_mode():
        states = model(**inputs).last_hidden_state.float()
        if pooling == _FIRST:
            pooled = states[:, 0]
        else:
            weights = inputs["attention_mask"].unsqueeze(-1).float()
            pooled = (states * weights).sum(1) / weights.sum(1)
        vectors: Vectors = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
    return vectors
