"""Accuracy metrics against ir-measures (trec_eval) on random runs with equal scores and graded judgements."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, P, R, Success, nDCG
from test_ranking import CPU, Table, dictionary, random_case

from benchmark.evaluation import ACCURACY, Evaluator

N_ITEMS, LENGTH = 25, 12


def theirs(lists: dict[int, list[int]], relevant: dict[int, dict[int, float]], k: int, measure: object) -> np.ndarray:
    """Values of one of their measures, by user; scores fall by one a rank, so that no two are equal."""
    run = {str(user): {str(item): -float(rank) for rank, item in enumerate(items)} for user, items in lists.items()}
    graded = measure == nDCG @ k  # linear gains there: ours go in as grades
    qrels = {
        str(user): {str(item): int(2 ** (rating + 1) - 1) if graded else 1 for item, rating in rows.items()}
        for user, rows in relevant.items()
    }
    found = {each.query_id: each.value for each in ir_measures.iter_calc([measure], qrels, run)}
    return np.array([found.get(str(user), 0.0) for user in lists])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 3, 10])
def test_every_accuracy_metric_is_that_of_ir_measures(seed: int, k: int) -> None:
    scores, train, _, test = random_case(seed)
    judge = Evaluator(test, [train], N_ITEMS, 28, ACCURACY, [k], CPU, length=LENGTH)
    result = judge.rank(Table(scores))
    relevant = dictionary(test)
    lists = dict(zip(result.users.tolist(), result.items.tolist(), strict=True))
    sizes = np.array([len(relevant[user]) for user in lists])

    def their(measure: object, cutoff: int = k, binary: bool = False) -> np.ndarray:
        judged = {user: dict.fromkeys(rows, 0.0) for user, rows in relevant.items()} if binary else relevant
        return theirs(lists, judged, cutoff, measure)

    precision, recall, average = their(P @ k), their(R @ k), their(AP @ k)
    both = precision + recall
    expected = {
        "Recall": recall,
        "Recall_min": recall * sizes / np.minimum(sizes, k),
        "Precision": precision,
        "HR": their(Success @ k),
        "F1": np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0),
        "MRR": their(RR @ k),
        "MAP": np.mean([their(P @ n) for n in range(1, k + 1)], axis=0),
        "MAR": np.mean([their(R @ n) for n in range(1, k + 1)], axis=0),
        "MAP_standard": average * sizes / np.minimum(sizes, k),
        "MAP_trec": average,
        "nDCG": their(nDCG @ k),
        "nDCG_binary": their(nDCG @ k, binary=True),
    }
    assert set(expected) == set(ACCURACY)
    for name, values in judge.per_user(result).items():
        np.testing.assert_allclose(values.numpy(), expected[name.partition("@")[0]], rtol=1e-9, err_msg=name)
