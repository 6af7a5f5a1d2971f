"""What a trained run of Align-MacridVAE's program recommends, as a file of lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.data.dataset import Csr
from benchmark.data.formats.recom_data import ITEMS, USERS, read_ids, read_recom_data
from benchmark.evaluation.ranking import BLOCK_BYTES, Mask, top_k
from benchmark.models.base import TrainingData, device_data
from benchmark.models.macrid import MacridParams, MacridRecommender
from bottega.data.macrid_run import MacridRun
from workbench.console import progress
from workbench.errors import UserError
from workbench.files import atomic_file

_CPU = torch.device("cpu")
_UNWRITABLE = re.compile("[\t\r\n\0]")


class RunModel(MacridRecommender):
    """The weights of a run as a model of the bench; every item has every part.

    Weights
    -------
    items : h (P I, d).
    """

    def __init__(self, run: MacridRun, data: TrainingData) -> None:
        weights = run.weights
        n_rows, dfac = weights["items"].shape
        hidden, kfac = len(weights["encoder.0.bias"]), len(weights["cores"])
        params = MacridParams(recipe="igui", kfac=kfac, dfac=dfac, hidden=hidden, tau=run.tau)
        super().__init__(params, data, torch.ones(n_rows // data.n_items, data.n_items, dtype=torch.bool))
        self.items, self.cores = nn.Parameter(weights["items"]), nn.Parameter(weights["cores"])
        self.first = nn.Parameter(weights["encoder.0.weight"].t().contiguous())
        self.first_bias = nn.Parameter(weights["encoder.0.bias"])
        self.second.load_state_dict({name: weights[f"encoder.2.{name}"] for name in ("weight", "bias")})


@torch.no_grad()
def write_run_lists(run: MacridRun, data: Path, out: Path, top: int) -> None:
    """Write user, item and score by tabs, best first, under raw ids: the first `top` items of every user in users.txt
    that are not among the user's training items.

    Raises
    ------
    UserError : the data folder cannot be read, an id that no such file can hold, or scores that are no numbers.
    """
    user_ids, item_ids = (_writable_ids(data / name) for name in (USERS, ITEMS))
    train = _training_part(data, user_ids, item_ids)
    score = RunModel(run, device_data(len(user_ids), len(item_ids), train, [], _CPU)).eval().scorer()
    mask = Mask([train], len(item_ids), _CPU)
    block = max(1, BLOCK_BYTES // (4 * len(item_ids)))
    with (
        progress(len(user_ids), out.name, "user") as bar,
        atomic_file(out) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        for users in torch.arange(len(user_ids)).split(block):
            scores = score(users)
            mask.apply(scores, users)
            values, items = top_k(scores, min(top, len(item_ids)))
            if values.isnan().any():
                raise UserError(f"some scores are not numbers, with tau = {run.tau:g}", where=data, mend="check --tau")
            rows, columns = (values > -torch.inf).nonzero(as_tuple=True)
            lines = zip(
                users[rows].tolist(), items[rows, columns].tolist(), values[rows, columns].tolist(), strict=True
            )
            stream.writelines(f"{user_ids[user]}\t{item_ids[item]}\t{value:.9g}\n" for user, item, value in lines)
            bar.update(len(users))


def _writable_ids(path: Path) -> list[str]:
    ids = read_ids(path)
    for each in ids:
        if _UNWRITABLE.search(each):
            raise UserError(f"the id {each!r} holds a tab or a line end", where=path, mend="rename it")
    return ids


def _training_part(data: Path, user_ids: Sequence[str], item_ids: Sequence[str]) -> Csr:
    train = read_recom_data(data).train
    users, items = (
        np.array([number[each] for each in used], dtype=np.int64)
        for number, used in (
            ({each: place for place, each in enumerate(user_ids)}, train.user_ids),
            ({each: place for place, each in enumerate(item_ids)}, train.item_ids),
        )
    )
    return Csr.build(users[train.users], items[train.items], train.ratings, len(user_ids))
