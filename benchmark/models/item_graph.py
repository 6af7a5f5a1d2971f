"""The frozen item graph of FREEDOM (Zhou and Shen, ACM Multimedia 2023) and DRAGON: S = sum_m mw_m S_m."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import NonNegativeFloat, PositiveInt, field_validator

from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs import SparseMatrix, neighbour_graph, weighted_sum
from workbench.config import Settings, literal
from workbench.errors import UserError


class ItemGraphParams(Settings):
    """top_k: items that an item is joined to, itself the first of them. mw: a weight a modality, in their order; by
    default .1 and .9 of two (the .9 for `textual`, or for the second), and equal weights of others."""

    top_k: PositiveInt = 10
    mw: tuple[NonNegativeFloat, ...] | None = None

    @field_validator("mw", mode="before")
    @classmethod
    def _spelled_weights(cls, value: Any) -> Any:
        return literal(value)


def frozen_item_graph(data: TrainingData, modalities: Mapping[str, Features], params: ItemGraphParams) -> SparseMatrix:
    """S (I, I), S_m the symmetrically normalised graph of every item and its nearest by the features of m.

    Raises
    ------
    UserError : there are more or fewer weights than modalities.
    """
    graphs = [neighbour_graph(data, each, params.top_k, "binary") for each in modalities.values()]
    return weighted_sum(graphs, _weights(tuple(modalities), params.mw))


def _weights(names: tuple[str, ...], given: tuple[float, ...] | None) -> tuple[float, ...]:
    if given is None:
        published = (0.9, 0.1) if names[0] == "textual" else (0.1, 0.9)
        return published if len(names) == 2 else (1 / len(names),) * len(names)
    if len(given) != len(names):
        raise UserError(
            f"`mw` has {len(given)} weights for {len(names)} modalities ({', '.join(names)})",
            mend="give one weight a modality, in their order, or leave `mw` out",
        )
    return given
