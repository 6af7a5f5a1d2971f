"""The alignment stage: what it hands to a model, what it remembers, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from alignment_cases import on, views
from loguru import logger
from torch import Tensor

from benchmark.models.alignment import (
    IGUI,
    Alignment,
    AlignmentParams,
    align,
    concept_cores,
    kept_concept_cores,
    retrieval,
    stage,
)
from benchmark.models.base import Features, TrainingData
from workbench.errors import UserError

METHODS = ["contrastive", "cca", "procrustes", "pca"]
THOROUGH = {"epochs": 30, "batch_size": 32, "lr": 0.01}


def made(
    modalities: dict[str, Features], size: int = 4, method: str = "contrastive", seed: int = 1, **keys: Any
) -> Alignment:
    return align(on(modalities), modalities, size, AlignmentParams(method=method, **keys), seed)  # type: ignore[arg-type]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the modalities, each time that an alignment is really computed."""
    found: list[str] = []
    original = stage._check

    def counted(modalities: dict[str, Features], method: str) -> None:
        found.append("+".join(modalities))
        original(modalities, method)

    monkeypatch.setattr(stage, "_check", counted)
    return found


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


# --- what comes out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_modalities", [1, 2, 3])
def test_vectors_are_the_maps_of_features_and_zero_where_these_are_missing(method: str, n_modalities: int) -> None:
    modalities = views(60, (6, 5, 7)[:n_modalities], missing=0.2)
    found = made(modalities, method=method)
    assert found.vectors.shape == (n_modalities, 60, 4) and found.vectors.dtype == torch.float32
    assert not found.vectors.requires_grad
    for place, each in enumerate(modalities.values()):
        assert torch.equal(found.known[place], each.known)
        for item in range(60):
            expected = found.weights[place] @ each.values[item] + found.biases[place]
            expected = expected if each.known[item] else torch.zeros(4)
            torch.testing.assert_close(found.vectors[place, item], expected, atol=1e-5, rtol=1e-5)
    assert bool(found.losses) == (method == "contrastive" and n_modalities > 1)
    assert len(found.retrieval) == 2 * n_modalities * (n_modalities - 1)


def test_one_modality_gets_its_pca_under_any_method() -> None:
    modalities = views(40, (6,))
    found = [made(modalities, method=method).vectors for method in METHODS]
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("method", ["contrastive", "cca", "procrustes"])
def test_views_of_the_same_items_find_each_other(method: str) -> None:
    found = made(views(300, (12, 10), noise=0.02), 6, method, **(THOROUGH if method == "contrastive" else {}))
    assert set(found.retrieval) == {f"{one}, top {depth}" for one in ("a to b", "b to a") for depth in (1, 5)}
    assert min(found.retrieval.values()) > 0.97


@pytest.mark.parametrize("method", ["contrastive", "cca", "procrustes"])
def test_views_that_share_nothing_do_not(method: str) -> None:
    found = made(views(300, (12, 10), shared=0, noise=1.0), 6, method)
    assert max(found.retrieval.values()) < 0.2


def test_three_views_are_aligned_pair_by_pair() -> None:
    modalities = views(200, (12, 10, 8), noise=0.02, missing=0.1)
    for method in ("contrastive", "cca", "procrustes"):
        found = made(modalities, 6, method, **(THOROUGH if method == "contrastive" else {}))
        assert min(found.retrieval.values()) > 0.9
        assert [name for name in found.retrieval if name.endswith("top 1")] == [
            f"{one} to {other}, top 1" for one in "abc" for other in "abc" if one != other
        ]


def test_retrieval_is_counted_item_by_item(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, 50, 3, generator=generator)
    vectors[1] += vectors[0]
    known = torch.rand(2, 50, generator=generator) < 0.8
    monkeypatch.setattr(retrieval, "_BLOCK_PRODUCTS", 200)  # some rows at a time
    found = retrieval.retrieval(vectors, known)
    items = [item for item in range(50) if known[0, item] and known[1, item]]
    for row, (one, other) in enumerate([(0, 1), (1, 0)]):
        hits = np.zeros(2)
        for item in items:
            cosines = {to: float(torch.cosine_similarity(vectors[one, item], vectors[other, to], 0)) for to in items}
            nearer = sum(value > cosines[item] for to, value in cosines.items() if to != item)
            hits += [nearer < 1, nearer < 5]
        assert found[row].tolist() == pytest.approx(hits / len(items))


