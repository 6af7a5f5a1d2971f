"""The time that `--plan` tells: steps of an epoch by what the model's own sampler draws."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.experiment import estimate
from benchmark.models.base import TrainingData
from benchmark.models.registry import find_model


@pytest.mark.parametrize(("name", "samples", "steps"), [("BPRMF", 6, 3), ("MultiDAE", 3, 2)])
def test_an_epoch_has_as_many_steps_as_its_sampler_gives_batches(name: str, samples: int, steps: int) -> None:
    """Three users with two interactions each: triples are drawn by interaction, rows by user."""
    data = TrainingData(3, 5, torch.tensor([0, 2, 4, 6]), torch.tensor([0, 1, 2, 3, 1, 4]), {})
    model: Any = find_model(name)
    params = model.Params(batch_size=2, epochs=3)
    trial: Any = SimpleNamespace(
        model=model, params=params, stage=SimpleNamespace(ground=SimpleNamespace(data=data, validation=None))
    )
    rehearsed = estimate._rehearse(trial)
    assert rehearsed.samples == samples
    assert rehearsed.step > 0
    assert estimate._steps(trial, rehearsed.samples) == steps
    assert len(list(model(params, data).sampler().batches(2, torch.Generator()))) == steps
