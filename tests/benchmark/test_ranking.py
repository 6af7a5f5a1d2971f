"""From scores to lists: ties, masks, blocks, short lists."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.evaluation import ACCURACY, Evaluator, HeldOut, Ranking, rank, top_k
from benchmark.evaluation import ranking as module
from benchmark.evaluation.ranking import Mask
from benchmark.models.base import Diverged, Params, Recommender, Scorer, TrainingData
from workbench.errors import UserError

CPU = torch.device("cpu")
METRIC_NAMES = ACCURACY


def stable_order(scores: list[float]) -> list[int]:
    """Places by falling score; among equals the lower place first (Python's sort is stable)."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])


SCORES = st.sampled_from([-math.inf, -2.5, -1.0, -0.0, 0.0, 1e-30, -1e-30, 1.0, 1.0000001, 3.4e38, -3.4e38])


@settings(max_examples=200)
@given(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(SCORES, min_size=n, max_size=n), min_size=1, max_size=5), st.integers(1, n)
        )
    )
)
def test_the_first_k_are_those_of_a_stable_sort(case: tuple[list[list[float]], int]) -> None:
    rows, k = case
    values, places = top_k(torch.tensor(rows), k)
    for row, value, place in zip(torch.tensor(rows).tolist(), values.tolist(), places.tolist(), strict=True):
        expected = stable_order(row)[:k]
        assert value == [row[position] for position in expected]
        length = sum(each > -math.inf for each in value)
        assert place[:length] == expected[:length]


@pytest.mark.parametrize("levels", [1, 3, 50, 10**6])
def test_the_first_k_of_many_are_those_of_a_stable_sort(levels: int) -> None:
    scores = torch.from_numpy(
        np.random.default_rng(levels).integers(0, levels, (40, 500)).astype(np.float32) - levels / 2
    )
    values, places = top_k(scores, 20)
    order = np.argsort(-scores.numpy(), axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(places.numpy(), order)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(scores.numpy(), order, axis=1))


class Table(Recommender):
    """Scores from a given matrix (U, I)."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.scores = torch.from_numpy(scores.astype(np.float32))

    def scorer(self) -> Scorer:
        return lambda users: self.scores[users].clone()


def random_case(seed: int, users: int = 30, items: int = 25) -> tuple[np.ndarray, Csr, Csr, Csr]:
    """Scores with ties, and three disjoint parts; the test part also holds items from `items` on."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 9, (users, items)) / 4
    parts: list[dict[int, dict[int, float]]] = [{}, {}, {}]
    for user in range(users):
        order = rng.permutation(items)
        sizes = rng.integers(1, 6), rng.integers(0, 4), rng.integers(0, 5)
        start = 0
        for part, size in zip(parts, sizes, strict=True):
            chosen = order[start : start + size].tolist()
            start += size
            if chosen:
                part[user] = {int(item): float(rng.integers(1, 6)) for item in chosen}
        if rng.random() < 0.3:
            parts[2].setdefault(user, {})[items + int(rng.integers(0, 3))] = 4.0
    return scores, *(csr(part, users) for part in parts)  # type: ignore[return-value]


def dictionary(part: Csr) -> dict[int, dict[int, float]]:
    rows: dict[int, dict[int, float]] = {}
    for user, item, value in zip(part.users.tolist(), part.items.tolist(), part.values.tolist(), strict=True):
        rows.setdefault(user, {})[item] = value
    return rows


