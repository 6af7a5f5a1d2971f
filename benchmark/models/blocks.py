"""Tables of logits that nobody needs whole are computed some rows at a time."""

from __future__ import annotations

import torch

LOGITS = {"cpu": 1 << 20, "cuda": 1 << 25}  # of which a few are held at a time: 4 MB stay near the processor


def row_blocks(n_rows: int, width: int, device: torch.device) -> list[slice]:
    """Slices of rows of `width` logits; at least one, which is empty where there are no rows."""
    size = max(1, LOGITS.get(device.type, LOGITS["cpu"]) // max(1, width))
    return [slice(start, start + size) for start in range(0, max(1, n_rows), size)]
