"""Closed forms of the alignment against their definitions, in numpy and scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from alignment_cases import views
from sklearn.covariance import ledoit_wolf

from benchmark.models.alignment.closed_forms import Found, cca, pca, procrustes
from benchmark.models.base import Features
from workbench.errors import UserError

FORMS = [pca, procrustes, cca]


def centred(features: Features) -> np.ndarray:
    """float64, zero where unknown."""
    rows, known = features.values.double().numpy(), features.known.numpy()
    return (rows - rows[known].mean(axis=0)) * known[:, None]


def vectors(found: Found, modalities: dict[str, Features]) -> list[np.ndarray]:
    return [
        (each.values.double() @ weight.t() + bias).numpy()
        for each, weight, bias in zip(modalities.values(), found.weights, found.biases, strict=True)
    ]


def up_to_sign(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of columns whose signs are free."""
    return float(np.abs(one * np.sign((one * other).sum(axis=0)) - other).max())


def test_pca_is_that_of_the_singular_vectors() -> None:
    modalities = views(30, (6, 5), noise=0.5)
    for found, each in zip(vectors(pca(modalities, 3), modalities), modalities.values(), strict=True):
        left, scales, _ = np.linalg.svd(centred(each), full_matrices=False)
        assert up_to_sign(found, (left * scales)[:, :3]) < 1e-8


def test_procrustes_whitens_and_turns_to_the_first() -> None:
    modalities = views(60, (6, 5, 7), noise=0.3, missing=0.2)
    found = vectors(procrustes(modalities, 4), modalities)
    first, first_known = found[0], modalities["a"].known.numpy()
    rng = np.random.default_rng(0)
    for each, features in zip(found, modalities.values(), strict=True):
        known = features.known.numpy()
        np.testing.assert_allclose(each[known].T @ each[known] / known.sum(), np.eye(4), atol=1e-8)
        np.testing.assert_allclose(each[known].mean(axis=0), 0, atol=1e-8)
        both = known & first_known
        best = np.linalg.norm(each[both] - first[both])
        for _ in range(50):  # no other rotation, near or far, is nearer
            turn = scipy.linalg.expm((lambda m: m - m.T)(rng.standard_normal((4, 4)) * rng.choice([0.01, 1])))
            assert np.linalg.norm(each[both] @ turn - first[both]) >= best - 1e-9


def test_procrustes_undoes_a_rotation() -> None:
    modalities = views(50, (5,), noise=0.5)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    rows = modalities["a"].values.double() @ torch.from_numpy(turn)
    both = {**modalities, "b": Features(rows.float(), modalities["a"].present)}
    one, other = vectors(procrustes(both, 5), both)
    np.testing.assert_allclose(one, other, atol=1e-4)


def shrunk(features: Features) -> np.ndarray:
    rows = centred(features)[features.known.numpy()]
    return ledoit_wolf(rows, assume_centered=True)[0]


def test_cca_of_two_is_hotellings() -> None:
    modalities = views(80, (6, 5), noise=1.0)
    left, right = (centred(each) for each in modalities.values())
    roots = [scipy.linalg.sqrtm(np.linalg.inv(shrunk(each))).real for each in modalities.values()]
    one, rho, other = np.linalg.svd(roots[0] @ (left.T @ right / 80) @ roots[1])
    found = vectors(cca(modalities, 4), modalities)
    # the stacked solution has unit length under D, so each half of it has length 1 / sqrt(2)
    expected = np.concatenate([left @ roots[0] @ one[:, :4], right @ roots[1] @ other.T[:, :4]])
    assert up_to_sign(np.concatenate(found), expected * rho[:4] / np.sqrt(2)) < 1e-6


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_cca_of_three_solves_the_generalised_problem(missing: float) -> None:
    modalities = views(80, (4, 5, 6), noise=1.0, missing=missing)
    rows, known = [centred(each) for each in modalities.values()], [each.known for each in modalities.values()]
    blocks = [
        [one.T @ other / int((seen & also).sum()) for other, also in zip(rows, known, strict=True)]
        for one, seen in zip(rows, known, strict=True)
    ]
    for place, each in enumerate(modalities.values()):
        blocks[place][place] = shrunk(each)
    within = scipy.linalg.block_diag(*(blocks[place][place] for place in range(3)))
    values, solutions = scipy.linalg.eigh(np.block(blocks), within)
    expected = solutions[:, ::-1][:, :3] * (values[::-1][:3] - 1) / 2
    found = torch.cat(cca(modalities, 3).weights, dim=1).t().numpy()
    assert up_to_sign(found, expected) < 1e-8


def test_directions_that_modalities_do_not_share_vanish() -> None:
    """Two views of one number each: beyond it there is nothing to align."""
    rng = np.random.default_rng(0)
    hidden, noise = rng.standard_normal((4000, 1)), rng.standard_normal((4000, 6))
    rows = [np.concatenate([hidden, part], axis=1) for part in (noise[:, :3], noise[:, 3:])]
    present = torch.ones(4000, dtype=torch.bool)
    modalities = {
        name: Features(torch.from_numpy(each).float(), present) for name, each in zip("ab", rows, strict=True)
    }
    spread = np.concatenate(vectors(cca(modalities, 3), modalities)).std(axis=0)
    assert (spread[1:] < 0.1 * spread[0]).all()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_depends_on_rows_that_are_missing_or_on_the_order_of_items(form: Callable[..., Found]) -> None:
    modalities = views(50, (6, 5), noise=0.5, missing=0.2)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    more = {
        name: Features(torch.cat([each.values[order], torch.zeros(3, each.values.shape[1])]),
                       torch.cat([each.present[order], torch.zeros(3, dtype=torch.bool)]))
        for name, each in modalities.items()
    }  # fmt: skip
    for one, other in zip(form(modalities, 3), form(more, 3), strict=True):
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right, atol=1e-9, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_signs_are_fixed(form: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another library may give any eigenvector its negative."""
    modalities = views(50, (6, 5), noise=0.5)
    usual, original = form(modalities, 3), torch.linalg.eigh

    def turned(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, columns = original(matrix)
        return values, columns * torch.tensor([1.0, -1.0]).repeat(len(columns))[: len(columns)]

    monkeypatch.setattr(torch.linalg, "eigh", turned)
    for one, other in zip(usual, form(modalities, 3), strict=True):
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right, atol=1e-9, rtol=0)


@pytest.mark.parametrize("form", [procrustes, cca])
@pytest.mark.parametrize(("n_items", "most"), [(40, 5), (4, 3)])
def test_more_dimensions_than_features_vary_in_are_refused(form: Callable[..., Found], n_items: int, most: int) -> None:
    modalities = views(n_items, (7, 5), noise=1.0)
    form(modalities, most)
    with pytest.raises(UserError, match=f"vectors of {most + 1} numbers .* varies in {most} directions"):
        form(modalities, most + 1)


def test_columns_that_repeat_others_are_no_directions() -> None:
    rows = views(40, (5,), noise=1.0)["a"]
    doubled = {"a": Features(torch.cat([rows.values, 3 * rows.values], dim=1), rows.present)}
    with pytest.raises(UserError, match="varies in 5 directions"):
        procrustes(doubled, 6)
    (found,) = vectors(pca(doubled, 8), doubled)
    (plain,) = vectors(pca(doubled, 5), doubled)
    assert found.shape == (40, 8)
    assert not found[:, 5:].any()
    np.testing.assert_allclose(found[:, :5], plain, atol=1e-12)
