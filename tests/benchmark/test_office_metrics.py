"""The published Office split: MostPop's 17 figures, measured there with Elliot's own evaluator.

Items of equal popularity rank in the order of the training file here and there, so that every printed digit agrees.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.data.dataset import Dataset, build_dataset
from benchmark.data.interactions import read_interactions
from benchmark.data.splitters import Parts
from benchmark.evaluation import Catalogue, Evaluator
from benchmark.models.base import Recommender, device_data
from benchmark.models.registry import find_model

pytestmark = pytest.mark.realdata
CPU = torch.device("cpu")
FIGURES = {
    "Recall@10": 0.046580,
    "nDCG@10": 0.029640,
    "HR@10": 0.097038,
    "Precision@10": 0.011384,
    "Recall@20": 0.085049,
    "nDCG@20": 0.041481,
    "nDCG_binary@20": 0.042626,
    "HR@20": 0.160035,
    "Precision@20": 0.010146,
    "MRR@20": 0.042116,
    "MAP@20": 0.012119,
    "ItemCoverage@20": 34,
    "Gini@20": 0.011028,
    "SEntropy@20": 4.436850,
    "EFD@20": 0.083530,
    "EPC@20": 0.011027,
    "ARP@20": 117.239,
}


@pytest.fixture(scope="module")
def office(real_data: Callable[[str], Path]) -> Dataset:
    source = real_data("amazon-office-ducho24")
    return build_dataset(Parts(*(read_interactions(source / f"{name}.tsv") for name in ("train", "val", "test"))))


def test_mostpop_has_all_17_figures(office: Dataset) -> None:
    most_pop = find_model("MostPop")
    data = device_data(office.n_users, office.n_items, office.train, [], CPU)
    model: Recommender = most_pop(most_pop.Params(), data)  # type: ignore[call-arg]
    names = list(dict.fromkeys(name.partition("@")[0] for name in FIGURES))
    catalogue = Catalogue.build(office.train, office.n_items, CPU)
    judge = Evaluator(
        office.test, [office.train], office.n_items, len(office.item_ids), names, [10, 20], CPU, catalogue=catalogue
    )
    ranking = judge.rank(model)
    assert len(ranking.users) == 4524
    means = judge.measure(ranking).means
    for name, value in FIGURES.items():
        digits = 3 if name == "ARP@20" else 6
        assert round(means[name], digits) == value, name
