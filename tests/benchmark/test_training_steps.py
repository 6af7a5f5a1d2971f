"""The step: optimisers, schedules, clipping and precision against literal loops and against torch's own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from bench_cases import training_data
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import lr_scheduler
from training_cases import GRAPH, Counter, Noisy, noisy, train

from benchmark.models.base import TrainedRecommender, TrainingParams
from benchmark.models.registry import find_model
from benchmark.training.loop import fit
from benchmark.training.precision import check_precision
from benchmark.training.settings import LearningRateSchedule
from workbench.config import Document, validate
from workbench.errors import UserError
from workbench.runtime import seed_everything

CPU = torch.device("cpu")


def trained(**params: Any) -> dict[str, Tensor]:
    """Weights of the noisy model after four epochs."""
    return train(1, 1, None, lambda _: None, epochs=4, **params)[1].state_dict()


def plainly(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    clip: float | None = None,
) -> dict[str, Tensor]:
    """The same four epochs, written out with nothing but torch."""
    model = noisy(1)
    weights = list(model.parameters())
    optimiser = make(weights)
    scheduler = schedule(optimiser) if schedule else None
    generator = torch.Generator().manual_seed(1)
    sampler = model.sampler()
    for epoch in (1, 2, 3, 4):
        model.on_epoch_start(epoch, generator)
        for batch in sampler.batches(4, generator):
            optimiser.zero_grad()
            model.loss(batch).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(weights, clip)
            optimiser.step()
        if scheduler is not None:
            scheduler.step()
    return model.state_dict()


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor], exactly: bool = True) -> None:
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert (
            torch.equal(value, theirs[name]) if exactly else torch.allclose(value, theirs[name], rtol=1e-4, atol=1e-6)
        )


OPTIMISERS: list[tuple[dict[str, Any], Callable[..., torch.optim.Optimizer]]] = [
    ({}, lambda w, **k: torch.optim.Adam(w, 0.05, **k)),
    ({"weight_decay": 0.1}, lambda w, **k: torch.optim.Adam(w, 0.05, weight_decay=0.1, **k)),
    ({"optimizer": "adamw"}, lambda w, **k: torch.optim.AdamW(w, 0.05, weight_decay=0, **k)),
    ({"optimizer": "adamw", "weight_decay": 0.1}, lambda w, **k: torch.optim.AdamW(w, 0.05, weight_decay=0.1, **k)),
    ({"optimizer": "sgd"}, lambda w, **k: torch.optim.SGD(w, 0.05, **k)),
    (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        lambda w, **k: torch.optim.SGD(w, 0.05, momentum=0.9, weight_decay=0.1, **k),
    ),
]


@pytest.mark.parametrize(("params", "make"), OPTIMISERS)
def test_the_loop_gives_the_weights_of_a_loop_written_out_bit_for_bit(
    params: dict[str, Any], make: Callable[..., torch.optim.Optimizer]
) -> None:
    assert_same(trained(**params), plainly(lambda weights: make(weights, fused=True)))
    assert_same(trained(**params), plainly(lambda weights: make(weights, foreach=False)), exactly=False)


def test_adam_is_kingmas_algorithm_step_by_step() -> None:
    model_class = find_model("BPRMF")
    params = model_class.Params(epochs=3, batch_size=3, lr=0.05, factors=2, l_w=0.01, seed=5)  # type: ignore[call-arg]
    data = training_data(GRAPH, 6)
    made: list[Any] = []
    for _ in range(2):
        seed_everything(5)
        made.append(model_class(params, data))  # type: ignore[call-arg]
    ours, model = made
    assert isinstance(ours, TrainedRecommender) and isinstance(params, TrainingParams)
    fit(ours, params, None, "", 1, lambda _: None)
    means = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    squares = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    step, generator = 0, torch.Generator().manual_seed(5)
    for _ in range(3):
        for batch in model.sampler().batches(3, generator):
            step += 1
            model.zero_grad()
            model.loss(batch).backward()
            with torch.no_grad():
                for name, value in model.named_parameters():
                    means[name] = 0.9 * means[name] + 0.1 * value.grad
                    squares[name] = 0.999 * squares[name] + 0.001 * value.grad**2
                    mean, square = means[name] / (1 - 0.9**step), squares[name] / (1 - 0.999**step)
                    value -= 0.05 * mean / (square.sqrt() + 1e-8)
    assert_same(ours.state_dict(), model.state_dict(), exactly=False)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1e6])
def test_gradients_are_clipped_by_the_norm_of_all_of_them_together(limit: float) -> None:
    make = lambda weights: torch.optim.SGD(weights, 0.05, fused=True)  # noqa: E731
    clipped = trained(optimizer="sgd", clip_grad_norm=limit)
    assert_same(clipped, plainly(make, clip=limit))
    free = trained(optimizer="sgd")
    assert torch.equal(clipped["users"], free["users"]) == (limit == 1e6)


def after_warmup(warmup: int, main: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """torch's way to say it."""
    if warmup == 0:
        return main
    return lambda optimiser: lr_scheduler.SequentialLR(
        optimiser, [lr_scheduler.LinearLR(optimiser, 1 / (warmup + 1), 1.0, warmup), main(optimiser)], [warmup]
    )