def literal_lists(
    scores: np.ndarray, held_out: Csr, masked: list[Csr], k: int, threshold: float
) -> dict[int, list[int]]:
    """Lists of every judged user, by loops."""
    lists = {}
    for user, rows in dictionary(held_out).items():
        if not any(rating >= threshold for rating in rows.values()):
            continue
        hidden = {item for part in masked for item in dictionary(part).get(user, {})}
        order = stable_order(scores[user].tolist())
        lists[user] = [item for item in order if item not in hidden][:k]
    return lists


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("k", [3, 20, 30])
def test_lists_and_metrics_are_those_of_a_loop_over_users(seed: int, both: bool, k: int) -> None:
    from test_metrics import literal

    scores, train, validation, test = random_case(seed)
    masked = [train, validation] if both else [train]
    cutoffs = [1, k // 2 + 1, k]
    judge = Evaluator(test, masked, 25, 28, METRIC_NAMES, cutoffs, CPU, threshold=2.0)
    result = judge.rank(Table(scores))
    expected = literal_lists(scores, test, masked, k, 2.0)
    assert result.users.tolist() == sorted(expected)
    for user, listed in zip(result.users.tolist(), result.items.tolist(), strict=True):
        assert listed == expected[user] + [-1] * (k - len(expected[user]))
    means = judge.means(Table(scores))
    assert list(means) == [f"{name}@{k_}" for k_ in cutoffs for name in METRIC_NAMES]
    for name in METRIC_NAMES:
        for cutoff in cutoffs:
            values = [literal(name, expected[user], dictionary(test)[user], cutoff, 2.0) for user in sorted(expected)]
            assert means[f"{name}@{cutoff}"] == pytest.approx(np.mean(values), abs=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4]))
def test_a_masked_item_is_never_recommended(seed: int, length: int) -> None:
    scores, train, validation, test = random_case(seed)
    result = Evaluator(test, [train, validation], 25, 28, ["Recall"], [length], CPU).rank(Table(scores))
    for user, listed in zip(result.users.tolist(), result.items.tolist(), strict=True):
        hidden = {*dictionary(train).get(user, {}), *dictionary(validation).get(user, {})}
        assert not hidden & set(listed)


def test_what_was_used_for_validation_is_hidden_at_test_only_under_train_plus_val() -> None:
    scores = np.array([[5.0, 4, 3, 2, 1]])
    train, validation, test = csr({0: {0: 1}}, 1), csr({0: {1: 1}}, 1), csr({0: {2: 1}}, 1)
    narrow = Evaluator(test, [train], 5, 5, ["MRR"], [5], CPU)
    wide = Evaluator(test, [train, validation], 5, 5, ["MRR"], [5], CPU)
    assert narrow.rank(Table(scores)).items.tolist() == [[1, 2, 3, 4, -1]]
    assert wide.rank(Table(scores)).items.tolist() == [[2, 3, 4, -1, -1]]
    assert narrow.means(Table(scores)) == {"MRR@5": 0.5}
    assert wide.means(Table(scores)) == {"MRR@5": 1.0}


def test_a_hidden_item_that_is_relevant_counts_as_a_miss_even_where_the_list_has_room() -> None:
    scores = np.array([[5.0, 4, 3]])
    result = Evaluator(csr({0: {0: 1, 1: 1}}, 1), [csr({0: {0: 1}}, 1)], 3, 3, ["Recall"], [3], CPU).rank(Table(scores))
    assert result.items.tolist() == [[1, 2, -1]]
    assert result.gains.tolist() == [[3, 0, 0]], "2^(1 + 1) - 1"
    assert result.relevant.tolist() == [2]


def test_an_item_beyond_the_candidates_is_a_miss_and_stays_in_the_denominator() -> None:
    result = Evaluator(csr({0: {1: 1, 7: 1}}, 1), [csr({0: {0: 1}}, 1)], 3, 8, ["Recall"], [2], CPU)
    assert result.means(Table(np.array([[1.0, 2, 3]]))) == {"Recall@2": 0.5}


