"""Real catalogues for the measurements of models, as MMRec's files have them: `*.inter` and `*_feat.npy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark.data.dataset import Csr
from benchmark.models.base import Features, TrainingData

_DATA = Path(__file__).parents[2] / "shared" / "data"
OFFICE, BABY, TIKTOK = _DATA / "amazon-office-ducho24", _DATA / "amazon-baby-mmrec", _DATA / "tiktok"


@dataclass(frozen=True)
class Catalogue:
    """A split, users and items numbered as in the file: what models are given, and the three parts."""

    data: TrainingData
    train: Csr
    validation: Csr
    test: Csr


def read_catalogue(folder: Path) -> Catalogue:
    """The one file of interactions in a folder, with all its matrices of features."""
    [path] = folder.glob("*.inter")
    rows = pd.read_csv(path, sep="\t")
    users, items, labels = (rows[name].to_numpy() for name in ("userID", "itemID", "x_label"))
    n_users, n_items = int(users.max()) + 1, int(items.max()) + 1

    def part(label: int) -> Csr:
        of_part = labels == label
        return Csr.build(users[of_part], items[of_part], np.ones(int(of_part.sum())), n_users)

    train, validation, test = part(0), part(1), part(2)
    features = {
        file.name.removesuffix("_feat.npy"): Features(
            torch.from_numpy(np.load(file).astype(np.float32)), torch.ones(n_items, dtype=torch.bool)
        )
        for file in sorted(folder.glob("*_feat.npy"))
    }
    indptr, flat = torch.from_numpy(train.indptr), torch.from_numpy(train.items)
    return Catalogue(TrainingData(n_users, n_items, indptr, flat, features), train, validation, test)
