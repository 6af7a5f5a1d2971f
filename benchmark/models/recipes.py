"""Published variants of one model by name, and the weight of a KL term that grows with training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from loguru import logger
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
            own = given.get(key, {})
            whole[key] = {**value, **own} if _follows(value, own) else given.get(key, value)
        return whole


def _follows(value: Any, own: Any) -> bool:
    """Whether a mapping of the recipe is completed: not where another method is named, whose keys are others."""
    return (
        isinstance(value, Mapping)
        and isinstance(own, Mapping)
        and own.get("method", value.get("method")) == (value.get("method"))
    )


class AnnealedParams(RecipeParams):
    """beta: cap of the KL's weight. anneal_steps: T, by default as many epochs as ANNEAL_EPOCHS[recipe]; 0: beta from
    the start."""

    ANNEAL_EPOCHS: ClassVar[Mapping[str, int]] = {}

    beta: NonNegativeFloat = 0.2
    anneal_steps: NonNegativeInt | None = None


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
        reached = params.epochs * batches / self.steps if self.steps else self.beta
        if reached < self.beta:
            logger.warning(
                "{} epochs take the weight of the KL to {:.2g}, and `beta: {:g}` is never reached: set `anneal_steps`",
                params.epochs,
                reached,
                self.beta,
            )
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self) -> Tensor:
        """beta_t (); in training t grows by one."""
        progress = (
            self.updates / self.steps if self.steps else torch.full_like(self.updates, self.beta, dtype=torch.float)
        )
        if self.training:
            self.updates += 1
        return progress.clamp(max=self.beta)
