"""Trained runs of Align-MacridVAE's program, `run/<info>/model.pkl`: read without running what is in them.

<info> = <data>-<model>-<epochs>E-<batch>B-<lr>L-<decay>W-<dropout>D-<beta>b-<K>k-<d>d-<tau>t-<seed>s

    items               (P I, d)   h: one part, or two of AlignMacridVAE, the visual rows first
    cores               (K, d)     m
    encoder.0.weight    (H, P I)   W_1, transposed      encoder.0.bias   (H,)     b_1
    encoder.2.weight    (2 d, H)   W_2                  encoder.2.bias   (2 d,)   b_2

All are float32; the rows of a part are the items of items.txt. Symbols: `benchmark/models/macrid.py`.
"""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.data.formats.recom_data import ITEMS, read_ids
from workbench.errors import UserError

WEIGHTS = "model.pkl"
_DIMENSIONS = {
    "items": 2,
    "cores": 2,
    "encoder.0.weight": 2,
    "encoder.0.bias": 1,
    "encoder.2.weight": 2,
    "encoder.2.bias": 1,
}
_PARTS = {"MacridVAE": (1,), "SEMMacridVAE": (1,), "AlignMacridVAE": (2,)}
_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]\d+)?"
_NAME = re.compile(
    rf"(?P<data>.+)-(?P<model>\w+)-\d+E-\d+B-{_NUMBER}L-{_NUMBER}W-{_NUMBER}D-{_NUMBER}b"
    rf"-(?P<kfac>\d+)k-(?P<dfac>\d+)d-(?P<tau>{_NUMBER})t--?\d+s"
)
_VARIANT = re.compile("-[^-_]+_[^-_]+$")  # of one data set all have the same users, items and parts
_TRAINED = f"give a folder with the {WEIGHTS} of a MacridVAE, SEMMacridVAE or AlignMacridVAE"


@dataclass(frozen=True)
class MacridRun:
    """Weights as they stand in the file, and the tau under which they were trained."""

    weights: dict[str, Tensor]
    tau: float


def read_run(folder: Path, data: Path, tau: float | None = None) -> MacridRun:
    """The weights of a run over the items of a data folder.

    Parameters
    ----------
    folder : `run/<info>`.
    data : `RecomData/<name>`.
    tau : where the folder's name does not tell it, or not all of its digits.

    Raises
    ------
    UserError : no such run, of another model or other data, or weights that make no sense.
    """
    name = _NAME.fullmatch(folder.absolute().name)
    if name and _VARIANT.sub("", name["data"]) != _VARIANT.sub("", data.absolute().name):
        raise UserError(f"this run was trained on {name['data']!r}, not on {data}", where=folder, mend="name its data")
    tau = _temperature(name, tau, folder)
    path = folder / WEIGHTS
    weights = _read_tensors(path)
    _check_shapes(weights, len(read_ids(data / ITEMS)), name, path)
    for key, value in weights.items():
        if not value.isfinite().all():
            raise UserError(f"`{key}` holds NaN or infinity", where=path, mend="train it again")
    return MacridRun(weights, tau)


def _temperature(name: re.Match[str] | None, given: float | None, folder: Path) -> float:
    told = float(name["tau"]) if name else given
    if told is None:
        raise UserError("the name of this folder does not tell tau", where=folder, mend="say --tau")
    tau = told if given is None else given
    if f"{tau:g}" != f"{told:g}":
        raise UserError(f"--tau {tau:g}, and {told:g} by the folder's name", where=folder, mend="leave --tau out")
    if not 0 < tau < math.inf:
        raise UserError(f"tau is {tau:g}", where=folder, mend="say a --tau above 0")
    return tau


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Exactly the tensors of such a run, each with the right number of dimensions."""
    if not path.is_file():
        raise UserError("no such file", where=path, mend=f"{_TRAINED}; a run that never found anything has none")
    state = _load(path)
    if not isinstance(state, dict):
        raise UserError("no state dict", where=path, mend=_TRAINED)
    for key in _DIMENSIONS:
        if key not in state:
            raise UserError(f"these weights have no `{key}`", where=path, mend=_TRAINED)
    for key, value in state.items():
        if key not in _DIMENSIONS:
            raise UserError(f"these weights have a {key!r} of unknown meaning", where=path, mend=_TRAINED)
        if not _is_plain(value):
            raise UserError(f"`{key}` is no tensor of float32 numbers", where=path, mend="save the weights as trained")
        if value.ndim != _DIMENSIONS[key] or not value.numel():
            raise _misfit(key, value, f"{_DIMENSIONS[key]} dimensions are expected", path)
    return {key: state[key].detach() for key in _DIMENSIONS}


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            "not read, as it is damaged or holds more than weights; nothing of it was run",
            where=path,
            mend="save `model.state_dict()` by torch.save, and take files from those you trust",
        ) from error
    except Exception as error:  # damaged archives raise many kinds
        problem = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"not readable as weights: {problem}", where=path, mend="copy it again, whole") from error


def _is_plain(value: object) -> bool:
    """Whether it is a tensor all of whose numbers are in the file: a forged one may claim any size."""
    return (
        isinstance(value, Tensor)
        and (value.dtype, value.layout, value.device.type) == (torch.float32, torch.strided, "cpu")
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _check_shapes(weights: dict[str, Tensor], n_items: int, name: re.Match[str] | None, path: Path) -> None:
    n_rows, dfac = weights["items"].shape
    legal = [n_items * parts for parts in _PARTS.get(name["model"] if name else "", (1, 2))]
    if n_rows not in legal:
        sizes = " or ".join(map(str, legal))
        raise _misfit("items", weights["items"], f"{sizes} rows go with the {n_items} items of the data", path)
    kfac, hidden = len(weights["cores"]), len(weights["encoder.0.bias"])
    if name and (kfac, dfac) != (int(name["kfac"]), int(name["dfac"])):
        what = f"K is {kfac} and d is {dfac}, and the folder's name says {name['kfac']} and {name['dfac']}"
        raise UserError(what, where=path, mend="give the folder as it was written")
    expected = {
        "cores": (kfac, dfac),
        "encoder.0.weight": (hidden, n_rows),
        "encoder.2.weight": (2 * dfac, hidden),
        "encoder.2.bias": (2 * dfac,),
    }
    for key, shape in expected.items():
        if weights[key].shape != shape:
            raise _misfit(key, weights[key], f"{shape} goes with the others", path)


def _misfit(key: str, value: Tensor, expected: str, path: Path) -> UserError:
    return UserError(
        f"`{key}` has the shape {tuple(value.shape)}, where {expected}",
        where=path,
        mend="give the run and the data that it was trained on",
    )
