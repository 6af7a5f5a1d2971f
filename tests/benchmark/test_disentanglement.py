"""Independence, agreement with categories, and the map, beside loops in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from benchmark.models.disentanglement import interpretability, item_independence, plane, user_independence
from workbench.errors import UserError


def literal_independence(mu: Tensor) -> float:
    """Of (U, K, d): every correlation by itself."""
    concepts, size = mu.shape[1:]
    rows = mu.double().tolist()
    scaled = []
    for row in rows:
        length = math.sqrt(sum(value * value for part in row for value in part)) or 1.0
        scaled.append([[value / length for value in part] for part in row])
    total = 0.0
    for concept in range(concepts):
        columns = [[row[concept][dim] for row in scaled] for dim in range(size)]
        beside = 0.0
        for one in range(size):
            for other in range(size):
                if one != other and len(set(columns[one])) > 1 and len(set(columns[other])) > 1:
                    beside += abs(float(np.corrcoef(columns[one], columns[other])[0, 1]))
        total += 1 - beside / (size * (size - 1))
    return total / concepts


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Correlated dimensions: a random mixture of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(shape[-1], shape[-1], generator=generator)
    return torch.randn(*shape, generator=generator) @ mixing + 0.5


def test_independence_of_users_is_the_mean_over_concepts_of_what_dimensions_do_not_share() -> None:
    mu = drawn(40, 3, 5)
    expected = literal_independence(mu)
    assert 0.1 < expected < 0.9
    assert user_independence(mu) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sizes", [(1, 39), (13, 13, 14), (40, 0), (1,) * 40])
def test_blocks_of_users_give_what_all_at_once_give(sizes: tuple[int, ...]) -> None:
    mu = drawn(40, 3, 5)
    assert user_independence(iter(mu.split(list(sizes)))) == pytest.approx(user_independence(mu), abs=1e-12)


def test_independence_of_items_is_the_same_of_one_table() -> None:
    items = drawn(30, 4, seed=1)
    assert item_independence(items) == pytest.approx(literal_independence(items[:, None]), abs=1e-12)
    assert item_independence(items * torch.rand(30, 1)) == pytest.approx(item_independence(items)), "lengths count not"


def test_more_rows_than_a_block_holds() -> None:
    items = drawn(5_000, 3, seed=2)
    unit = (items.double() / items.double().norm(dim=1, keepdim=True)).numpy()
    beside = np.abs(np.corrcoef(unit.T)).sum() - 3
    assert item_independence(items) == pytest.approx(1 - beside / 6, abs=1e-12)


def test_a_dimension_that_does_not_vary_is_correlated_with_none() -> None:
    angles = torch.linspace(0, 1, 20, dtype=torch.float64)
    mu = torch.stack([angles.cos(), angles.sin(), torch.full_like(angles, 0.1)], dim=1)[:, None]
    expected = literal_independence(mu[..., :2]) * 2 / 6 + 4 / 6  # of six pairs two are of the first dimensions
    assert user_independence(mu) == pytest.approx(expected, abs=1e-9)
    zeros = torch.zeros(20, 1, 3)
    assert user_independence(zeros) == 1.0


def test_small_differences_beside_large_means_are_not_lost() -> None:
    base = torch.tensor([1e6, 1e6, 1e6], dtype=torch.float64)
    mu = (base + drawn(50, 3, seed=3).double())[:, None]
    assert user_independence(iter(mu.split(7))) == pytest.approx(literal_independence(mu), abs=1e-6)


def test_one_dimension_is_independent_and_two_equal_ones_are_not() -> None:
    assert user_independence(drawn(10, 2, 1)) == 1.0
    same = torch.randn(20, 1, 1).repeat(1, 1, 2) * torch.tensor([1.0, -1.0])
    assert user_independence(same) == pytest.approx(0.0, abs=1e-9)


def test_without_two_users_or_with_what_is_no_number_there_is_no_independence() -> None:
    for users in (0, 1):
        with pytest.raises(UserError, match="at least two rows"):
            user_independence(torch.ones(users, 2, 3))
    with pytest.raises(UserError, match="at least two rows"):
        user_independence(iter([]))
    broken = drawn(10, 2, 3)
    broken[3, 1, 2] = torch.nan
    with pytest.raises(UserError, match="no finite numbers"):
        user_independence(broken)


def test_agreement_with_categories_is_counted_over_items_that_have_both() -> None:
    rng = np.random.default_rng(0)
    concepts, categories = rng.integers(-1, 4, 200), rng.integers(-1, 3, 200)
    concepts[categories == 2] = 1
    found = interpretability(torch.from_numpy(concepts), torch.from_numpy(categories), 6)
    pairs = [(int(one), int(other)) for one, other in zip(concepts, categories, strict=True) if min(one, other) >= 0]
    mine, given = zip(*pairs, strict=True)
    assert found.adjusted_rand == pytest.approx(adjusted_rand_score(given, mine))
    assert found.mutual_information == pytest.approx(normalized_mutual_info_score(given, mine))
    for concept in range(4):
        counts = [sum(pair == (concept, category) for pair in pairs) for category in range(3)]
        assert found.purity[concept] == pytest.approx(max(counts) / sum(counts))
        assert found.commonest[concept] == counts.index(max(counts))
    assert [math.isnan(share) for share in found.purity] == [False] * 4 + [True] * 2
    assert found.commonest[4:] == (-1, -1)


def test_the_same_partition_under_other_numbers_agrees_fully() -> None:
    given = torch.tensor([0, 0, 1, 1, 2, 2])
    found = interpretability((given + 1) % 3, given)
    assert (found.adjusted_rand, found.mutual_information, found.purity) == (1.0, pytest.approx(1.0), (1.0, 1.0, 1.0))
    with pytest.raises(UserError, match="both a concept and a category"):
        interpretability(torch.tensor([0, -1]), torch.tensor([-1, 0]))


def test_the_map_is_the_first_two_principal_components() -> None:
    vectors = drawn(300, 6, seed=4).double()
    _, _, directions = np.linalg.svd((vectors - vectors.mean(dim=0)).numpy(), full_matrices=False)
    for axis in directions[:2]:
        axis *= np.sign(axis[np.abs(axis).argmax()])
    expected = (vectors - vectors.mean(dim=0)).numpy() @ directions[:2].T
    np.testing.assert_allclose(plane(vectors).numpy(), expected, atol=1e-5)
    turned = plane(vectors.flip(0)).flip(0)
    np.testing.assert_allclose(turned.numpy(), expected, atol=1e-5, err_msg="signs do not depend on the order")


def test_rows_that_are_no_vectors_have_no_place() -> None:
    vectors = drawn(50, 4, seed=5)
    vectors[[3, 7]] = torch.tensor([[torch.nan], [torch.inf]])
    placed = plane(vectors)
    known = torch.ones(50, dtype=torch.bool)
    known[[3, 7]] = False
    assert placed[~known].isnan().all()
    torch.testing.assert_close(placed[known], plane(vectors[known]))


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (4, 1), (3, 0), (2, 5)])
def test_the_least_tables_have_a_map(shape: tuple[int, int]) -> None:
    placed = plane(torch.randn(*shape))
    assert placed.shape == (shape[0], 2)
    assert bool(placed.isnan().all()) == (0 in shape)
