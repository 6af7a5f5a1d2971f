"""Every metric against its definition, written out user by user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.evaluation import ACCURACY, METRICS, HeldOut, Ranking, find_metric, rank_lists
from workbench.errors import UserError

CPU = torch.device("cpu")


def ranking(
    lists: Mapping[int, Sequence[int]],
    held_out: Mapping[int, Mapping[int, float]],
    n_ids: int,
    k: int,
    threshold: float = 0.0,
) -> Ranking:
    """Given lists in the place of a model's; short ones are padded as the bench pads them."""
    part = HeldOut(csr(held_out, max(held_out) + 1), n_ids, threshold, k, CPU)
    users = part.users.tolist()
    items = torch.tensor([[*lists[user], *[-1] * (k - len(lists[user]))] for user in users])
    return rank_lists(part, items, torch.arange(k, 0, -1).float().expand(items.shape))


def literal(name: str, listed: Sequence[int], held_out: Mapping[int, float], k: int, threshold: float) -> float:
    """One metric of one user from its definition."""
    relevant = {item: rating for item, rating in held_out.items() if rating >= threshold}
    hits = [rank for rank, item in enumerate(listed[:k], start=1) if item in relevant]
    precision, recall = len(hits) / k, len(hits) / len(relevant)
    if name == "Recall":
        return recall
    if name == "Precision":
        return precision
    if name == "HR":
        return 1.0 if hits else 0.0
    if name == "F1":
        return 2 * precision * recall / (precision + recall) if hits else 0.0
    if name == "MRR":
        return 1 / hits[0] if hits else 0.0
    if name == "Recall_min":
        return len(hits) / min(k, len(relevant))
    if name in ("MAP", "MAR"):
        found = [sum(rank <= n for rank in hits) for n in range(1, k + 1)]
        return sum(hit / (n if name == "MAP" else len(relevant)) for n, hit in enumerate(found, start=1)) / k
    if name in ("MAP_standard", "MAP_trec"):
        total = sum(place / rank for place, rank in enumerate(hits, start=1))
        return total / (min(k, len(relevant)) if name == "MAP_standard" else len(relevant))
    assert name in ("nDCG", "nDCG_binary")
    gain = {item: 2 ** (rating - threshold + 1) - 1 if name == "nDCG" else 1.0 for item, rating in relevant.items()}
    best = sorted(gain.values(), reverse=True)[:k]
    ideal = sum(value / math.log2(rank + 1) for rank, value in enumerate(best, start=1))
    return sum(gain[listed[rank - 1]] / math.log2(rank + 1) for rank in hits) / ideal


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[int, list[int]], dict[int, dict[int, float]], float]:
    """Lists of up to 6 of 12 items for a few users, and their held-out ratings."""
    users = draw(st.integers(1, 5))
    ratings = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
    held_out = {
        user: draw(st.dictionaries(st.integers(0, 14), ratings, min_size=1, max_size=9)) for user in range(users)
    }
    threshold = draw(st.sampled_from([0.0, 1.0, 3.5]))
    if not any(rating >= threshold for given_ in held_out.values() for rating in given_.values()):
        held_out[0][0] = 5.0
    lists = {user: draw(st.permutations(range(12)))[: draw(st.integers(0, 6))] for user in range(users)}
    return lists, held_out, threshold


@settings(max_examples=60)
@given(cases(), st.integers(1, 6))
def test_every_metric_is_its_definition(
    case: tuple[dict[int, list[int]], dict[int, dict[int, float]], float], k: int
) -> None:
    lists, held_out, threshold = case
    result = ranking(lists, held_out, 15, 6, threshold)
    users = [user for user in held_out if any(rating >= threshold for rating in held_out[user].values())]
    assert result.users.tolist() == users, "users without a relevant item are not judged"
    for name in ACCURACY:
        expected = [literal(name, lists[user], held_out[user], k, threshold) for user in users]
        values = METRICS[name](result, k)
        assert values.dtype == torch.float64
        np.testing.assert_allclose(values.numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=name)


