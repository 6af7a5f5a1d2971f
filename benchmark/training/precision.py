"""Mixed precision: weights and optimiser stay in float32; of the loss, what torch holds safe is computed in 16 bits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from benchmark.models.base import Precision
from workbench.errors import UserError


def check_precision(precision: Precision, device: torch.device) -> None:
    """Make sure that a device can train in a precision.

    Raises
    ------
    UserError : fp16 without a GPU, or bf16 on a GPU that does not know it.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UserError("`precision: fp16` needs a GPU", mend="write bf16 or fp32, or set `gpu`")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("this GPU does not know bf16", mend="write `precision: fp16` or fp32")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context around the loss; it may be entered again and again. Nothing at all for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
