"""Keys of training that are blocks of their own: `lr_schedule` and `early_stopping`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from workbench.config import Settings

_SHAPES: dict[str, set[str]] = {
    "exponential": {"gamma", "every"},
    "step": {"gamma", "every"},
    "cosine": {"to"},
    "linear": {"to"},
}

NonNegative = Annotated[FiniteFloat, Field(ge=0)]


class LearningRateSchedule(Settings):
    """The learning rate of an epoch as a multiple of `lr`, in closed form: nothing of it needs saving.

    shape : how it falls, see `factor`.
    gamma : factor a period; every : epochs of a period (1).
    to : the factor at the end (0).
    warmup : epochs of a linear rise before that.
    """

    shape: Literal["exponential", "step", "cosine", "linear"]
    gamma: Annotated[float, Field(gt=0, le=1)] | None = None
    every: PositiveInt | None = None
    to: Annotated[float, Field(ge=0, le=1)] | None = None
    warmup: NonNegativeInt = 0

    @model_validator(mode="after")
    def _keys_of_the_shape(self) -> LearningRateSchedule:
        takes = _SHAPES[self.shape]
        foreign = [key for key in ("gamma", "every", "to") if getattr(self, key) is not None and key not in takes]
        if foreign:
            legal = ", ".join([*sorted(takes), "warmup"])
            raise ValueError(f"`{foreign[0]}` means nothing to the shape {self.shape}, which takes {legal}")
        if "gamma" in takes and self.gamma is None:
            raise ValueError(f"the shape {self.shape} needs `gamma`, the factor a period")
        return self

    def factor(self, epoch: int, epochs: int) -> float:
        """What `lr` is multiplied by in an epoch, 1 <= epoch <= epochs.

        With w warm-up epochs, factor(e) = e / (w + 1) for e <= w. After them, with t = e - 1 - w and T = epochs - w,

            exponential  gamma^(t / every), the power a real number
            step         gamma^floor(t / every)
            cosine       to + (1 - to) (1 + cos(pi t / T)) / 2
            linear       1 + (to - 1) t / T
        """
        if epoch <= self.warmup:
            return epoch / (self.warmup + 1)
        done, length = epoch - 1 - self.warmup, epochs - self.warmup
        gamma, every, to = self.gamma or 1.0, self.every or 1, self.to or 0.0
        if self.shape == "exponential":
            return float(gamma ** (done / every))
        if self.shape == "step":
            return float(gamma ** (done // every))
        if self.shape == "cosine":
            return to + (1 - to) * (1 + math.cos(math.pi * done / length)) / 2
        return 1 + (to - 1) * done / length


class EarlyStopping(Settings):
    """When training ends before its last epoch, under Elliot's keys; `Stopper` says what they mean.

    patience : judgements in a row without an improvement after which training ends.
    monitor : `Metric@k`, or `loss` for the mean training loss of the epoch; by default what chooses the epoch.
    mode : whether smaller (`min`) or larger (`max`) is better; `auto` knows it from the metric.
    min_delta, rel_delta : an improvement is larger than this, absolutely and as a share of the best so far.
    baseline : a value that has to be beaten: until then improvements do not count.
    verbose : one line in the log for each judgement.
    """

    patience: PositiveInt
    monitor: str | None = None
    mode: Literal["auto", "min", "max"] = "auto"
    min_delta: NonNegative = 0.0
    rel_delta: NonNegative = 0.0
    baseline: FiniteFloat | None = None
    verbose: bool = False