def test_one_vector_for_all_items_finds_nothing_and_twins_are_no_errors() -> None:
    known = torch.ones(2, 40, dtype=torch.bool)
    assert not retrieval.retrieval(torch.ones(2, 40, 3), known).any()
    rows = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    assert (retrieval.retrieval(rows.repeat(2, 2, 1), known) == 1).all()


def test_large_catalogues_are_sampled_and_always_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_MOST_ITEMS", 30)
    generator = torch.Generator().manual_seed(0)
    vectors, known = torch.randn(2, 200, 3, generator=generator), torch.ones(2, 200, dtype=torch.bool)
    vectors[1] += vectors[0]
    before = torch.get_rng_state()
    one = retrieval.retrieval(vectors, known)
    assert torch.equal(one, retrieval.retrieval(vectors, known)) and torch.equal(before, torch.get_rng_state())
    assert torch.allclose(one * 30, (one * 30).round(), atol=1e-4)  # shares of 30 items


# --- what is remembered


def test_a_second_call_computes_nothing(computed: list[str]) -> None:
    modalities = views(40, (6, 5))
    data = on(modalities)
    found = [align(data, modalities, 4, AlignmentParams(), 1) for _ in range(3)]
    assert found[0] is found[1] is found[2]
    assert computed == ["a+b"]


def test_a_store_answers_in_later_runs(tmp_path: Path, computed: list[str]) -> None:
    modalities = views(40, (6, 5), missing=0.1)
    first, second = (
        align(on(modalities, tmp_path / "store"), modalities, 4, AlignmentParams(epochs=2), 1) for _ in range(2)
    )
    assert computed == ["a+b"]
    assert torch.equal(first.vectors, second.vectors) and torch.equal(first.known, second.known)
    for one, other in zip([*first.weights, *first.biases], [*second.weights, *second.biases], strict=True):
        assert torch.equal(one, other)
    assert first.losses == second.losses and len(first.losses) == 2
    assert first.retrieval == second.retrieval and len(first.retrieval) == 4


def test_closed_forms_and_single_modalities_come_back_from_the_store_too(tmp_path: Path, computed: list[str]) -> None:
    modalities = views(40, (6, 5))
    for chosen in (modalities, {"a": modalities["a"]}):
        first, second = (align(on(chosen, tmp_path), chosen, 4, AlignmentParams(method="cca"), 1) for _ in range(2))
        assert torch.equal(first.vectors, second.vectors) and first.retrieval == second.retrieval
        assert first.losses == second.losses == []
    assert computed == ["a+b", "a"]


def test_whatever_changes_the_result_is_in_the_key(computed: list[str]) -> None:
    modalities, others = views(40, (6, 5)), views(40, (6, 5), seed=1)
    fewer = {**modalities, "b": Features(modalities["b"].values, modalities["b"].present.clone())}
    fewer["b"].present[3] = False
    fewer["b"].values[3] = 0
    data, usual = on(modalities), AlignmentParams(epochs=1)
    asked: list[tuple[dict[str, Features], int, AlignmentParams, int]] = [
        (modalities, 4, usual, 1),
        (others, 4, usual, 1),
        (fewer, 4, usual, 1),
        (dict(reversed(modalities.items())), 4, usual, 1),
        (modalities, 3, usual, 1),
        (modalities, 4, usual, 2),
        (modalities, 4, AlignmentParams(epochs=2), 1),
        (modalities, 4, AlignmentParams(**{**IGUI, "epochs": 1}), 1),
        *[(modalities, 4, AlignmentParams(method=method), 1) for method in METHODS[1:]],
        ({"a": modalities["a"]}, 4, usual, 1),
    ]
    for each in asked * 2:
        align(data, *each)
    assert len(computed) == len(asked)


def test_what_changes_nothing_is_not(computed: list[str]) -> None:
    modalities = views(40, (6, 5))
    data, renamed = on(modalities), {"image": modalities["a"], "text": modalities["b"]}
    align(data, modalities, 4, AlignmentParams(method="cca"), 1)
    found = align(data, renamed, 4, AlignmentParams(method="cca"), 2)  # no seed, and other names
    assert computed == ["a+b"]
    assert "image to text, top 1" in found.retrieval


def test_it_is_told_once(logged: list[str]) -> None:
    modalities = views(40, (6, 5))
    data = on(modalities)
    for _ in range(2):
        align(data, modalities, 4, AlignmentParams(epochs=2), 1)
    assert len(logged) == 1
    assert "alignment by contrastive: loss" in logged[0] and "b to a, top 5: " in logged[0]


def test_an_evaluation_may_ask_first() -> None:
    modalities = views(40, (6, 5))
    with torch.inference_mode():
        found = made(modalities)
    assert not found.vectors.is_inference()


