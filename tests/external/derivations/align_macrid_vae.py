"""AlignMacridVAE: MacridVAE over one part a modality, with the masks of the items that have it."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivations import macrid_vae
from macrid_literal import Macrid

PARAMS = {**macrid_vae.PARAMS, "dfac": 3, "tied": True, "alignment": {"epochs": 2, "batch_size": 4}}
CHANGES = {
    **macrid_vae.CHANGES,
    "dfac": 4,
    "alignment": "pca",
    "tied": False,
    "parts": "learned",
    "spherical": False,
}
VARIANTS = [
    {"tied": False},
    {"tied": False, "parts": "learned", "normalise_input": False},
    {"parts": "learned", "assignment": "softmax"},
    {"recipe": "igui", "anneal_steps": None, "tied": False},
]


def scores(model: Any, case: Any) -> np.ndarray:
    return _literal(model, case).scores(case.interactions)


def loss(model: Any, case: Any, batch: Any) -> float:
    return _literal(model, case).loss(batch)


def _literal(model: Any, case: Any) -> Macrid:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    known = np.array(list(case.known.values()))
    counted, free = known.copy(), 0
    for item in range(case.n_items):
        if not known[:, item].any():
            counted[0, item] = True
    if model.params.tied:
        table = []
        for part, features in enumerate(case.features.values()):
            for item in range(case.n_items):
                if part == 0 and not known[:, item].any():
                    table.append(state["drawn"][free])
                    free += 1
                    continue
                row = features[item].astype(np.float64)
                table.append(state[f"maps.{part}.weight"] @ row + state[f"maps.{part}.bias"])
        table = np.array(table)
    else:
        table = state["items"]
    weights = counted / counted.sum(0)
    if model.params.parts == "learned":
        raw = np.exp(state["modality_weights"])[:, None] * counted
        weights = raw / raw.sum(0)
    trained = counted & ((case.interactions.sum(0) > 0) if model.params.tied else True)
    return Macrid(model, table, counted, sum(map(bool, case.items_of)), weights, trained)