SCHEDULES: list[tuple[dict[str, Any], Callable[[int], Callable[[Any], Any]]]] = [
    ({"shape": "exponential", "gamma": 0.9}, lambda _: lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    (
        {"shape": "exponential", "gamma": 0.96, "every": 50},
        lambda _: lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.96 ** (epoch / 50)),
    ),
    ({"shape": "step", "gamma": 0.5, "every": 3}, lambda _: lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
    ({"shape": "step", "gamma": 0.5}, lambda _: lambda o: lr_scheduler.StepLR(o, 1, 0.5)),
    ({"shape": "cosine"}, lambda length: lambda o: lr_scheduler.CosineAnnealingLR(o, length)),
    ({"shape": "cosine", "to": 0.1}, lambda length: lambda o: lr_scheduler.CosineAnnealingLR(o, length, 0.1 * 0.02)),
    ({"shape": "linear", "to": 0.2}, lambda length: lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, length)),
]


@pytest.mark.parametrize("warmup", [0, 1, 4])
@pytest.mark.parametrize(("keys", "main"), SCHEDULES)
def test_schedules_are_those_of_torch_in_closed_form(
    keys: dict[str, Any], main: Callable[[int], Callable[[Any], Any]], warmup: int
) -> None:
    params = TrainingParams(epochs=12, lr=0.02, lr_schedule={**keys, "warmup": warmup})  # type: ignore[arg-type]
    ours = [params.learning_rate(epoch) for epoch in range(1, 13)]
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.02)
    theirs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own SequentialLR calls what torch warns of
        scheduler = after_warmup(warmup, main(12 - warmup))(optimiser)
        for _ in range(12):
            theirs.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_loop_trains_every_epoch_at_its_rate() -> None:
    rates = {"lr_schedule": {"shape": "step", "gamma": 0.5, "every": 2}}
    adam = lambda weights: torch.optim.Adam(weights, 0.05, fused=True)  # noqa: E731
    assert_same(trained(**rates), plainly(adam, lambda optimiser: lr_scheduler.StepLR(optimiser, 2, 0.5)))
    assert not torch.equal(trained(**rates)["users"], trained()["users"])