# --- what is refused


def spoilt(how: str) -> dict[str, Features]:
    modalities = views(40, (6, 5))
    values, present = modalities["b"].values, modalities["b"].present
    if how == "constant":
        values[:] = 2.5
    if how in ("absent", "one item"):
        present[how == "one item" :] = False
        values[how == "one item" :] = 0
    if how == "disjoint":
        for place, each in enumerate(modalities.values()):
            each.present[place::2] = False
            each.values[place::2] = 0
    return modalities


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("constant", "the features of the modality 'b' are the same for all items"),
        ("absent", "0 items have features of the modality 'b'"),
        ("one item", "1 items have features of the modality 'b'"),
        ("disjoint", "0 items have both 'a' and 'b'"),
    ],
)
def test_modalities_that_cannot_be_aligned_are_named(method: str, how: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        made(spoilt(how), method=method)
    assert caught.value.mend is not None and "leave 'b' out of `modalities`" in caught.value.mend


def test_contrast_tells_of_a_modality_that_meets_no_other_and_goes_on(logged: list[str]) -> None:
    modalities = views(40, (6, 5, 4))
    for name, absent in (("a", slice(1)), ("c", slice(1, None))):
        modalities[name].present[absent] = False
        modalities[name].values[absent] = 0
    found = made(modalities, epochs=1)
    assert found.vectors.isfinite().all()
    assert sum("so that nothing can be aligned" in line for line in logged) == 2
    assert {name.split(",")[0] for name in found.retrieval} == {"a to b", "b to a", "b to c", "c to b"}
    with pytest.raises(UserError, match="1 items have features of the modality 'c'"):
        made(modalities, 3, "cca")


def test_contrast_may_have_more_dimensions_than_features() -> None:
    assert made(views(40, (6, 5)), 20, epochs=1).vectors.shape == (2, 40, 20)
    with pytest.raises(UserError, match="vectors of 20 numbers"):
        made(views(40, (6, 5)), 20, "cca")


# --- where concepts start


def planted(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """60 rows in three directions, and their directions."""
    rows = torch.eye(3, 4).repeat(20, 1) + 0.02 * torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    return rows * lengths[:, None], torch.eye(3, 4)


def test_cores_are_the_means_of_planted_clusters() -> None:
    rows, directions = planted(torch.ones(60))
    cores = concept_cores(torch.cat([rows, torch.zeros(30, 4)]), 3, 1, spherical=False)
    assert cores.shape == (3, 4) and cores.dtype == torch.float32
    expected = torch.stack([rows[start::3].mean(dim=0) for start in range(3)])
    nearest = torch.cdist(directions, cores).argmin(dim=1)
    torch.testing.assert_close(cores[nearest], expected, atol=1e-5, rtol=0)


def test_spherical_cores_follow_directions_not_lengths() -> None:
    rows, directions = planted(torch.logspace(0, 3, 60)[torch.randperm(60, generator=torch.Generator().manual_seed(1))])
    cores = concept_cores(rows, 3, 1, spherical=True)
    assert torch.cdist(directions, cores).min(dim=1).values.max() < 0.1
    assert torch.cdist(directions, concept_cores(rows, 3, 1, spherical=False)).min(dim=1).values.max() > 0.1


def test_cores_depend_on_their_seed_alone() -> None:
    rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    one = concept_cores(rows, 7, -3, spherical=True)
    assert torch.equal(one, concept_cores(rows, 7, -3, spherical=True))
    assert not torch.equal(one, concept_cores(rows, 7, 4, spherical=True))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]


def test_cores_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))

    def data() -> TrainingData:
        return on(views(50, (6,)), tmp_path)

    first = kept_concept_cores(data(), rows, 3, 1, True)
    assert torch.equal(first, concept_cores(rows, 3, 1, True))
    assert not torch.equal(kept_concept_cores(data(), rows + 1, 3, 1, True), first)
    monkeypatch.delattr("benchmark.models.alignment.cores.concept_cores")
    assert torch.equal(kept_concept_cores(data(), rows, 3, 1, True), first)


@pytest.mark.parametrize("rows", [torch.randn(4, 3), torch.eye(4, 3).repeat(3, 1), torch.zeros(9, 3)])
def test_more_concepts_than_there_are_vectors_are_refused(rows: Tensor) -> None:
    with pytest.raises(UserError, match=r"5 concepts are asked for, and the items have [034] distinct"):
        concept_cores(rows, 5, 1, spherical=True)
