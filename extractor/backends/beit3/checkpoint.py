"""Files of weights: finding one, reading it without running its code, and checking that it fits."""

from __future__ import annotations

import argparse
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from extractor.backends.base import Surroundings
from extractor.config import ModelSettings
from extractor.weights import WEIGHT_FILES, find_weight_file
from workbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

_LISTED = 6  # unexpected keys named in the warning


def find_checkpoint(model: ModelSettings, around: Surroundings, published: str) -> Path:
    """The file of weights: `weights`, else `model_name` where it is a file, else by its name under the root.

    Parameters
    ----------
    published : where the model's authors publish it, for the message.

    Raises
    ------
    UserError : there is none.
    """
    name, root = model.model_name, around.weights_root
    if model.weights is not None:
        if not Path(model.weights).is_file():
            raise UserError(
                f"no weights at {model.weights}", where=around.where, mend="check `weights`, or leave it out"
            )
        return Path(model.weights)
    if Path(name).suffix in WEIGHT_FILES:
        found = next((path for path in (Path(name), *([root / name] if root else [])) if path.is_file()), None)
        file = Path(name).name
    else:
        file = f"{name}.pth"
        found = find_weight_file(root, name, file)
    if found is None:
        looked = f"the weights root {root}" if root else "no weights root (none was given)"
        raise UserError(
            f"the weights of {name} cannot be had (nothing is downloaded for this backend); looked in {looked}",
            where=around.where,
            mend=f"download {file} ({published}) and put it at {root or 'FOLDER'}/{file} "
            f"(with --weights-root {root or 'FOLDER'}), or set `weights: path/to/file`",
        )
    return found


def read_state(path: Path, containers: Sequence[str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, from safetensors or from a pickle of tensors; no code of it is run.

    Parameters
    ----------
    containers : keys of the outer dictionary under which the tensors may lie, in the order of preference.

    Raises
    ------
    UserError : not readable, or no tensors.
    """
    from torch import Tensor

    try:
        state = _read(path)
    except Exception as error:  # broken archives and refused pickles raise many kinds
        raise UserError(
            f"not readable as a state dict: {(str(error).splitlines() or [type(error).__name__])[0][:160]}",
            where=path,
            mend="copy the file again; a pickled model is not loaded, that would run its code",
        ) from error
    inner = next((state[name] for name in containers if isinstance(state, dict) and name in state), state)
    if not isinstance(inner, dict) or not inner or not all(isinstance(value, Tensor) for value in inner.values()):
        raise UserError(
            "no state dict (names -> tensors)", where=path, mend=f"it may lie under one of: {', '.join(containers)}"
        )
    return {str(key).removeprefix("module."): value for key, value in inner.items()}


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    # fine-tuned checkpoints carry their command line, which is plain data
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


class Shapes:
    """Sizes read from a state dict; a key that is absent or makes no sense is named."""

    def __init__(self, state: Mapping[str, Tensor], path: Path, family: str) -> None:
        self._state, self._path, self._family = state, path, family

    def of(self, key: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there.

        Raises
        ------
        UserError : it is not, or has another number of dimensions.
        """
        if key not in self._state:
            raise UserError(f"no {self._family} checkpoint: it has no `{key}`", where=self._path, mend=CHECK)
        shape = tuple(self._state[key].shape)
        if len(shape) != dimensions or 0 in shape:
            raise self.misfit(key, f"{dimensions} dimensions")
        return shape

    def layers(self, prefix: str) -> int:
        """1 + the largest n of the keys `<prefix>n.`; 0 where there is none."""
        numbers = [key.removeprefix(prefix).split(".")[0] for key in self._state if key.startswith(prefix)]
        return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)

    def edge(self, key: str, count: int) -> int:
        """The edge of a square of `count` cells.

        Raises
        ------
        UserError : it is no square.
        """
        root = math.isqrt(max(count, 0))
        if root < 1 or root**2 != count:
            raise self.misfit(key, "a table for a square of patches")
        return root

    def misfit(self, key: str, wanted: str) -> UserError:
        """The error for a tensor of another shape."""
        shape = tuple(self._state[key].shape)
        return UserError(f"`{key}` is {shape} where {wanted} was expected", where=self._path, mend=CHECK)


CHECK = "check that `model_name` and `weights` are of this model"


def fill(model: nn.Module, state: Mapping[str, Tensor], others: tuple[str, ...], path: Path, family: str) -> None:
    """Give a model (made on the meta device) its weights as float32; what is not understood is warned of.

    Parameters
    ----------
    others : beginnings of the names of heads and buffers that are known and not used for features.

    Raises
    ------
    UserError : naming the first tensor that is absent or of another shape.
    """
    shapes = Shapes(state, path, family)
    taken = {}
    for key, value in model.state_dict().items():
        if shapes.of(key, value.ndim) != tuple(value.shape):
            raise shapes.misfit(key, str(tuple(value.shape)))
        taken[key] = state[key].float()
    model.load_state_dict(taken, assign=True)
    unexpected = [key for key in state if key not in taken and not key.startswith(others)]
    if unexpected:
        shown = ", ".join(unexpected[:_LISTED]) + (", ..." if len(unexpected) > _LISTED else "")
        logger.warning("{}: {} tensors are not used: {}", path, len(unexpected), shown)


def head_count(width: int, known: Mapping[int, int], path: Path) -> int:
    """Attention heads, which no shape shows: of the published width, else one for each 64 dimensions.

    Raises
    ------
    UserError : the width is neither published nor a multiple of 64.
    """
    if width not in known and width % 64:
        raise UserError(f"the number of attention heads is not known for width {width}", where=path, mend=CHECK)
    return known.get(width, width // 64)
