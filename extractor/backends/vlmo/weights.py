"""A VLMo checkpoint -> the model: sizes from the shapes, heads from their presence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from extractor.backends.beit3.checkpoint import CHECK, Shapes, fill, head_count, read_state
from extractor.backends.vlmo.model import Sizes, Vlmo
from extractor.backends.vlmo.positions import LONGEST, image_rows, table_rows
from extractor.backends.vlmo.tokens import LONGEST as LONGEST_TEXT
from workbench.errors import UserError

CONTAINERS = ("state_dict", "module", "model")
_FAMILY = "VLMo"
_HEADS = {544: 16, 768: 12, 1024: 16}
_TABLE = "relative_position_bias_table"
_TEXT_POSITIONS = "text_embeddings.position_embeddings.weight"
# pre-training heads; buffers of relative indices, which are rebuilt; BERT's positions where they are relative
_OTHERS = (
    "logit_scale", "logit_vl_scale", "itm_score.", "mlm_score.", "pooler.",
    "itc_text_proj.", "itc_image_proj.", "itc_vl_text_proj.", "itc_vl_image_proj.",
    "relative_position_index", "text_relative_position_index", "text_imag_relative_position_index",
    "text_embeddings.position_ids", _TEXT_POSITIONS,
)  # fmt: skip


def load_vlmo(path: Path) -> Vlmo:
    """Read a checkpoint.

    Raises
    ------
    UserError : not readable, or no VLMo; the first tensor that does not fit is named.
    """
    state: Mapping[str, torch.Tensor] = read_state(path, CONTAINERS)
    sizes = sizes_of(state, path)
    if not sizes.relative:
        state = {**state, _TEXT_POSITIONS: state[_TEXT_POSITIONS][: sizes.longest]}
    with torch.device("meta"):
        model = Vlmo(sizes)
    fill(model, state, _OTHERS, path, _FAMILY)
    return model


def sizes_of(state: Mapping[str, torch.Tensor], path: Path) -> Sizes:
    """The sizes that the shapes tell; `fill` then checks every tensor against them."""
    shapes = Shapes(state, path, _FAMILY)
    vocabulary, width = shapes.of("text_embeddings.word_embeddings.weight", 2)
    depth = shapes.layers("transformer.blocks.")
    hidden = shapes.of("transformer.blocks.0.mlp_text.fc1.weight", 2)[0]
    relative = _TABLE in state
    longest = LONGEST_TEXT
    if relative:
        rows, columns = shapes.of(_TABLE, 2)
        grid = _grid_of(rows, shapes)
        if columns % depth or width % (columns // depth):
            raise shapes.misfit(_TABLE, f"a number of columns that {depth} layers share")
        heads = columns // depth
    else:
        grid = shapes.edge("transformer.pos_embed", shapes.of("transformer.pos_embed", 3)[1] - 1)
        longest = min(LONGEST_TEXT, shapes.of(_TEXT_POSITIONS, 2)[0])
        heads = head_count(width, _HEADS, path)
    joint = (layer for layer in range(depth) if f"transformer.blocks.{layer}.mlp_vl.fc1.weight" in state)
    if relative and "transformer.pos_embed" in state:
        raise UserError(
            f"both `{_TABLE}` and `transformer.pos_embed`: no VLMo has relative and absolute positions",
            where=path,
            mend=CHECK,
        )
    return Sizes(
        width=width,
        depth=depth,
        heads=heads,
        hidden=hidden,
        joint_from=next(joint, depth),
        relative=relative,
        scaled="transformer.blocks.0.gamma_1" in state,
        patch=shapes.of("transformer.patch_embed.proj.weight", 4)[-1],
        grid=grid,
        vocabulary=vocabulary,
        longest=longest,
        itc="itc_text_proj.fc.weight" in state,
        itc_vl="itc_vl_text_proj.fc.weight" in state,
        pooler="pooler.dense.weight" in state,
    )


def _grid_of(rows: int, shapes: Shapes) -> int:
    """g of the (2g - 1)^2 + 3 + 2 * 196 + 2 rows of the bias table."""
    width = shapes.edge(_TABLE, rows - (table_rows(1) - image_rows(1)) - 3)
    if width % 2 == 0:
        raise shapes.misfit(_TABLE, f"(2g - 1)^2 + 3 + 2 * {LONGEST} + 2 rows for g x g patches")
    return (width + 1) // 2
