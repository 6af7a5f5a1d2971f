"""Lists of values -> every combination, in order."""

from __future__ import annotations

import itertools
from typing import Any

from benchmark.config import ModelBlock
from workbench.config import Document
from workbench.errors import UserError

_DISTRIBUTIONS = {
    "choice",
    "randint",
    "uniform",
    "quniform",
    "loguniform",
    "qloguniform",
    "normal",
    "qnormal",
    "lognormal",
    "qlognormal",
}


def grid(block: ModelBlock, document: Document) -> tuple[list[dict[str, Any]], list[str]]:
    """All combinations of a model's parameters, the last key fastest, and the keys that vary.

    A list is a set of alternatives; anything else is one value. `hyper_max_evals` cuts the list of combinations short.
    """
    at = ("experiment", "models", block.name)
    axes: dict[str, list[Any]] = {}
    for key, value in block.parameters.items():
        if isinstance(value, list) and value and value[0] in _DISTRIBUTIONS:
            raise UserError(
                f"`{key}`: the distribution {value[0]!r} is not supported yet",
                where=document.where((*at, key)),
                mend="list the values",
            )
        if value == []:
            raise UserError(
                f"`{key}` is an empty list", where=document.where((*at, key)), mend="give at least one value"
            )
        axes[key] = value if isinstance(value, list) else [value]
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return combinations[: block.meta.hyper_max_evals], [key for key, values in axes.items() if len(values) > 1]
