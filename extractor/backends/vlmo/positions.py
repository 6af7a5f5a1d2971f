"""VLMo's relative positions: which row of the bias table belongs to which pair of tokens.

Rows of the table (specification part 2.2), for a grid of g x g patches (W = 2g - 1) and texts of at most
M = 196 tokens:

    0 .. W^2 - 1       patch to patch, by the offset in two dimensions (BEiT)
    W^2, +1, +2        image CLS -> patch, patch -> image CLS, image CLS -> itself
    W^2 + 3, +4        text -> image, image -> text
    W^2 + 5 ..         word to word, by the offset -(M - 2) .. M - 2
    the last three     text CLS -> word, word -> text CLS, text CLS -> itself

That is W^2 + 3 + 2 M + 2 rows: 1126 for g = 14. (A pair is query -> key.)
"""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST = 196  # M; the tables of all checkpoints are made for it, whatever the length in use


def image_rows(grid: int) -> int:
    """Rows for pairs of image tokens: W^2 + 3."""
    return (2 * grid - 1) ** 2 + 3


def table_rows(grid: int) -> int:
    """Rows of the whole table."""
    return image_rows(grid) + 2 + 2 * LONGEST


def image_index(grid: int) -> Tensor:
    """(1 + g^2, 1 + g^2) rows of the table for image tokens, CLS first."""
    width = 2 * grid - 1
    place = torch.arange(grid)
    offset = place[:, None] - place[None, :] + grid - 1
    # [y, x, y', x'] for the query (y, x) and the key (y', x')
    pairs = offset[:, None, :, None] * width + offset[None, :, None, :]
    return _with_first(pairs.reshape(grid**2, grid**2), width**2)


def text_index(count: int, grid: int) -> Tensor:
    """(n, n) rows of the table for n text tokens, CLS first."""
    base = image_rows(grid) + 2
    word = torch.arange(count - 1)
    offset = word[None, :] - word[:, None] + LONGEST - 2
    return _with_first(base + offset, base + 2 * LONGEST - 3)


def joint_index(count: int, grid: int) -> Tensor:
    """(n + 1 + g^2, same) rows of the table for text tokens followed by image tokens."""
    text, image = text_index(count, grid), image_index(grid)
    across = image_rows(grid)
    text_to_image = torch.full((len(text), len(image)), across)
    image_to_text = torch.full((len(image), len(text)), across + 1)
    return torch.cat([torch.cat([text, text_to_image], 1), torch.cat([image_to_text, image], 1)], 0)


def _with_first(pairs: Tensor, first: int) -> Tensor:
    """Put a CLS token before the others; `first` is its row as a query, then as a key, then with itself."""
    index = torch.empty(len(pairs) + 1, len(pairs) + 1, dtype=torch.long)
    index[1:, 1:] = pairs
    index[0, :] = first
    index[:, 0] = first + 1
    index[0, 0] = first + 2
    return index
