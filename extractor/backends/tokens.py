"""Texts as token ids: cut at what the model can take, padded to the longest of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PADDED = ("siglip", "siglip2")  # trained on texts padded to their full length
# models that count positions from behind their padding id
_OFFSET = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
    "longformer",
    "data2vec-text",
    "altclip_text_model",
    "clap_text_model",
)
_NO_LIMIT = 10**6  # some tokenizers say 10^30 where they know none
_USUAL = 512


class Tokens:
    """A tokenizer with the limits of its model.

    Attributes
    ----------
    longest : tokens of the longest text that the model takes; the rest is cut off.
    """

    def __init__(self, tokenizer: Any, config: Any) -> None:
        text = getattr(config, "text_config", None) or config
        self._tokenizer = tokenizer
        self._fixed = config.model_type in _PADDED
        if tokenizer.pad_token is None:  # of a decoder; padding is masked, any id will do
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if not self._fixed:
            tokenizer.padding_side = "right"
        positions = getattr(text, "max_position_embeddings", None)
        if positions and getattr(text, "model_type", "") in _OFFSET:
            positions -= (text.pad_token_id or 0) + 1
        limits = [tokenizer.model_max_length, positions or _NO_LIMIT]
        self.longest = int(min(limits)) if min(limits) < _NO_LIMIT else _USUAL

    def batch(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` and so on, (B, T)."""
        padding: Any = "max_length" if self._fixed else True
        found = self._tokenizer(
            list(texts), padding=padding, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        return dict(found)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, after cutting."""
        found = self._tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        return [len(ids) for ids in found]
