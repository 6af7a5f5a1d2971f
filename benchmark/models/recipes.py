"""Published variants of one model by name, and the weight of a KL term that grows with training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, model_validator
from torch import Tensor, nn

from benchmark.models.base import TrainingParams


class RecipeParams(TrainingParams):
    """recipe: sets every key of RECIPES[recipe] that is not given itself, also inside a mapping that is."""

    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    recipe: Literal["official", "igui"] = "official"

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        recipe = given.get("recipe", cls.model_fields["recipe"].default)
        whole = dict(given)
        for key, value in cls.RECIPES.get(recipe, {}).items() if isinstance(recipe, str) else ():
            whole[key] = _completed(value, given[key]) if key in given else value
        return whole


def _completed(value: Any, own: Any) -> Any:
    """What is given, completed where the recipe has a mapping of the same method; a bare string is a method."""
    if not isinstance(value, Mapping):
        return own
    if isinstance(own, str):
        own = {"method": own}
    if not isinstance(own, Mapping) or own.get("method", value["method"]) != value["method"]:
        return own
    return {**value, **own}


class AnnealedParams(RecipeParams):
    """beta: cap of the KL's weight. anneal_steps: T, by default as many epochs as ANNEAL_EPOCHS[recipe]; 0: beta from
    the start."""

    ANNEAL_EPOCHS: ClassVar[Mapping[str, int]] = {}

    beta: NonNegativeFloat = 0.2
    anneal_steps: NonNegativeInt | None = None

    def notice(self) -> str | None:
        reached = self.epochs / self.ANNEAL_EPOCHS[self.recipe]
        if self.anneal_steps is not None or reached >= self.beta:
            return None
        return f"{self.epochs} epochs take the weight of the KL to {reached:g}: every larger `beta` is the same run"


class Annealing(nn.Module):
    """beta_t = min(beta, t / T) of step t, counted from 0; beta from the start if T is 0.

    Attributes
    ----------
    updates : () int64, t.
    """

    updates: Tensor

    def __init__(self, params: AnnealedParams, n_samples: int) -> None:
        super().__init__()
        batches = 1 if params.batch_size == -1 else -(-n_samples // params.batch_size)
        epochs = params.ANNEAL_EPOCHS[params.recipe]
        self.steps = epochs * batches if params.anneal_steps is None else params.anneal_steps
        self.beta = params.beta
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self) -> Tensor:
        """beta_t (); in training t grows by one."""
        progress = (
            self.updates / self.steps if self.steps else torch.full_like(self.updates, self.beta, dtype=torch.float)
        )
        if self.training:
            self.updates += 1
        return progress.clamp(max=self.beta)
