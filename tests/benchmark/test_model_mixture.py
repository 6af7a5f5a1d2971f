"""The streamed softmax of a mixture against its definition, and the rows that it is taken of."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional

from benchmark.models import blocks
from benchmark.models.graphs.sparse import Pattern, log_sum_exp_by_row, row_pointers
from benchmark.models.mixture import log_mixture, log_mixture_at, log_partition
from benchmark.models.rows import UserRows, in_parts, repeated, rows_of

K, B, F, N_ITEMS = 3, 5, 8, 50


def given(tau: float, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """q, h and log c; one item belongs to no concept."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    log_weights = torch.log_softmax(draw(N_ITEMS, K) / tau / 3, dim=1)
    log_weights[4] = -torch.inf
    found = (
        functional.normalize(draw(K, B, F), dim=-1) / tau,
        functional.normalize(draw(N_ITEMS, F), dim=-1),
        log_weights,
    )
    return [each.to(dtype).requires_grad_() for each in found]


def literal_scores(queries: torch.Tensor, items: torch.Tensor, log_weights: torch.Tensor) -> list[list[float]]:
    """s by loops; the largest term is taken out, or exp(1 / .01) is no number."""
    q, h, c = (each.detach().double() for each in (queries, items, log_weights))
    found = []
    for u in range(B):
        row = []
        for i in range(N_ITEMS):
            terms = [float(q[k, u] @ h[i] + c[i, k]) for k in range(K)]
            most = max(terms)
            total = sum(math.exp(term - most) for term in terms) if most > -math.inf else 0.0
            row.append(most + math.log(total) if total else -math.inf)
        found.append(row)
    return found


@pytest.fixture(autouse=True, params=[7, 1 << 20], ids=["blocks", "at-once"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(blocks.LOGITS, "cpu", request.param * K * B)


@pytest.mark.parametrize("tau", [0.1, 0.02, 0.01])
def test_scores_and_their_total_are_those_of_the_definition(tau: float) -> None:
    queries, items, log_weights = given(tau)
    expected = torch.tensor(literal_scores(queries, items, log_weights), dtype=torch.float64)
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(log_mixture(queries, items, log_weights).double(), expected, **tolerance)
    total = log_partition(queries, items, log_weights)
    torch.testing.assert_close(total.double(), torch.logsumexp(expected, dim=1), **tolerance)
    pairs = Pattern(torch.tensor([0, 2, 2, 3, 5, 6]), torch.tensor([1, 7, 3, 0, 49, 2]), (B, N_ITEMS))
    at = log_mixture_at(repeated(pairs, K), queries, items, log_weights)
    torch.testing.assert_close(at.double(), expected[pairs.rows, pairs.columns], **tolerance)


@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_gradients_are_those_of_the_dense_form(tau: float) -> None:
    ours, dense = given(tau), given(tau, torch.float64)
    weights = torch.linspace(-1, 2, B)
    (log_partition(*ours) * weights).sum().backward()
    queries, items, log_weights = dense
    logits = torch.einsum("kuf,if->kui", queries, items) + log_weights.t()[:, None]
    (torch.logsumexp(logits, dim=(0, 2)) * weights.double()).sum().backward()
    for one, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-4)


def test_half_precision_around_it_changes_nothing() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        inside = log_partition(*given(0.01))
    assert inside.dtype == torch.float32
    assert torch.equal(inside, log_partition(*given(0.01)))


def test_sums_of_exponentials_by_row() -> None:
    pattern = Pattern(torch.tensor([0, 2, 2, 5]), torch.tensor([0, 1, 0, 1, 2]), (3, 3))
    scores = torch.tensor([1000.0, 1001.0, -5.0, 2.0, 2.0], dtype=torch.float64, requires_grad=True)
    expected = [1001 + math.log(1 + math.exp(-1)), -math.inf, math.log(math.exp(-5) + 2 * math.exp(2))]
    assert log_sum_exp_by_row(pattern, scores).tolist() == pytest.approx(expected)
    rows = torch.tensor([0, 2])
    assert torch.autograd.gradcheck(lambda each: log_sum_exp_by_row(pattern, each)[rows], (scores,))


# --- rows

EVERYONE = [[0, 2], [], [1], [0, 1, 3]]


def matrix() -> Pattern:
    owners = torch.tensor([user for user, items in enumerate(EVERYONE) for _ in items])
    return Pattern(row_pointers(owners, 4), torch.tensor(list(itertools.chain(*EVERYONE))), (4, 4))


def lists(rows: Pattern) -> list[list[int]]:
    return [part.tolist() for part in rows.columns.split(rows.indptr.diff().tolist())]


def test_rows_of_some_users_in_their_order() -> None:
    assert lists(rows_of(matrix(), torch.tensor([3, 1, 0, 3]))) == [[0, 1, 3], [], [0, 2], [0, 1, 3]]
    assert lists(repeated(matrix(), 2)) == EVERYONE * 2


def test_items_in_parts_are_counted_where_they_have_them() -> None:
    counted = torch.tensor([[True, True, False, True], [False, True, True, True]])
    found = in_parts(matrix(), counted)
    assert lists(found) == [[0, 6], [], [1, 5], [0, 1, 5, 3, 7]]
    assert found.shape == (4, 8)


def test_an_epoch_has_every_user_with_items_once() -> None:
    sampler = UserRows(matrix())
    assert len(sampler) == 3
    batches = [lists(rows) for rows in sampler.batches(2, torch.Generator().manual_seed(0))]
    assert [len(batch) for batch in batches] == [2, 1]
    assert sorted(itertools.chain(*batches)) == [[0, 1, 3], [0, 2], [1]]
