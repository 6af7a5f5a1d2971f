"""The BEiT-3 encoder: one transformer, two branches of weights that share nothing but the attention.

Wang et al., "Image as a Foreign Language: BEiT Pretraining for Vision and Vision-Language Tasks" (CVPR 2023),
with the sub-LayerNorms of Magneto. Written from the project's specification (part 2.1); the names of modules
are those of the published state dicts.

Symbols: B items, n text tokens, p = grid^2 patches, s = 1 + p image tokens (0 where there is no image),
T = s + n, d width, H heads, L layers, P pixels an edge.

Departures: no dropout and no drop-path (features are read in evaluation mode). Attention goes through PyTorch's
fused kernel, which like the reference takes the softmax in float32 or better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from extractor.backends.beit3.reading import Batch, Span, UnifiedModel

SKIPPED = 2  # rows of the position tables before the first position
EPSILON = 1e-5


@dataclass(frozen=True)
class Sizes:
    """All that shapes the model. `grid`: patches an edge; `longest`: positions for text tokens."""

    width: int
    depth: int
    heads: int
    hidden: int
    patch: int = 16
    grid: int = 14
    vocabulary: int = 64010
    longest: int = 1022
    final_norm: bool = True
    itc: bool = False
    pooler: bool = False
    fc_norm: bool = False


BASE = Sizes(width=768, depth=12, heads=12, hidden=3072)
LARGE = Sizes(width=1024, depth=24, heads=16, hidden=4096)


class Branches(nn.ModuleDict):
    """A module for image tokens (A) and one for text tokens (B)."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__({"A": make(), "B": make()})

    def forward(self, x: Tensor, s: int) -> Tensor:
        """(B, T, d) -> (B, T, d'): the first s tokens through A, the others through B."""
        if s == 0 or s == x.shape[1]:
            only: Tensor = self["A" if s else "B"](x)
            return only
        return torch.cat([self["A"](x[:, :s]), self["B"](x[:, s:])], dim=1)


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d/H)) v over all tokens jointly; LayerNorm before the projection out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = Branches(lambda: nn.Linear(width, width))
        self.k_proj = Branches(lambda: nn.Linear(width, width))
        self.v_proj = Branches(lambda: nn.Linear(width, width))
        self.out_proj = Branches(lambda: nn.Linear(width, width))
        self.inner_attn_ln = Branches(lambda: nn.LayerNorm(width, eps=EPSILON))

    def forward(self, x: Tensor, s: int, keep: Tensor | None) -> Tensor:
        """(B, T, d) -> (B, T, d); `keep` (B, 1, 1, T) is False for keys that are padding."""
        q, k, v = (
            projection(x, s).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        a = functional.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        out: Tensor = self.out_proj(self.inner_attn_ln(a.transpose(1, 2).flatten(2), s), s)
        return out


class FeedForward(nn.Module):
    """fc2(LayerNorm(GELU(fc1 x)))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.ffn_layernorm = nn.LayerNorm(hidden, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.ffn_layernorm(functional.gelu(self.fc1(x))))
        return out


class Layer(nn.Module):
    """x <- x + Attention(LN x); x <- x + FeedForward(LN x)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = Attention(sizes.width, sizes.heads)
        self.self_attn_layer_norm = Branches(lambda: nn.LayerNorm(sizes.width, eps=EPSILON))
        self.ffn = Branches(lambda: FeedForward(sizes.width, sizes.hidden))
        self.final_layer_norm = Branches(lambda: nn.LayerNorm(sizes.width, eps=EPSILON))

    def forward(self, x: Tensor, s: int, keep: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x, s), s, keep)
        out: Tensor = x + self.ffn(self.final_layer_norm(x, s), s)
        return out


class VisionEmbedding(nn.Module):
    """Patches by a strided convolution, the CLS token before them. `mask_token` serves pre-training only."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, P, P) -> (B, s, d)."""
        patches = self.proj(pixels).flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches], dim=1)


class Encoder(nn.Module):
    """The position tables, the layers, and the last LayerNorm where the checkpoint has one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        image, text = 1 + sizes.grid**2, sizes.longest
        self.embed_positions = nn.ModuleDict(
            {"A": nn.Embedding(SKIPPED + image, sizes.width), "B": nn.Embedding(SKIPPED + text, sizes.width)}
        )
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.depth))
        self.layer_norm = Branches(lambda: nn.LayerNorm(sizes.width, eps=EPSILON)) if sizes.final_norm else None

    def positions(self, branch: str, count: int) -> Tensor:
        """(count, d): both branches begin at row 2, also in a joint pass."""
        table = self.embed_positions[branch].get_parameter("weight")
        return table[SKIPPED : SKIPPED + count]


class Trunk(nn.Module):
    """Everything under the prefix `beit3.` of a state dict."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.text_embed = nn.Embedding(sizes.vocabulary, sizes.width)
        self.vision_embed = VisionEmbedding(sizes.width, sizes.patch)
        self.encoder = Encoder(sizes)


class Pooler(nn.Module):
    """tanh(Linear(LayerNorm x)), of VQA checkpoints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.dense(self.norm(x)))


class Beit3(UnifiedModel):
    """Trunk and those heads that give features. Routes: `image`, `text`, `joint` (image tokens first)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.beit3 = Trunk(sizes)
        if sizes.itc:
            self.vision_head = nn.Linear(sizes.width, sizes.width, bias=False)
            self.language_head = nn.Linear(sizes.width, sizes.width, bias=False)
        if sizes.pooler:
            self.pooler = Pooler(sizes.width)
        if sizes.fc_norm:
            self.fc_norm = nn.LayerNorm(sizes.width, eps=EPSILON)

    def states(self, route: str, batch: Batch) -> Iterator[Tensor]:
        trunk, parts = self.beit3, []
        s = 0
        if route != "text":
            image = trunk.vision_embed(batch.need_pixels())
            s = image.shape[1]
            parts.append(image + trunk.encoder.positions("A", s))
        keep = None
        if route != "image":
            tokens = batch.need_tokens()
            text = trunk.text_embed(tokens) + trunk.encoder.positions("B", tokens.shape[1])
            if batch.keep is not None:
                text = text * batch.keep.unsqueeze(-1)
                keep = functional.pad(batch.keep, (s, 0), value=True)[:, None, None, :]
            parts.append(text)
        x = torch.cat(parts, dim=1)
        yield x
        for layer in trunk.encoder.layers:
            x = layer(x, s, keep)
            yield x

    def finish(self, route: str, x: Tensor, batch: Batch) -> Tensor:
        norm = self.beit3.encoder.layer_norm
        if norm is None:  # fine-tuned on ImageNet: `fc_norm` takes its place, after the mean
            return x
        out: Tensor = norm(x, self.span(route, "visual", batch).stop)
        return out

    def span(self, route: str, side: str, batch: Batch) -> Span:
        s = 0 if route == "text" else 1 + self.sizes.grid**2
        return Span(0, s) if side == "visual" else Span(s, s + batch.need_tokens().shape[1])

    def apply_head(self, head: str, side: str, x: Tensor) -> Tensor:
        if head == "itc":
            linear = self.vision_head if side == "visual" else self.language_head
            return functional.normalize(linear(x), dim=-1)
        out: Tensor = self.pooler(x) if head == "pooler" else self.fc_norm(x)
        return out
