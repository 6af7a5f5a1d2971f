"""`pooling`: one vector out of the vectors of an item's tokens; padding counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import UserError

if TYPE_CHECKING:
    import torch


def pool(values: torch.Tensor, mask: torch.Tensor | None, pooling: str, where: str) -> torch.Tensor:
    """(B, T, D) -> (B, D), over the tokens that `mask` (B, T) marks by 1; None: over all.

    `cls` is the first token that counts, `last` the last. (B, D, H, W), a feature map, is pooled over its
    places by `mean` or `max`.

    Raises
    ------
    UserError : `cls` or `last` of a feature map, which has neither.
    """
    import torch

    values = values.float()
    if values.ndim > 3:
        if pooling in ("cls", "last"):
            raise UserError(
                f"`pooling: {pooling}` of a feature map {list(values.shape[1:])}, which has no tokens",
                where=where,
                mend="use `pooling: mean` or `max`",
            )
        values, mask = values.flatten(2).transpose(1, 2), None
    if mask is None:
        mask = values.new_ones(values.shape[:2], dtype=torch.long)
    counts = mask.to(values.device).bool()
    if pooling in ("cls", "last"):
        places = torch.arange(counts.shape[1], device=values.device).expand_as(counts)
        wanted = (
            places.masked_fill(~counts, counts.shape[1]).amin(1)
            if pooling == "cls"
            else places.masked_fill(~counts, 0).amax(1)
        )
        return values[torch.arange(len(values), device=values.device), wanted]
    if pooling == "max":
        return values.masked_fill(~counts[..., None], float("-inf")).amax(1)
    return values.masked_fill(~counts[..., None], 0).sum(1) / counts.sum(1, keepdim=True).clamp_min(1)
