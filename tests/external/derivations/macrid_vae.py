"""MacridVAE: K users in one, dense, with every sum of exponentials written out."""

from __future__ import annotations

from typing import Any

import numpy as np
from macrid_literal import Macrid

PARAMS = {"kfac": 3, "dfac": 4, "hidden": 5, "beta": 0.3, "anneal_steps": 10, "dropout": 0.4, "weight_decay": 0.01}
CHANGES = {
    "kfac": 2,
    "dfac": 3,
    "hidden": 7,
    "tau": 0.5,
    "beta": 0.05,
    "anneal_steps": 3,
    "dropout": 0.1,
    "recipe": "igui",
    "assignment": "softmax",
    "normalise_input": False,
    "normalise_mu": False,
    "sigma0": 0.5,
    "kl_reduction": "mean",
    "decay_tables": False,
}
VARIANTS = [
    {"recipe": "igui", "anneal_steps": None},
    {"normalise_input": False},
    {"normalise_mu": False, "sigma0": 0.5},
    {"assignment": "softmax", "kl_reduction": "mean", "tau": 0.01, "anneal_steps": 0},
    {"hidden": None, "anneal_steps": None, "dropout": 0.0},
]


def scores(model: Any, case: Any) -> np.ndarray:
    return _literal(model, case).scores(case.interactions)


def loss(model: Any, case: Any, batch: Any) -> float:
    return _literal(model, case).loss(batch)


def _literal(model: Any, case: Any) -> Macrid:
    table = model.state_dict()["items"].double().numpy()
    return Macrid(model, table, np.ones((1, case.n_items), dtype=bool), sum(map(bool, case.items_of)))