@given(
    shape=st.sampled_from(["exponential", "step", "cosine", "linear"]),
    epochs=st.integers(1, 60),
    warmup=st.integers(0, 59),
    to=st.floats(0, 1),
    gamma=st.floats(0.01, 1),
    every=st.integers(1, 20),
)
def test_a_schedule_rises_to_one_and_falls_from_there(
    shape: Any, epochs: int, warmup: int, to: float, gamma: float, every: int
) -> None:
    warmup = min(warmup, epochs - 1)
    keys: dict[str, Any] = {"to": to} if shape in ("cosine", "linear") else {"gamma": gamma, "every": every}
    schedule = LearningRateSchedule(shape=shape, warmup=warmup, **keys)
    factors = [schedule.factor(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert factors[warmup] == pytest.approx(1)
    assert all(before < after for before, after in pairwise(factors[: warmup + 1]))
    assert all(before >= after - 1e-12 for before, after in pairwise(factors[warmup:]))
    assert all(0 < factor <= 1 + 1e-12 for factor in factors)
    assert min(factors[warmup:]) >= keys.get("to", 0) - 1e-12


@pytest.mark.parametrize(
    ("spelled", "keys"),
    [
        ("cosine", {"shape": "cosine"}),
        ("(0.96,50)", {"shape": "exponential", "gamma": 0.96, "every": 50}),
        ((1.0, 50), {"shape": "exponential", "gamma": 1.0, "every": 50}),
        ({"shape": "linear", "to": 0.5}, {"shape": "linear", "to": 0.5}),
        (None, None),
    ],
)
@pytest.mark.parametrize("key", ["lr_schedule", "lr_sched"])
def test_spellings_of_a_schedule(key: str, spelled: Any, keys: dict[str, Any] | None) -> None:
    params = TrainingParams(**{key: spelled})
    assert params.lr_schedule == (None if keys is None else LearningRateSchedule(**keys))
    assert TrainingParams(**params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": "adagrad"}, "'adam', 'adamw' or 'sgd'"),
        ({"momentum": 0.9}, "`momentum` is for `optimizer: sgd`; adam has its own"),
        ({"optimizer": "adamw", "momentum": 0.9}, "adamw has its own"),
        ({"optimizer": "sgd", "momentum": 1.0}, "less than 1"),
        ({"weight_decay": -0.1}, "greater than or equal to 0"),
        ({"weight_decay": math.inf}, "finite"),
        ({"clip_grad_norm": 0}, "greater than 0"),
        ({"precision": "fp8"}, "'fp32', 'bf16' or 'fp16'"),
        ({"lr_schedule": "exponential"}, "the shape exponential needs `gamma`"),
        ({"lr_schedule": "cosin"}, "'exponential', 'step', 'cosine' or 'linear'"),
        ({"lr_schedule": {"shape": "cosine", "gamma": 0.9}}, "`gamma` means nothing to the shape cosine"),
        ({"lr_schedule": {"shape": "step", "gamma": 0.9, "to": 0.1}}, "`to` means nothing to the shape step"),
        ({"lr_schedule": {"shape": "step", "gamma": 1.5}}, "less than or equal to 1"),
        ({"lr_schedule": {"shape": "step", "gamma": 0.5, "every": 0}}, "greater than 0"),
        ({"lr_schedule": {"shape": "cosine", "to": 2}}, "less than or equal to 1"),
        ({"epochs": 5, "lr_schedule": {"shape": "cosine", "warmup": 5}}, "a warmup of 5 epochs leaves nothing of 5"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingParams(**wrong)


@pytest.mark.parametrize(
    ("wrong", "key", "mend"),
    [
        ({"optimizer": "adm"}, "`optimizer`", "did you mean 'adam'?"),
        ({"lr_schedule": {"shape": "cosine", "warmap": 3}}, "`lr_schedule.warmap`", "did you mean 'warmup'?"),
        ({"early_stopping": {"patiense": 3}}, "`early_stopping.patiense`", "did you mean 'patience'?"),
        ({"early_stopping": {"monitor": "loss"}}, "`early_stopping.patience`", "add `patience:` there"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest(wrong: dict[str, Any], key: str, mend: str, tmp_path: Any) -> None:
    with pytest.raises(UserError) as caught:
        validate(TrainingParams, wrong, Document(tmp_path / "a.yml", wrong))
    assert key in caught.value.what
    assert caught.value.mend == mend


class Watching(Noisy):
    """Notes in which type its linear layer answers."""

    kinds: set[torch.dtype]

    def loss(self, batch: Any) -> Tensor:
        self.kinds = {*getattr(self, "kinds", set()), self.mix(self.users[batch.users]).dtype}
        return super().loss(batch)


def watched(**params: Any) -> tuple[list[float], Watching]:
    seed_everything(1)
    model = Watching(training_data(GRAPH, 6))
    checked = TrainingParams(epochs=30, batch_size=4, lr=0.05, **params)
    return fit(model, checked, None, "", 1, lambda _: None).losses, model


def test_bf16_computes_the_loss_in_bf16_and_trains_float32_weights() -> None:
    losses, model = watched(precision="bf16")
    assert model.kinds == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    full, other = watched()
    assert other.kinds == {torch.float32}
    assert full != losses
    assert full[0] == pytest.approx(losses[0], rel=0.02)


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(UserError, match="`precision: fp16` needs a GPU") as caught:
        watched(precision="fp16")
    assert "bf16" in str(caught.value.mend)
    check_precision("bf16", CPU)
    check_precision("fp32", CPU)
    check_precision("fp16", torch.device("cuda"))


def test_fp16_scales_the_loss_and_leaves_out_steps_whose_gradients_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.loop.check_precision", lambda *_: None)
    clipped = {"optimizer": "sgd", "momentum": 0.9, "clip_grad_norm": 0.2}
    losses, model = watched(precision="fp16", **clipped)
    assert model.kinds == {torch.float16}
    assert losses == pytest.approx(watched(**clipped)[0], rel=0.05), "the gradient is clipped, not its multiple"
    # 65536 x 1e37 is more than a float32 holds: not one step is taken until the scale has come down
    for precision, steps in (("fp16", 0), ("fp32", 3)):
        counter = Counter({1: 1e37})
        params = TrainingParams(epochs=1, lr=1e-37, optimizer="sgd", precision=precision)  # type: ignore[arg-type]
        fit(counter, params, None, "", 1, lambda _: None)
        assert float(counter.weight.detach()) == pytest.approx(steps)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_trains_on_a_gpu(precision: Any) -> None:
    seed_everything(1)
    data = training_data(GRAPH, 6)
    moved = type(data)(data.n_users, data.n_items, data.indptr.cuda(), data.items.cuda(), {})
    model = Noisy(moved).cuda()
    params = TrainingParams(epochs=30, batch_size=4, lr=0.05, precision=precision, clip_grad_norm=1.0)
    losses = fit(model, params, None, "", 1, lambda _: None).losses
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
