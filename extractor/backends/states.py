"""Networks and their state dicts: read without running code, and loaded with a sentence where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.layers import Layer
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch

RANDOM_SEED = 42  # of `weights: random`
_NESTED = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from safetensors or from a pickle of tensors only; no code of the file is run.

    Raises
    ------
    UserError : not readable, or no state dict.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken archives and refused pickles raise many kinds
        raise UserError(
            f"not readable as a state dict: {str(error).splitlines()[0][:160]}",
            where=path,
            mend="save `model.state_dict()`, not the model; or use safetensors",
        ) from error
    for name in _NESTED:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError("no state dict (names -> tensors)", where=path, mend="save `model.state_dict()`")
    return {name.removeprefix("module."): value for name, value in state.items()}


def load_state(model: torch.nn.Module, state: Mapping[str, Any], path: Path, architecture: str, where: str) -> None:
    """Load a state dict that fits exactly.

    Raises
    ------
    UserError : names or shapes differ; the first is shown.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        problem = str(error).splitlines()[1].strip()[:200] if "\n" in str(error) else str(error)
        raise UserError(
            f"{path} does not fit {architecture}: {problem}",
            where=where,
            mend="check that `model_name` is the architecture of these weights",
        ) from None


def random_network(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """A network with random weights, the same every time; the caller's random numbers stay as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return build()


def layer_values(layer: Layer, output: Any, count: int, title: str, where: str) -> np.ndarray:
    """A layer's output (count, ...) as float32.

    Raises
    ------
    UserError : it is no tensor with a row for each image.
    """
    import torch

    if not isinstance(output, torch.Tensor) or output.ndim < 1 or len(output) != count:
        raise UserError(
            f"layer {layer.name!r} of {title} gives no row for each image",
            where=where,
            mend="choose a layer that gives a tensor (batch, ...)",
        )
    values: np.ndarray = output.float().contiguous().cpu().numpy()
    return values
