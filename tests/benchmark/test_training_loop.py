"""One loop for every model: which epoch is kept, when training stops, and that the seed decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from bench_cases import training_data
from torch import Tensor, nn

from benchmark.models.base import Diverged, TrainedRecommender, TrainingParams
from benchmark.models.registry import find_model
from benchmark.training.loop import Fit, fit, snapshot
from workbench.runtime import seed_everything

GRAPH = [[0, 3], [1], [2, 3, 4], [0, 5], [1, 2]]


class Counter(TrainedRecommender):
    """One weight that goes up by about `lr` an epoch; `script` may replace the loss of an epoch."""

    def __init__(self, script: dict[int, float] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.epoch, self.script = 0, script or {}
        self.epochs_seen: list[int] = []
        self.modes: list[bool] = []

    def sampler(self) -> Any:
        class Three:
            def batches(self, size: int, generator: torch.Generator) -> Iterator[int]:
                self.sizes.append(size)  # type: ignore[attr-defined]
                yield from range(3)

            def __len__(self) -> int:
                return 99

        three = Three()
        three.sizes = self.sizes = []  # type: ignore[attr-defined]
        return three

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.epoch = epoch
        self.epochs_seen.append(epoch)

    def loss(self, batch: int) -> Tensor:
        self.modes.append(self.training)
        return -self.weight.sum() * self.script.get(self.epoch, 1.0) + batch


def run(model: Counter, values: list[float] | None, epochs: int = 6, every: int = 1, **params: Any) -> tuple[Fit, list]:
    """Train with judgements that come from a list."""
    reports: list[tuple[int, float, float | None]] = []
    given = iter(values or [])
    judge: Callable[[], dict[str, float]] | None = None
    if values is not None:
        judge = lambda: {"Recall@5": next(given), "epoch": model.epoch}  # noqa: E731
    result = fit(
        model, TrainingParams(epochs=epochs, lr=0.1, **params), judge, "Recall@5", every, lambda *r: reports.append(r)
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
    assert [report[2] for report in reports] == [0.1, 0.4, 0.3, 0.4, 0.2, 0.1]


@pytest.mark.parametrize(("every", "judged"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (10, [5]), (3, [3, 5])])
def test_every_few_epochs_are_judged_and_always_the_last(every: int, judged: list[int]) -> None:
    result, reports = run(Counter(), [0.1] * 5, epochs=5, every=every)
    assert [epoch for epoch, _ in result.history] == judged
    assert [epoch for epoch, _, value in reports if value is not None] == judged
    assert [epoch for epoch, _, _ in reports] == [1, 2, 3, 4, 5]


def test_a_best_value_of_zero_is_a_value() -> None:
    assert run(Counter(), [0.0] * 6)[0].epoch == 1


def test_without_validation_it_is_trained_to_the_end_and_the_last_weights_are_kept() -> None:
    model = Counter()
    result, reports = run(model, None, epochs=4)
    assert (result.epoch, result.metrics, result.history) == (4, {}, [])
    assert torch.equal(result.state["weight"], model.weight.detach())
    assert [value for _, _, value in reports] == [None] * 4


def test_the_reported_loss_is_the_mean_over_the_batches_of_the_epoch() -> None:
    result, reports = run(Counter(dict.fromkeys(range(9), 0.0)), None, epochs=2)
    assert result.losses == [1.0, 1.0], "batches 0, 1 and 2"
    assert [loss for _, loss, _ in reports] == result.losses


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_training_and_names_the_epoch(bad: float) -> None:
    model = Counter({3: bad})
    with pytest.raises(Diverged, match="epoch 3"):
        run(model, [0.1] * 6)
    assert model.epochs_seen == [1, 2, 3]


def test_epochs_are_announced_from_one_and_the_model_trains_in_training_mode() -> None:
    model = Counter()
    fit(model, TrainingParams(epochs=3), lambda: (model.eval(), {"m": 1.0})[1], "m", 1, lambda *_: None)
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
    judge = (lambda: {"m": float(torch.rand(()))}) if judged else None
    assert isinstance(model, TrainedRecommender)
    result = fit(model, params, judge, "m", 1, lambda *_: None)  # type: ignore[arg-type]
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
