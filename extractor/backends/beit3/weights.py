"""A BEiT-3 checkpoint -> the model: sizes from the shapes, heads from their presence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional

from extractor.backends.beit3.checkpoint import Shapes, fill, head_count, read_state
from extractor.backends.beit3.model import SKIPPED, Beit3, Sizes
from workbench.errors import UserError

CONTAINERS = ("model", "module")
_FAMILY = "BEiT-3"
_HEADS = {768: 12, 1024: 16, 1408: 16}
# of the plain checkpoints the MLM and MIM heads' exact names are unseen; what differs is warned of
_OTHERS = ("logit_scale", "head.", "mlm_head.", "mim_head.", "vision_head.", "language_head.", "pooler.", "fc_norm.")
_POSITIONS = "beit3.encoder.embed_positions.A.weight"


def load_beit3(path: Path, edge: int | None = None) -> Beit3:
    """Read a checkpoint; the image positions are resized where `edge` (in pixels) is not the checkpoint's.

    Raises
    ------
    UserError : not readable, no BEiT-3 (the first tensor that does not fit is named), or an edge that no whole
    number of patches makes.
    """
    state: Mapping[str, torch.Tensor] = read_state(path, CONTAINERS)
    sizes = sizes_of(state, path)
    if edge is not None and edge != sizes.grid * sizes.patch:
        if edge % sizes.patch:
            raise UserError(
                f"images of {edge} x {edge} pixels do not divide into patches of {sizes.patch}",
                where=path,
                mend=f"set `reshape` to a multiple of {sizes.patch}",
            )
        sizes = replace(sizes, grid=edge // sizes.patch)
        state = {**state, _POSITIONS: resize_positions(state[_POSITIONS], sizes.grid)}
    with torch.device("meta"):
        model = Beit3(sizes)
    fill(model, state, _OTHERS, path, _FAMILY)
    return model


def sizes_of(state: Mapping[str, torch.Tensor], path: Path) -> Sizes:
    """The sizes that the shapes tell; `fill` then checks every tensor against them."""
    shapes = Shapes(state, path, _FAMILY)
    vocabulary, width = shapes.of("beit3.text_embed.weight", 2)
    image_rows = shapes.of(_POSITIONS, 2)[0]
    fc_norm = "fc_norm.weight" in state
    return Sizes(
        width=width,
        depth=shapes.layers("beit3.encoder.layers."),
        heads=head_count(width, _HEADS, path),
        hidden=shapes.of("beit3.encoder.layers.0.ffn.A.fc1.weight", 2)[0],
        patch=shapes.of("beit3.vision_embed.proj.weight", 4)[-1],
        grid=shapes.edge(_POSITIONS, image_rows - SKIPPED - 1),
        vocabulary=vocabulary,
        longest=shapes.of("beit3.encoder.embed_positions.B.weight", 2)[0] - SKIPPED,
        # fine-tuning on ImageNet switches the last LayerNorm off; a stored one is then no part of the model
        final_norm=not fc_norm,
        itc="vision_head.weight" in state,
        pooler="pooler.dense.weight" in state,
        fc_norm=fc_norm,
    )


def resize_positions(table: torch.Tensor, grid: int) -> torch.Tensor:
    """(3 + g^2, d) -> (3 + grid^2, d), bicubic; the rows before the patches (two unused, CLS) are kept."""
    kept, patches = table[: SKIPPED + 1].float(), table[SKIPPED + 1 :].float()
    edge = round(len(patches) ** 0.5)
    square = patches.T.reshape(1, -1, edge, edge)
    resized = functional.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([kept, resized.flatten(2)[0].T])
