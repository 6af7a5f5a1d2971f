"""What is computed once and kept, though an evaluation may be the first to ask for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

import torch

Kept = TypeVar("Kept")


class lasting_property(cached_property[Kept]):
    """A cached property of tensors, never of inference tensors: training could not differentiate past those."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        with torch.inference_mode(False):
            return super().__get__(instance, owner)
