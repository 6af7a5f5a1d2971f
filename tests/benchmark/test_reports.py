"""Which leads get a dagger."""

from __future__ import annotations

import numpy as np

from benchmark.evaluation.significance import compare
from benchmark.reports.significance import clear_leaders

GENERATOR = np.random.default_rng(3)
BASE = GENERATOR.random(200)


def leaders(**values: np.ndarray) -> set[tuple[str, str]]:
    return clear_leaders(
        compare({name: column[:, None] for name, column in values.items()}, ["Recall@20"], ["paired_ttest"]),
        "paired_ttest",
    )


def test_a_model_that_beats_all_others_clearly_leads() -> None:
    better = BASE + 0.2 + 0.1 * GENERATOR.random(200)
    assert leaders(weak=BASE, strong=better, middle=BASE + 0.1 * GENERATOR.random(200)) == {("strong", "Recall@20")}
    assert leaders(strong=better, weak=BASE) == {("strong", "Recall@20")}


def test_a_lead_that_may_be_chance_over_one_other_is_none() -> None:
    noise = GENERATOR.permutation(np.repeat([0.05, -0.049], 100))
    assert leaders(weak=BASE - 0.3 + 0.1 * GENERATOR.random(200), first=BASE + noise, second=BASE) == set()
