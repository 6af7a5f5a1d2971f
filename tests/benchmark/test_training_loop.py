"""One loop for every model: which epoch is kept, when training stops, and that the seed decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import training_data
from torch import Tensor
from training_cases import GRAPH, Counter

from benchmark.models.base import Diverged, TrainedRecommender, TrainingParams
from benchmark.models.registry import find_model
from benchmark.training.loop import Fit, Judgement, Progress, fit, snapshot
from workbench.runtime import seed_everything


def run(
    model: Counter, values: list[float] | None, epochs: int = 6, every: int = 1, **params: Any
) -> tuple[Fit, list[Progress]]:
    """Train with judgements that come from a list."""
    reports: list[Progress] = []
    given = iter(values or [])

    def judge() -> Judgement:
        return Judgement({"Recall@5": next(given), "epoch": model.epoch}, {"Recall@5": np.full(2, model.epoch)})

    result = fit(
        model,
        TrainingParams(epochs=epochs, lr=0.1, **params),
        judge if values else None,
        "Recall@5",
        every,
        reports.append,
    )
    return result, reports


def test_the_first_best_epoch_is_kept_with_its_weights_and_metrics() -> None:
    model = Counter()
    result, reports = run(model, [0.1, 0.4, 0.3, 0.4, 0.2, 0.1])
    assert result.epoch == 2
    assert result.metrics == {"Recall@5": 0.4, "epoch": 2}
    assert result.history == [(1, 0.1), (2, 0.4), (3, 0.3), (4, 0.4), (5, 0.2), (6, 0.1)]
    # Adam's steps under a constant gradient are lr long, three an epoch
    assert float(result.state["weight"]) == pytest.approx(2 * 3 * 0.1, rel=1e-4)
    assert float(model.weight.detach()) == pytest.approx(6 * 3 * 0.1, rel=1e-4), "training went on"
    assert result.per_user["Recall@5"].tolist() == [2, 2]
    assert [report.value for report in reports] == [0.1, 0.4, 0.3, 0.4, 0.2, 0.1]
    assert result.stopped is None


def test_what_is_reported_after_an_epoch() -> None:
    _, reports = run(Counter(dict.fromkeys(range(9), 0.0)), [0.3, 0.2, 0.5], epochs=5, every=2)
    assert reports == [
        Progress(1, 5, 1.0, None, None, 99),
        Progress(2, 5, 1.0, 0.3, 0.3, 99),
        Progress(3, 5, 1.0, None, 0.3, 99),
        Progress(4, 5, 1.0, 0.2, 0.3, 99),
        Progress(5, 5, 1.0, 0.5, 0.5, 99),
    ]


@pytest.mark.parametrize(("every", "judged"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (10, [5]), (3, [3, 5])])
def test_every_few_epochs_are_judged_and_always_the_last(every: int, judged: list[int]) -> None:
    result, reports = run(Counter(), [0.1] * 5, epochs=5, every=every)
    assert [epoch for epoch, _ in result.history] == judged
    assert [report.epoch for report in reports if report.value is not None] == judged
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]


def test_a_best_value_of_zero_is_a_value() -> None:
    assert run(Counter(), [0.0] * 6)[0].epoch == 1


def test_without_validation_it_is_trained_to_the_end_and_the_last_weights_are_kept() -> None:
    model = Counter()
    result, reports = run(model, None, epochs=4)
    assert (result.epoch, result.metrics, result.history) == (4, {}, [])
    assert (result.per_user, result.stopped) == ({}, None)
    assert torch.equal(result.state["weight"], model.weight.detach())
    assert [(report.value, report.best) for report in reports] == [(None, None)] * 4


def test_the_reported_loss_is_the_mean_over_the_batches_of_the_epoch() -> None:
    result, reports = run(Counter(dict.fromkeys(range(9), 0.0)), None, epochs=2)
    assert result.losses == [1.0, 1.0], "batches 0, 1 and 2"
    assert [report.loss for report in reports] == result.losses


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_training_and_names_the_epoch(bad: float) -> None:
    model = Counter({3: bad})
    with pytest.raises(Diverged, match="epoch 3"):
        run(model, [0.1] * 6)
    assert model.epochs_seen == [1, 2, 3]


def test_epochs_are_announced_from_one_and_the_model_trains_in_training_mode() -> None:
    model = Counter()
    fit(model, TrainingParams(epochs=3), lambda: (model.eval(), Judgement({"m": 1.0}, {}))[1], "m", 1, lambda _: None)
    assert model.epochs_seen == [1, 2, 3]
    assert model.modes == [True] * 9


@pytest.mark.parametrize(("given", "used"), [(-1, 99), (7, 7), (1000, 1000)])
def test_minus_one_as_batch_size_means_all_samples(given: int, used: int) -> None:
    model = Counter()
    run(model, None, epochs=1, batch_size=given)
    assert model.sizes == [used]


def trained(seed: int, judged: bool = False) -> dict[str, Tensor]:
    model_class = find_model("BPRMF")
    params = model_class.Params(epochs=5, batch_size=4, lr=0.05, factors=4, seed=seed)  # type: ignore[call-arg]
    seed_everything(seed)
    model = model_class(params, training_data(GRAPH, 6))  # type: ignore[call-arg]
    judge = (lambda: Judgement({"m": float(torch.rand(()))}, {})) if judged else None
    assert isinstance(model, TrainedRecommender)
    result = fit(model, params, judge, "m", 1, lambda _: None)  # type: ignore[arg-type]
    return snapshot(model) if judged else result.state


def test_the_same_seed_gives_the_same_weights_bit_for_bit_whether_judged_or_not() -> None:
    one, again, judged, other = trained(1), trained(1), trained(1, judged=True), trained(2)
    for name in one:
        assert torch.equal(one[name], again[name])
        assert torch.equal(one[name], judged[name])
        assert not torch.equal(one[name], other[name])


def test_a_snapshot_is_a_copy() -> None:
    model = Counter()
    before = snapshot(model)
    with torch.no_grad():
        model.weight += 1
    assert float(before["weight"]) == 0
