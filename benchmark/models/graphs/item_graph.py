"""The frozen item graph of FREEDOM (Zhou and Shen, ACM Multimedia 2023) and DRAGON: S = sum_m mw_m S_m."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import NonNegativeFloat, PositiveInt

from benchmark.models.base import Features, MultimodalParams, TrainingData
from benchmark.models.graphs.neighbours import neighbour_graph
from benchmark.models.graphs.sparse import SparseMatrix, weighted_sum
from benchmark.models.spelling import Spelled, one_a_modality
from workbench.errors import UserError


class ItemGraphParams(MultimodalParams):
    """top_k: items that an item is joined to, itself the first of them. mw: a weight a modality, in their order; by
    default .9 of `textual` and .1 of the other where there are two and text is one of them, equal weights otherwise."""

    top_k: PositiveInt = 10
    mw: Annotated[tuple[NonNegativeFloat, ...] | None, Spelled] = None

    def check_modalities(self, names: tuple[str, ...]) -> None:
        if self.mw is None:
            return
        one_a_modality(names, "mw", self.mw, "weights")
        if not any(self.mw):
            raise UserError("`mw` is 0 for every modality", mend="make one of them positive, or leave `mw` out")


def frozen_item_graph(data: TrainingData, modalities: Mapping[str, Features], params: ItemGraphParams) -> SparseMatrix:
    """S (I, I), S_m the symmetrically normalised graph of every item and its nearest by the features of m.

    Raises
    ------
    UserError : there are more or fewer weights than modalities, or all are 0.
    """
    names = tuple(modalities)
    params.check_modalities(names)
    graphs = [neighbour_graph(data, each, params.top_k, "binary") for each in modalities.values()]
    return weighted_sum(graphs, params.mw or _published_weights(names))


def _published_weights(names: tuple[str, ...]) -> tuple[float, ...]:
    if len(names) == 2 and "textual" in names:
        return (0.9, 0.1) if names[0] == "textual" else (0.1, 0.9)
    return (1 / len(names),) * len(names)
