"""Three users, lists of 4, 3 and 2 items: figures of Elliot's own evaluator at threshold 0."""

from __future__ import annotations

import math

import pytest
import torch
from bench_cases import csr
from test_metrics import CPU, ranking

from benchmark.evaluation import METRICS, Catalogue, find_metric
from benchmark.evaluation.lists import Lists

TRAIN = {0: {0: 5.0, 1: 4.0}, 1: {1: 3.0, 2: 5.0, 5: 4.0}, 2: {0: 4.0, 1: 2.0, 3: 5.0, 4: 1.0}}
TEST = {0: {3: 5.0, 4: 2.0, 9: 1.0}, 1: {3: 4.0}, 2: {5: 3.0}}
LISTS = {0: [4, 2, 3, 5], 1: [0, 4, 3], 2: [2, 5]}
ELLIOT = {
    "Recall": (0.444444, 0.888889),
    "Precision": (0.333333, 0.333333),
    "HR": (0.666667, 1.0),
    "nDCG": (0.244921, 0.563192),
    "nDCGRendle2020": (0.414692, 0.611616),
    "MRR": (0.5, 0.611111),
    "MAP": (0.333333, 0.361111),
    "MAR": (0.277778, 0.583333),
    "F1": (0.355556, 0.457143),
    "ItemCoverage": (4, 5),
    "Gini": (0.466667, 0.711111),
    "SEntropy": (1.918296, 2.281036),
    "EPC": (0.222222, 0.268236),
    "EFD": (1.056642, 1.275432),
    "ARP": (1.166667, 1.111111),
    "APLT": (0.166667, 0.25),
    "ACLT": (0.333333, 0.666667),
}
BY_HAND = {  # what else follows from these lists; c_i at 2: items 0, 2, 4, 5 -> 1, 2, 2, 1
    "ItemCoverage_share": (4 / 6, 5 / 6),
    "Gini_coefficient": (1 - 0.466667, 1 - 0.711111),
    "Shannon_entropy": (2 / 3 * math.log2(3) + 1 / 3 * math.log2(6), 8 / 9 * math.log2(4.5) + 1 / 9 * math.log2(9)),
    "UserCoverage": (3, 3),
    "UserCoverageAtN": (3, 1),
    "NumRetrieved": (2, 3),
    "Recall_min": ((1 / 2 + 0 + 1) / 3, (2 / 3 + 1 + 1) / 3),
    "MAP_standard": ((1 / 2 + 0 + 1 / 2) / 3, ((1 + 2 / 3) / 3 + 1 / 3 + 1 / 2) / 3),
    "MAP_trec": ((1 / 3 + 0 + 1 / 2) / 3, ((1 + 2 / 3) / 3 + 1 / 3 + 1 / 2) / 3),
    # the items 1, 0, 2, 3 and 4 hold 8 of the 9 rows, the first four only 7 and not 7.2; so item 5 is the long tail
    "PopRSP": ((5 / 7 - 1 / 2) / (5 / 7 + 1 / 2), 0),  # 5 of 7 possible head items, 1 of 2 possible tail items; 7, 2
    "PopREO": ((1 - 1 / 3) / (1 + 1 / 3), 0),  # 1 of 3 relevant head items, 1 of 1 relevant tail item; 3 and 1
}


def toy() -> Lists:
    return Lists(ranking(LISTS, TEST, 10, 4), Catalogue.build(csr(TRAIN, 3), 6, CPU))


@pytest.mark.parametrize("name", [*ELLIOT, *BY_HAND])
def test_the_toy_comes_out_to_six_digits(name: str) -> None:
    lists = toy()
    for k, expected in zip((2, 4), (ELLIOT | BY_HAND)[name], strict=True):
        value = METRICS[find_metric(name)].formula(lists, k)
        mean = float(value.mean()) if isinstance(value, torch.Tensor) else value
        assert mean == pytest.approx(expected, abs=1e-6), k


def test_the_toy_covers_every_metric_that_lists_alone_can_give() -> None:
    without = {name for name, metric in METRICS.items() if "full" in metric.needs}
    assert without == {"AUC", "GAUC", "LAUC", "MAP_longest", "MAE", "MSE", "RMSE"}
    assert {find_metric(name) for name in [*ELLIOT, *BY_HAND]} == set(METRICS) - without