@pytest.mark.parametrize("bytes_", [1, 4 * 25, 4 * 25 * 7, 10**9])
def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    scores, train, _, test = random_case(1)
    whole = Evaluator(test, [train], 25, 28, METRIC_NAMES, [5], CPU).rank(Table(scores))
    sizes: list[int] = []

    class Counted(Table):
        def scorer(self) -> Scorer:
            inner = super().scorer()
            return lambda users: (sizes.append(len(users)), inner(users))[1]

    monkeypatch.setattr(module, "BLOCK_BYTES", bytes_)
    again = Evaluator(test, [train], 25, 28, METRIC_NAMES, [5], CPU).rank(Counted(scores))
    for name in ("users", "items", "scores", "gains", "relevant", "ideal"):
        assert torch.equal(getattr(whole, name), getattr(again, name)), name
    assert max(sizes) == min(max(1, bytes_ // 100), len(whole.users))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.randoms())
def test_the_order_of_users_and_of_rows_changes_no_users_figures(seed: int, random: object) -> None:
    scores, train, _, test = random_case(seed, users=12)
    turn = list(range(12))
    random.shuffle(turn)  # type: ignore[attr-defined]
    back = {new: old for old, new in enumerate(turn)}

    def turned(part: Csr) -> Csr:
        rows = [
            (turn[user], item, value) for user, given_ in dictionary(part).items() for item, value in given_.items()
        ]
        random.shuffle(rows)  # type: ignore[attr-defined]
        return Csr.build(*(np.array(column) for column in zip(*rows, strict=True)), 12)

    def figures(scores_: np.ndarray, train_: Csr, test_: Csr) -> dict[int, list[float]]:
        judge = Evaluator(test_, [train_], 25, 28, METRIC_NAMES, [4], CPU)
        result = judge.rank(Table(scores_))
        values = torch.stack(list(judge.per_user(result).values()), dim=1).tolist()
        return dict(zip(result.users.tolist(), values, strict=True))

    one = figures(scores, train, test)
    other = figures(scores[[back[new] for new in range(12)]], turned(train), turned(test))
    assert one == {back[new]: values for new, values in other.items()}


def test_an_oracle_finds_everything_that_can_be_found() -> None:
    scores, train, _, test = random_case(4)
    wanted = dictionary(test)
    oracle = np.zeros_like(scores)
    for user, rows in wanted.items():
        for item in rows:
            if item < 25:
                oracle[user, item] = 1
    judge = Evaluator(test, [train], 25, 28, ["Recall", "nDCG_binary"], [10], CPU)
    values = judge.per_user(judge.rank(Table(oracle)))["Recall@10"].tolist()
    for user, value in zip(sorted(wanted), values, strict=True):
        assert value == pytest.approx(sum(item < 25 for item in wanted[user]) / len(wanted[user]))
    assert max(values) == 1.0


def test_longer_lists_than_cutoffs_change_no_figure() -> None:
    scores, train, _, test = random_case(2)
    short = Evaluator(test, [train], 25, 28, METRIC_NAMES, [3, 5], CPU).means(Table(scores))
    long = Evaluator(test, [train], 25, 28, METRIC_NAMES, [3, 5], CPU, length=20).means(Table(scores))
    assert short == long


def test_a_threshold_above_every_rating_is_refused() -> None:
    with pytest.raises(UserError, match="no held-out row has a rating of at least 6"):
        Evaluator(csr({0: {1: 5}}, 1), [csr({0: {0: 5}}, 1)], 2, 2, ["Recall"], [1], CPU, threshold=6)


def test_scores_that_are_not_numbers_stop_the_judgement() -> None:
    scores = np.array([[1.0, np.nan, 3.0]])
    with pytest.raises(Diverged):
        Evaluator(csr({0: {2: 1}}, 1), [csr({0: {0: 1}}, 1)], 3, 3, ["Recall"], [1], CPU).rank(Table(scores))


def test_judging_leaves_the_model_in_the_mode_in_which_it_was_and_takes_no_gradients() -> None:
    scores, train, _, test = random_case(2)
    seen: list[tuple[bool, bool]] = []

    class Watched(Table):
        def scorer(self) -> Scorer:
            seen.append((self.training, torch.is_grad_enabled()))
            return super().scorer()

    judge = Evaluator(test, [train], 25, 28, ["Recall"], [3], CPU)
    for training in (True, False):
        model = Watched(scores)
        model.train(training)
        judge.rank(model)
        assert model.training is training
    assert seen == [(False, False), (False, False)]


def test_a_part_without_rows_gives_an_empty_ranking() -> None:
    empty = Csr(np.zeros(3, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    part = HeldOut(empty, 4, 0.0, 2, CPU)
    score: Callable[[Tensor], Tensor] = lambda users: torch.zeros(len(users), 4)  # noqa: E731
    result: Ranking = rank(score, part, Mask([csr({0: {1: 1}}, 2)], 4, CPU), 2, 4)
    assert result.items.shape == (0, 2)


def test_a_model_need_only_give_a_scorer() -> None:
    class Constant(Recommender):
        def __init__(self, params: Params, data: TrainingData) -> None:
            super().__init__()

        def scorer(self) -> Scorer:
            return lambda users: torch.zeros(len(users), 3)

    assert Constant(Params(), None).score(torch.tensor([0, 1])).shape == (2, 3)  # type: ignore[arg-type]
