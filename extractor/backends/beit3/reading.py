"""Tensors in, vectors out: what the encoder asks of a model, and how a layer's vector is read from a pass."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from extractor.backends.beit3.images import Moments, as_tensor
from extractor.backends.beit3.unified import Output, Sample
from extractor.layers import Layer


@dataclass(frozen=True)
class Batch:
    """What goes into the model: `pixels` (B, 3, P, P), `tokens` (B, n) int64, `keep` (B, n) bool, False for
    padding, or None where nothing is padded."""

    pixels: Tensor | None = None
    tokens: Tensor | None = None
    keep: Tensor | None = None

    def need_pixels(self) -> Tensor:
        if self.pixels is None:
            raise ValueError("this route needs images")
        return self.pixels

    def need_tokens(self) -> Tensor:
        if self.tokens is None:
            raise ValueError("this route needs texts")
        return self.tokens


class Span(NamedTuple):
    """The places of one side's tokens in a sequence; its own CLS token is the first."""

    start: int
    stop: int


class UnifiedModel(nn.Module):
    """What the encoder asks of a model."""

    @abstractmethod
    def states(self, route: str, batch: Batch) -> Iterator[Tensor]:
        """The embeddings, then what each layer gives, (B, T, d); later layers are not computed unless asked."""

    @abstractmethod
    def finish(self, route: str, x: Tensor, batch: Batch) -> Tensor:
        """The last LayerNorm."""

    @abstractmethod
    def span(self, route: str, side: str, batch: Batch) -> Span:
        """Where the tokens of a side stand on a route."""

    @abstractmethod
    def apply_head(self, head: str, side: str, x: Tensor) -> Tensor:
        """(B, d) -> (B, d')."""


def collate(samples: Sequence[Sample], padding: int, moments: Moments, device: torch.device) -> Batch:
    """Stack images and pad texts to the longest of them."""
    pixels = [sample.pixels for sample in samples if sample.pixels is not None]
    texts = [sample.tokens for sample in samples if sample.tokens is not None]
    longest = max(map(len, texts), default=0)
    padded = torch.tensor([[*text, *[padding] * (longest - len(text))] for text in texts], dtype=torch.long)
    keep = torch.arange(longest) < torch.tensor([len(text) for text in texts])[:, None] if texts else None
    return Batch(
        pixels=as_tensor(np.stack(pixels), moments, device) if pixels else None,
        tokens=padded.to(device) if texts else None,
        keep=None if keep is None or bool(keep.all()) else keep.to(device),
    )


def read_layers(model: UnifiedModel, batch: Batch, wanted: Mapping[Layer, Output]) -> dict[Layer, Tensor]:
    """One pass over every route that is needed, each no deeper than needed; (B, D) for every layer."""
    by_route: dict[str, dict[Layer, Output]] = defaultdict(dict)
    for layer, output in wanted.items():
        by_route[output.route][layer] = output
    values: dict[Layer, Tensor] = {}
    for route, outputs in by_route.items():
        depths = [output.depth for output in outputs.values()]
        numbers = [depth for depth in depths if depth is not None]
        last = max(numbers) if len(numbers) == len(depths) else None
        for depth, state in enumerate(model.states(route, batch)):
            here = {layer: output for layer, output in outputs.items() if output.depth == depth}
            values |= {layer: _read(model, state, batch, layer.side, output) for layer, output in here.items()}
            if depth == last:
                break
        if last is None:
            final = model.finish(route, state, batch)
            here = {layer: output for layer, output in outputs.items() if output.depth is None}
            values |= {layer: _read(model, final, batch, layer.side, output) for layer, output in here.items()}
    return values


def _read(model: UnifiedModel, x: Tensor, batch: Batch, side: str, output: Output) -> Tensor:
    start, stop = model.span(output.route, side, batch)
    if output.pooling == "start":
        vector = x[:, 0]
    elif output.pooling == "own":
        vector = x[:, start]
    elif side == "textual" and batch.keep is not None:
        keep = batch.keep[:, 1:].unsqueeze(-1).to(x.dtype)
        vector = (x[:, start + 1 : stop] * keep).sum(dim=1) / keep.sum(dim=1)
    else:
        vector = x[:, start + 1 : stop].mean(dim=1)
    return vector if output.head is None else model.apply_head(output.head, side, vector)
