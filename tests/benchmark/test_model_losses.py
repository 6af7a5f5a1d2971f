"""Every loss and regulariser against what it says, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmark.models.losses import (
    bpr_loss,
    cosine_bootstrap,
    frobenius_norms,
    half_squared_norms,
    info_nce,
    mean_squares,
)

COUNTED = torch.tensor([True, False, True, True, False])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(left: Tensor, right: Tensor) -> float:
    return float(left @ right) / math.sqrt(float(left @ left) * float(right @ right))


def literal_info_nce(anchors: Tensor, positives: Tensor, temperature: float, candidates: Tensor) -> list[float]:
    return [
        -math.log(
            math.exp(cosine(anchor, positive) / temperature)
            / sum(math.exp(cosine(anchor, other) / temperature) for other in candidates)
        )
        for anchor, positive in zip(anchors, positives, strict=True)
    ]


def over_batch(terms: list[float], counted: Tensor | None) -> float:
    kept = [True] * len(terms) if counted is None else counted.tolist()
    return sum(term for term, there in zip(terms, kept, strict=True) if there) / len(terms)


@pytest.mark.parametrize("counted", [None, COUNTED])
def test_bpr_is_the_mean_of_log_sigmoids(counted: Tensor | None) -> None:
    positive, negative = drawn(5, seed=1), drawn(5, seed=2)
    terms = [-math.log(1 / (1 + math.exp(n - p))) for p, n in zip(positive.tolist(), negative.tolist(), strict=True)]
    assert float(bpr_loss(positive, negative, counted)) == pytest.approx(over_batch(terms, counted), rel=1e-12)


def test_bpr_of_far_scores_is_finite_and_still_teaches() -> None:
    positive = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = bpr_loss(positive, torch.zeros(2))
    loss.backward()
    assert loss.item() == pytest.approx(5e3)
    assert positive.grad is not None and positive.grad.tolist() == [-0.5, 0.0]


@pytest.mark.parametrize("counted", [None, COUNTED])
def test_info_nce_in_batch_and_among_candidates(counted: Tensor | None) -> None:
    anchors, positives, more = drawn(5, 3, seed=1), drawn(5, 3, seed=2), drawn(8, 3, seed=3)
    candidates = torch.cat([positives, more])
    for given, among in ((None, positives), (candidates, candidates)):
        expected = over_batch(literal_info_nce(anchors, positives, 0.3, among), counted)
        found = info_nce(7 * anchors, 0.1 * positives, 0.3, given, counted)  # lengths do not matter
        assert float(found) == pytest.approx(expected, rel=1e-12)


def test_info_nce_is_differentiable_and_stable_for_tiny_temperatures() -> None:
    anchors, positives = drawn(4, 3, seed=1).requires_grad_(), drawn(4, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, p: info_nce(a, p, 0.2), (anchors, positives))
    single = anchors.detach().float().requires_grad_()
    loss = info_nce(single, -single.detach(), 1e-4)  # logits up to 10,000
    loss.backward()
    assert loss.isfinite() and loss > 1e4 and single.grad is not None and single.grad.isfinite().all()
    assert info_nce(single, single, 1e-4).item() == pytest.approx(0, abs=1e-2)


def test_info_nce_of_zero_vectors_is_finite() -> None:
    zeros = torch.zeros(3, 2, requires_grad=True)
    loss = info_nce(zeros, zeros.detach(), 0.1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(3))
    assert zeros.grad is not None and zeros.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_info_nce_is_computed_in_single_precision_under_autocast(dtype: torch.dtype) -> None:
    anchors, positives = drawn(6, 16, seed=1).to(dtype), drawn(6, 16, seed=2).to(dtype)
    expected = over_batch(literal_info_nce(anchors.double(), positives.double(), 0.05, positives.double()), None)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(anchors, positives, 0.05)
    assert found.dtype == torch.float32 and float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("counted", [None, COUNTED])
def test_the_bootstrap_is_one_minus_cosine_and_its_target_a_constant(counted: Tensor | None) -> None:
    predicted, target = drawn(5, 3, seed=1).requires_grad_(), drawn(5, 3, seed=2).requires_grad_()
    loss = cosine_bootstrap(predicted, target, counted)
    terms = [1 - cosine(p, t) for p, t in zip(predicted.detach(), target.detach(), strict=True)]
    assert loss.item() == pytest.approx(over_batch(terms, counted), rel=1e-12)
    loss.backward()
    assert target.grad is None, "no gradient reaches the target"
    assert predicted.grad is not None
    taught = predicted.grad.any(dim=1)
    assert torch.equal(taught, torch.ones_like(taught) if counted is None else counted)


def test_norms_are_what_their_names_say() -> None:
    vectors = [drawn(4, 3, seed=seed) for seed in range(3)]
    squares = [float((each**2).sum()) for each in vectors]
    assert float(half_squared_norms(*vectors)) == pytest.approx(sum(squares) / 2 / 4)
    assert float(frobenius_norms(*vectors)) == pytest.approx(sum(map(math.sqrt, squares)) / 4)
    assert float(mean_squares(*vectors)) == pytest.approx(sum(squares) / 12)
    assert float(mean_squares(vectors[0], drawn(7))) == pytest.approx(squares[0] / 12 + float((drawn(7) ** 2).mean()))
    biases = drawn(4, seed=9)  # tensors of other shapes, B first
    assert float(half_squared_norms(vectors[0], biases)) == pytest.approx(
        (squares[0] + float((biases**2).sum())) / 2 / 4
    )


def test_norms_of_zeros_have_finite_gradients() -> None:
    zeros = torch.zeros(3, 2, requires_grad=True)
    (half_squared_norms(zeros) + frobenius_norms(zeros, zeros) + mean_squares(zeros)).backward()
    assert zeros.grad is not None and not zeros.grad.any()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_squared_and_summed_in_single(half: torch.dtype) -> None:
    single, rounded = torch.full((4, 2000), 3.0), torch.full((4, 2000), 3.0, dtype=half)
    for norm in (half_squared_norms, frobenius_norms, mean_squares):
        found = norm(single, rounded)
        assert found.dtype == torch.float32 and float(found) == pytest.approx(2 * float(norm(single)))
    scores = torch.tensor([1.001, 2.003, -0.7]).to(half)
    assert float(bpr_loss(scores, -scores)) == pytest.approx(float(bpr_loss(scores.double(), -scores.double())))
    left, right = drawn(5, 300, seed=1).to(half), drawn(5, 300, seed=2).to(half)
    assert float(cosine_bootstrap(left, right)) == pytest.approx(float(cosine_bootstrap(left.double(), right.double())))
