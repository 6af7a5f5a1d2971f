"""The VLMo encoder: one transformer with shared attention and an expert for images, texts and pairs.

Bao et al., "VLMo: Unified Vision-Language Pre-Training with Mixture-of-Modality-Experts" (NeurIPS 2022).
Written from the project's specification (part 2.2); the names of modules are those of the published state dicts.

Symbols: B items, n text tokens, s = 1 + grid^2 image tokens, T = n + s, d width, H heads, L layers, P pixels an
edge, F the layer from which on the VL expert serves joint passes.

Departures: no dropout and no drop-path. Attention goes through PyTorch's fused kernel, whose softmax is in
float32 or better. A joint sequence holds the text's own tokens rather than always 40: padding is masked, so its
length changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from extractor.backends.beit3.reading import Batch, Span, UnifiedModel
from extractor.backends.vlmo.positions import image_index, joint_index, table_rows, text_index

EPSILON = 1e-6
_TEXT_EPSILON = 1e-12  # BERT's
_EXPERT = {"text": "text", "text_vl": "text", "image": "imag", "image_vl": "imag"}  # of the layers below F
_ALONE = ("text", "image")  # routes on which the VL expert has no part


@dataclass(frozen=True)
class Sizes:
    """All that shapes the model. `joint_from`: F; `relative`: a bias of relative positions, else absolute
    positions; `scaled`: LayerScale."""

    width: int
    depth: int
    heads: int
    hidden: int
    joint_from: int
    relative: bool
    scaled: bool
    patch: int = 16
    grid: int = 14
    vocabulary: int = 30522
    longest: int = 40
    itc: bool = True
    itc_vl: bool = True
    pooler: bool = True


BASE = Sizes(width=768, depth=12, heads=12, hidden=3072, joint_from=10, relative=True, scaled=True)
BASE_PLUS = Sizes(width=544, depth=24, heads=16, hidden=2176, joint_from=21, relative=False, scaled=False)
LARGE = Sizes(width=1024, depth=24, heads=16, hidden=4096, joint_from=21, relative=True, scaled=True)


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d/H) + bias) v; the keys have no bias term of their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, d) -> (B, T, d); `mask` is added to the scores (float) or keeps keys (bool)."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = functional.linear(x, self.qkv.weight, bias)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        a = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(a.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """fc2(GELU(fc1 x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """x <- x + g1 Attention(LN1 x); x <- x + g2 FFN_m(LN2_m x) with the expert m."""

    def __init__(self, sizes: Sizes, joint: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=EPSILON)
        self.attn = Attention(sizes.width, sizes.heads)
        for expert in ("text", "imag", *(("vl",) if joint else ())):
            self.add_module(f"norm2_{expert}", nn.LayerNorm(sizes.width, eps=EPSILON))
            self.add_module(f"mlp_{expert}", FeedForward(sizes.width, sizes.hidden))
        self.gamma_1 = nn.Parameter(torch.ones(sizes.width)) if sizes.scaled else None
        self.gamma_2 = nn.Parameter(torch.ones(sizes.width)) if sizes.scaled else None

    def forward(self, x: Tensor, mask: Tensor | None, expert: str | int) -> Tensor:
        """(B, T, d) -> (B, T, d); `expert` by name, or the number of leading text tokens in a split layer."""
        a = self.attn(self.norm1(x), mask)
        x = x + (a if self.gamma_1 is None else self.gamma_1 * a)
        if isinstance(expert, str):
            f = self._feed(x, expert)
        else:
            f = torch.cat([self._feed(x[:, :expert], "text"), self._feed(x[:, expert:], "imag")], dim=1)
        return x + (f if self.gamma_2 is None else self.gamma_2 * f)

    def _feed(self, x: Tensor, expert: str) -> Tensor:
        out: Tensor = self.get_submodule(f"mlp_{expert}")(self.get_submodule(f"norm2_{expert}")(x))
        return out


class PatchEmbedding(nn.Module):
    """(B, 3, P, P) -> (B, grid^2, d)."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, pixels: Tensor) -> Tensor:
        patches: Tensor = self.proj(pixels)
        return patches.flatten(2).transpose(1, 2)


class Transformer(nn.Module):
    """What stands under the prefix `transformer.`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        count = 1 + sizes.grid**2
        self.pos_embed = None if sizes.relative else nn.Parameter(torch.zeros(1, count, sizes.width))
        self.patch_embed = PatchEmbedding(sizes.width, sizes.patch)
        self.blocks = nn.ModuleList(Block(sizes, layer >= sizes.joint_from) for layer in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=EPSILON)

    def embed(self, pixels: Tensor) -> Tensor:
        """(B, 3, P, P) -> (B, s, d)."""
        x = torch.cat([self.cls_token.expand(len(pixels), -1, -1), self.patch_embed(pixels)], dim=1)
        return x if self.pos_embed is None else x + self.pos_embed


class TextEmbeddings(nn.Module):
    """BERT's embeddings. With relative positions the absolute term is left out, as the checkpoints were trained
    (their state dicts hold a position table all the same)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position_embeddings = None if sizes.relative else nn.Embedding(sizes.longest, sizes.width)
        self.token_type_embeddings = nn.Embedding(2, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=_TEXT_EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, n) -> (B, n, d)."""
        x = self.word_embeddings(tokens) + self.token_type_embeddings.weight[0]
        if self.position_embeddings is not None:
            x = x + self.position_embeddings.weight[: tokens.shape[1]]
        out: Tensor = self.LayerNorm(x)
        return out


class Projection(nn.Module):
    """A contrastive head, without bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, width, bias=False)


class Pooler(nn.Module):
    """tanh(Linear x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)


class Vlmo(UnifiedModel):
    """Transformer and those heads that give features.

    Routes: `text` and `image` (each modality's own expert in all layers), `text_vl` and `image_vl` (one modality,
    its own expert below layer F and the VL expert from there on), `joint` (text tokens first; below F each part
    has its own expert, from F on the VL expert serves all).
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.transformer = Transformer(sizes)
        self.text_embeddings = TextEmbeddings(sizes)
        self.token_type_embeddings = nn.Embedding(2, sizes.width)
        if sizes.relative:
            shape = (table_rows(sizes.grid), sizes.heads * sizes.depth)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(shape))
        for kind in ("itc", "itc_vl"):
            if getattr(sizes, kind):
                self.add_module(f"{kind}_text_proj", Projection(sizes.width))
                self.add_module(f"{kind}_image_proj", Projection(sizes.width))
        if sizes.pooler:
            self.pooler = Pooler(sizes.width)

    def states(self, route: str, batch: Batch) -> Iterator[Tensor]:
        types, parts = self.token_type_embeddings.weight, []
        n, keep = 0, None
        if not route.startswith("image"):
            tokens, keep = batch.need_tokens(), batch.keep
            n = tokens.shape[1]
            parts.append(self.text_embeddings(tokens) + types[0])
        if not route.startswith("text"):
            image = self.transformer.embed(batch.need_pixels())
            parts.append(image + types[1])
            keep = None if keep is None else functional.pad(keep, (0, image.shape[1]), value=True)
        x = torch.cat(parts, dim=1)
        index = self._index(route, n, x.device)
        mask = None if keep is None else keep[:, None, None, :]
        yield x
        for layer, block in enumerate(self.transformer.blocks):
            x = block(x, mask if index is None else self._bias(index, layer, mask), self._expert(route, layer, n))
            yield x

    def _expert(self, route: str, layer: int, n: int) -> str | int:
        if layer >= self.sizes.joint_from and route not in _ALONE:
            return "vl"
        return _EXPERT.get(route, n)

    def _index(self, route: str, n: int, device: torch.device) -> Tensor | None:
        if not self.sizes.relative:
            return None
        grid = self.sizes.grid
        if route == "joint":
            return joint_index(n, grid).to(device)
        return (text_index(n, grid) if route.startswith("text") else image_index(grid)).to(device)

    def _bias(self, index: Tensor, layer: int, mask: Tensor | None) -> Tensor:
        """(1 or B, H, T, T): the layer's H columns of the table, -inf where a key is padding."""
        heads = self.sizes.heads
        columns = self.relative_position_bias_table[:, layer * heads : (layer + 1) * heads]
        bias = columns[index].permute(2, 0, 1).unsqueeze(0)
        return bias if mask is None else bias.masked_fill(~mask, -torch.inf)

    def finish(self, route: str, x: Tensor, batch: Batch) -> Tensor:
        out: Tensor = self.transformer.norm(x)
        return out

    def span(self, route: str, side: str, batch: Batch) -> Span:
        n = 0 if route.startswith("image") else batch.need_tokens().shape[1]
        return Span(0, n) if side == "textual" else Span(n, n + 1 + self.sizes.grid**2)

    def apply_head(self, head: str, side: str, x: Tensor) -> Tensor:
        if head == "pooler":
            return torch.tanh(self.pooler.dense(x))
        projection = self.get_submodule(f"{head}_{'image' if side == 'visual' else 'text'}_proj.fc")
        return functional.normalize(projection(x), dim=-1)