@settings(max_examples=40)
@given(cases())
def test_metrics_stay_within_zero_and_one_and_grow_with_k_where_they_must(
    case: tuple[dict[int, list[int]], dict[int, dict[int, float]], float],
) -> None:
    lists, held_out, threshold = case
    result = ranking(lists, held_out, 15, 6, threshold)
    for name in ACCURACY:
        values = torch.stack([METRICS[name](result, k) for k in range(1, 7)])
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
        if name in ("Recall", "HR", "MRR", "MAR", "MAP_trec"):
            assert (values.diff(dim=0) >= 0).all(), name
    hits = torch.stack([METRICS["Precision"](result, k) * k for k in range(1, 7)])
    assert (hits.diff(dim=0) > -1e-12).all()


@settings(max_examples=30)
@given(cases(), st.integers(1, 6))
def test_the_best_possible_list_has_ndcg_one(
    case: tuple[dict[int, list[int]], dict[int, dict[int, float]], float], k: int
) -> None:
    _, held_out, threshold = case
    best = {user: sorted(given_, key=lambda item: -given_[item])[:6] for user, given_ in held_out.items()}
    result = ranking(best, held_out, 15, 6, threshold)
    assert METRICS["nDCG"](result, k).numpy() == pytest.approx(1)
    for name in ("nDCG_binary", "Recall_min", "MAP_standard", "MRR", "HR"):
        assert METRICS[name](result, k).numpy() == pytest.approx(1), name


def test_with_equal_ratings_graded_and_binary_ndcg_agree() -> None:
    held_out = {0: {1: 4.0, 2: 4.0, 7: 4.0}, 1: {3: 4.0}}
    result = ranking({0: [5, 2, 1], 1: [0, 3]}, held_out, 10, 3)
    np.testing.assert_allclose(METRICS["nDCG"](result, 3), METRICS["nDCG_binary"](result, 3))


def test_a_large_rating_does_not_spoil_the_figures() -> None:
    """Play counts stand in the rating column of some data sets."""
    result = ranking({0: [1, 2]}, {0: {1: 900.0, 3: 1.0}}, 5, 2)
    assert float(METRICS["nDCG"](result, 2)) == pytest.approx(1)
    assert float(METRICS["nDCG_binary"](result, 2)) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_ratings_too_large_for_graded_gains_spoil_graded_ndcg_alone_and_say_so() -> None:
    result = ranking({0: [1, 2]}, {0: {1: 5000.0, 2: 1.0}}, 5, 2)
    with pytest.raises(UserError, match="too large for graded gains") as caught:
        METRICS["nDCG"](result, 2)
    assert "nDCG_binary" in str(caught.value.mend)
    assert float(METRICS["nDCG_binary"](result, 2)) == float(METRICS["Recall"](result, 2)) == 1


@pytest.mark.parametrize(
    ("given_name", "registered"),
    [
        ("recall", "Recall"),
        ("NDCG", "nDCG"),
        ("nDCGRendle2020", "nDCG_binary"),
        ("ndcg_BINARY", "nDCG_binary"),
        ("hitrate", "HR"),
        ("mrr", "MRR"),
    ],
)
def test_a_metric_is_found_in_any_case_and_under_elliots_name(given_name: str, registered: str) -> None:
    assert find_metric(given_name) == registered


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown metric 'Recal'") as caught:
        find_metric("Recal")
    assert caught.value.mend == "did you mean 'Recall'?"


def test_a_metric_with_arguments_is_sent_to_its_place() -> None:
    with pytest.raises(UserError, match="RSP takes arguments") as caught:
        find_metric("rsp")
    assert caught.value.mend == "write `- metric: RSP` under `complex_metrics`"


@pytest.mark.parametrize("k", [0, 4])
def test_a_cutoff_that_the_lists_do_not_reach_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="does not fit lists of length 3"):
        METRICS["Recall"](ranking({0: [1, 2, 3]}, {0: {1: 1.0}}, 5, 3), k)
