"""Texts, alone or in pairs, as padded batches of tokens for any checkpoint's tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from classifiers.hub_checkpoint import Checkpoint, device
from classifiers.text_encoder import PADDING_TOKENS, clean_text, padded_length, token_batches

if TYPE_CHECKING:
    from torch import Tensor

MOST_TOKENS = 512
"""Longest text in tokens, whatever a model would take: the time of attention grows with the square."""


class TokenRow(NamedTuple):
    """One text or pair of texts: token ids, and for each token whether it belongs to the first or second text."""

    ids: list[int]
    segments: list[int]


class HubTokens:
    """The tokenizer of a checkpoint; `most_tokens` bounds a text further than the checkpoint does."""

    def __init__(self, checkpoint: Checkpoint, most_tokens: int = MOST_TOKENS) -> None:
        self._checkpoint = checkpoint
        self._tokenizer = checkpoint.tokenizer
        self._asked_tokens = most_tokens

    def rows(self, texts: Sequence[str], second: str | None = None) -> list[TokenRow]:
        """Turn each text, with the text `second` behind it if there is one, into tokens, cut to what the model takes.

        Names of special tokens that stand in a text are words like any other: a text cannot end itself and go on as
        the second one.
        """
        # one text at a time: a batch would start threads of its own on cores that other workers have
        return [self._row(text, second) for text in texts]

    def unknown_share(self, text: str) -> float:
        """Share (0..1) of a text's tokens that the model has no word for; 1 for a text without any token."""
        ids = list(self._tokenizer(clean_text(text), add_special_tokens=False, verbose=False)["input_ids"])
        unknown = self._tokenizer.unk_token_id
        return (ids.count(unknown) if unknown is not None else 0) / len(ids) if ids else 1.0

    def batches(self, rows: Sequence[TokenRow]) -> Iterator[tuple[list[int], Mapping[str, Tensor]]]:
        """Give places in `rows` with the model's inputs for them, shortest first, each batch of one padded length.

        A row's padded length depends on the row alone, so that its neighbours cannot change the arithmetic.
        """
        for places in token_batches([row.ids for row in rows]):
            yield places, self._inputs([rows[place] for place in places])

    @cached_property
    def most_tokens(self) -> int:
        """Longest row in tokens: a multiple of the padding, so that no padded row leaves the model's positions."""
        # two positions are left out: RoBERTa and its kin count from two
        positions = int(self._checkpoint.config.get("max_position_embeddings") or MOST_TOKENS + 2) - 2
        least = min(positions, int(self._tokenizer.model_max_length), self._asked_tokens, MOST_TOKENS)
        if least < PADDING_TOKENS:
            raise self._checkpoint.unusable(f"it reads {least} tokens, and fewer than {PADDING_TOKENS} say nothing")
        return least // PADDING_TOKENS * PADDING_TOKENS

    def _row(self, text: str, second: str | None) -> TokenRow:
        encoded = self._tokenizer(
            clean_text(text),
            second,
            truncation=True,
            max_length=self.most_tokens,
            split_special_tokens=True,
            return_token_type_ids=True,
        )
        return TokenRow(list(encoded["input_ids"]), list(encoded["token_type_ids"]))

    def _inputs(self, rows: Sequence[TokenRow]) -> Mapping[str, Tensor]:
        import torch

        length = padded_length(max(len(row.ids) for row in rows))

        def padded(lines: Sequence[Sequence[int]], value: int) -> Tensor:
            return torch.tensor([[*line, *[value] * (length - len(line))] for line in lines], device=device())

        inputs = {
            "input_ids": padded([row.ids for row in rows], int(self._tokenizer.pad_token_id or 0)),
            "attention_mask": padded([[1] * len(row.ids) for row in rows], 0),
        }
        if "token_type_ids" in self._tokenizer.model_input_names:
            inputs["token_type_ids"] = padded([row.segments for row in rows], 0)
        return inputs
