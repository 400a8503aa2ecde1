"""MiniLM as torch modules: word pieces in, one unit vector a text out.

Source: Wang et al., MiniLM (2020), and the model card of sentence-transformers/all-MiniLM-L6-v2: a BERT encoder of
six layers (width 384, 12 heads, layer normalisation behind each part), the mean over a text's word pieces, unit
length. Written out here, it starts in a third of the time and memory that a general model library takes, and can run
no code from a model's folder.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 384
LAYERS = 6
HEADS = 12
WORD_PIECES = 30_522
POSITIONS = 512

_INNER = 4 * WIDTH
_EPSILON = 1e-12


class _Layer(nn.Module):
    """Attention and a feed-forward part, each added to its input and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.attended = nn.Linear(WIDTH, WIDTH)
        self.attended_norm = nn.LayerNorm(WIDTH, _EPSILON)
        self.inner = nn.Linear(WIDTH, _INNER)
        self.outer = nn.Linear(_INNER, WIDTH)
        self.outer_norm = nn.LayerNorm(WIDTH, _EPSILON)

    def forward(self, states: Tensor, attend: Tensor) -> Tensor:
        texts, length, _ = states.shape
        split = self.query_key_value(states).view(texts, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=attend)
        states = self.attended_norm(states + self.attended(mixed.transpose(1, 2).reshape(texts, length, WIDTH)))
        normed: Tensor = self.outer_norm(states + self.outer(functional.gelu(self.inner(states))))
        return normed


class MiniLM(nn.Module):
    """Ids of word pieces, shape (texts, length), 0 behind each text, to unit vectors, shape (texts, 384), float32."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORD_PIECES, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, _EPSILON)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor) -> Tensor:
        present = ids != 0  # padding, or its name spelt out in a text, which says nothing
        attend = present[:, None, None, :]
        states = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        for layer in self.layers:
            states = layer(states, attend)
        weights = present.unsqueeze(-1).float()
        means = (states.float() * weights).sum(1) / weights.sum(1)
        return functional.normalize(means, dim=1)


def arranged_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the state of `MiniLM` from the published tensors.

    Query, key and value become one matrix; the one segment that texts consist of is added to the positions.
    `KeyError` is raised if a tensor is missing; a wrong shape shows when the state is loaded.
    """
    segment = published["embeddings.token_type_embeddings.weight"][0]
    state = {
        "words.weight": published["embeddings.word_embeddings.weight"],
        "positions.weight": published["embeddings.position_embeddings.weight"] + segment,
    }
    renamed = {"norm": "embeddings.LayerNorm"}
    for layer in range(LAYERS):
        ours, theirs = f"layers.{layer}", f"encoder.layer.{layer}"
        renamed |= {
            f"{ours}.attended": f"{theirs}.attention.output.dense",
            f"{ours}.attended_norm": f"{theirs}.attention.output.LayerNorm",
            f"{ours}.inner": f"{theirs}.intermediate.dense",
            f"{ours}.outer": f"{theirs}.output.dense",
            f"{ours}.outer_norm": f"{theirs}.output.LayerNorm",
        }
        for part in ("weight", "bias"):
            thirds = [published[f"{theirs}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            state[f"{ours}.query_key_value.{part}"] = torch.cat(thirds)
    return state | {
        f"{to}.{part}": published[f"{of}.{part}"] for to, of in renamed.items() for part in ("weight", "bias")
    }
