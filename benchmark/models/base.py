"""The contract between a model and the bench.

A model is given `TrainingData` (interactions and features on the device) and its own typed parameters. It owes a
`scorer`; a model that is trained also owes a sampler and a loss. It never touches files, devices or metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from pydantic import AliasChoices, ConfigDict, Field, FiniteFloat, PositiveFloat, field_validator, model_validator
from torch import Tensor, nn

from benchmark.data.dataset import Csr
from benchmark.data.modalities import Modality
from benchmark.kept import keep
from benchmark.models.lasting import lasting_property
from benchmark.models.portrait import Portrait
from benchmark.training.settings import EarlyStopping, LearningRateSchedule, NonNegative
from workbench.config import Settings, literal, nearest
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_array

Derived = TypeVar("Derived")
Scorer = Callable[[Tensor], Tensor]
Precision = Literal["fp32", "bf16", "fp16"]


class Diverged(Exception):
    """The loss or the scores of a model are no longer numbers."""


@dataclass(frozen=True)
class Features:
    """One modality on the device.

    Attributes
    ----------
    values : (I, D) float32, row = item.
    present : (I,) bool; False where no features were observed and the row holds what the `missing` policy put there.
    """

    values: Tensor
    present: Tensor

    @lasting_property
    def known(self) -> Tensor:
        """(I,) bool: the mask that models obey. False where there is nothing to read: no features were observed, and
        the policy left the row at zero. A row that a policy filled is read like any other."""
        known = self.present.clone()
        absent = (~self.present).nonzero().flatten()
        known[absent] = self.values[absent].any(dim=1)
        return known

    @cached_property
    def digest(self) -> str:
        """Hash of values and masks."""
        return fingerprint([sha256_array(each.cpu().numpy()) for each in (self.values, self.present)])


@dataclass(frozen=True)
class TrainingData:
    """What every model is given.

    Attributes
    ----------
    n_users, n_items : sizes of the universe; users and items are numbered from 0.
    indptr, items : the training part as CSR, int64; user u has `items[indptr[u]:indptr[u + 1]]`, ascending.
    features : the modalities of the experiment by name.
    store : the folder of what lasts longer than this process, None for nothing.
    """

    n_users: int
    n_items: int
    indptr: Tensor
    items: Tensor
    features: Mapping[str, Features]
    store: Path | None = None
    _derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def derived(self, key: str, make: Callable[[], Derived]) -> Derived:
        """What `make` returns, made once for all trials on this data.

        Parameters
        ----------
        key : names everything that it depends on besides the interactions: hashes of features, options.
        """
        if key not in self._derived:
            with torch.inference_mode(False):
                self._derived[key] = make()
        made: Derived = self._derived[key]
        return made

    def kept(self, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors that `make` returns, made once for all processes and all later runs on this data set.

        Parameters
        ----------
        key : names everything that they depend on: hashes of features, options, the code that makes them, and of the
            interactions, where they matter.
        """

        def found() -> dict[str, Tensor]:
            made = make() if self.store is None else keep(self.store, key, make)
            return {name: value.to(self.device) for name, value in made.items()}

        return self.derived(f"kept {key}", found)

    @property
    def device(self) -> torch.device:
        return self.items.device

    def take_modalities(self, names: tuple[str, ...] | None) -> dict[str, Features]:
        """The named modalities, or all of them.

        Raises
        ------
        UserError : one of them is not loaded, or none is.
        """
        wanted = choose_modalities(tuple(self.features), names)
        return {name: self.features[name] for name in wanted}


def choose_modalities(loaded: tuple[str, ...], wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of the modalities that a model reads: those that it wants, or all that are loaded.

    Raises
    ------
    UserError : one of them is not loaded or named twice, or there is none.
    """
    names = loaded if wanted is None else wanted
    if not names and loaded:
        raise UserError("`modalities` names none", mend="name one, or leave `modalities` out")
    if not names:
        raise UserError(
            "the model reads features, and none are loaded",
            mend="add a loader to `side_information`, or take the model out where there are no features",
        )
    for name in names:
        if name not in loaded:
            raise UserError(f"the model wants the modality {name!r}", mend=_remedy(name, loaded))
        if names.count(name) > 1:
            raise UserError(f"the modality {name!r} is named twice", mend="name it once")
    return names


def _remedy(name: str, loaded: tuple[str, ...]) -> str:
    """For the name of a modality that is not loaded."""
    if name.startswith("("):  # a tuple that is none, as its names are not quoted
        names = tuple(re.findall(r"[^()\s,'\"]+", name))
        return f'quote the names of a tuple: "{names}"'
    near = nearest(name, loaded)
    if near.startswith("did you mean"):
        return near
    return f"add a loader for it to `side_information`; loaded: {', '.join(loaded) or 'none'}"


@dataclass(frozen=True)
class Histories:
    """What users are known to have done, where that is not in the training part (fold-in).

    Attributes
    ----------
    indptr, items : CSR, int64; user u is shown with `items[indptr[u]:indptr[u + 1]]`, ascending.
    """

    indptr: Tensor
    items: Tensor


def device_histories(shown: Csr, n_items: int, device: torch.device) -> Histories:
    """Put fold-in rows on a device; rows of items that are no candidates are left out."""
    known = shown.items < n_items
    kept = Csr.build(shown.users[known], shown.items[known], shown.values[known], len(shown.indptr) - 1)
    return Histories(torch.from_numpy(kept.indptr).to(device), torch.from_numpy(kept.items).to(device))


def device_data(
    n_users: int,
    n_items: int,
    train: Csr,
    modalities: list[Modality],
    device: torch.device,
    store: Path | None = None,
) -> TrainingData:
    """Put a training part and features on a device, once an experiment."""
    features = {
        modality.name: Features(
            torch.from_numpy(modality.features).to(device), torch.from_numpy(modality.present).to(device)
        )
        for modality in modalities
    }
    indptr, items = (torch.from_numpy(array).to(device) for array in (train.indptr, train.items))
    return TrainingData(n_users, n_items, indptr, items, features, store)


class Params(Settings):
    """Parameters of a model without training; `seed` drives whatever it draws."""

    model_config = ConfigDict(allow_inf_nan=False)

    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 42  # what generators take


class TrainingParams(Params):
    """Parameters of every trained model, under Elliot's names and defaults; docs/training.md has the formulas.

    epochs : passes; a pass draws as many samples as there are training interactions.
    batch_size : samples a step; -1 means all of them.
    lr : learning rate; lr_schedule : how it changes from epoch to epoch.
    weight_decay : inside the gradient (adam, sgd) or apart from it (adamw).
    momentum : of sgd.
    clip_grad_norm : largest norm of the gradient of all weights together.
    precision : in which the loss is computed; weights are float32 always.
    early_stopping : when training ends before the last epoch.
    """

    epochs: int = 2
    batch_size: int = -1
    lr: PositiveFloat = 1e-3
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: NonNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_grad_norm: Annotated[FiniteFloat, Field(gt=0)] | None = None
    precision: Precision = "fp32"
    lr_schedule: LearningRateSchedule | None = Field(
        default=None, validation_alias=AliasChoices("lr_schedule", "lr_sched")
    )
    early_stopping: EarlyStopping | None = None

    @field_validator("epochs")
    @classmethod
    def _at_least_one(cls, value: int) -> int:
        if value < 1:
            raise ValueError("should be at least 1")
        return value

    @field_validator("batch_size")
    @classmethod
    def _all_or_some(cls, value: int) -> int:
        if value < 1 and value != -1:
            raise ValueError("should be at least 1, or -1 for all samples at once")
        return value

    @field_validator("lr_schedule", mode="before")
    @classmethod
    def _spelled_schedule(cls, value: Any) -> Any:
        """A shape that needs no keys by its name, and the pair (gamma, every) that BM3 and FREEDOM are given."""
        value = literal(value)
        if isinstance(value, tuple) and len(value) == 2:
            return {"shape": "exponential", "gamma": value[0], "every": value[1]}
        return {"shape": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fit_together(self) -> TrainingParams:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"`momentum` is for `optimizer: sgd`; {self.optimizer} has its own")
        if self.lr_schedule is not None and self.lr_schedule.warmup >= self.epochs:
            raise ValueError(f"a warmup of {self.lr_schedule.warmup} epochs leaves nothing of {self.epochs}")
        return self

    def notice(self) -> str | None:
        """What should be told, once a row, of these parameters; they are legal all the same."""
        return None

    def learning_rate(self, epoch: int) -> float:
        """Of an epoch, counted from 1."""
        return self.lr if self.lr_schedule is None else self.lr * self.lr_schedule.factor(epoch, self.epochs)


class MultimodalParams(Settings):
    """Which modalities a model reads: `modalities` by name, or Elliot's `loaders`; by default all that are loaded."""

    modalities: tuple[str, ...] | None = None
    loaders: tuple[str, ...] | None = None

    @field_validator("modalities", "loaders", mode="before")
    @classmethod
    def _spelled_names(cls, value: Any) -> Any:
        value = literal(value)
        return (value,) if isinstance(value, str) else value

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """Names of the modalities to read, None for all."""
        from_loaders = None
        if self.loaders is not None:
            from_loaders = tuple(name.removesuffix("Attribute").lower() for name in self.loaders)
        if self.modalities is not None and from_loaders is not None and self.modalities != from_loaders:
            raise UserError(
                f"`modalities` {self.modalities} and `loaders` {self.loaders} name different modalities",
                mend="make them agree, or leave `loaders` out",
            )
        return self.modalities if self.modalities is not None else from_loaders

    def check_modalities(self, names: tuple[str, ...]) -> None:
        """Called before any training with the names of the modalities that the model will read; the place to refuse
        a parameter that has not one value for each of them.

        Raises
        ------
        UserError : the parameters do not fit these modalities.
        """


class Recommender(nn.Module):
    """A model. `Params` types its parameters; `without_effect` names accepted keys that change nothing, and why."""

    Params: ClassVar[type[Params]] = Params
    without_effect: ClassVar[Mapping[str, str]] = {}
    scores_new_items: ClassVar[bool] = False  # whether items without training rows are scored by their features

    def scorer(self) -> Scorer:
        """A function from user numbers (B,) to scores (B, I), for the weights as they are now.

        The scores are a tensor of their own, not a part of something that is kept: the ranking writes its mask to them.

        Whatever is the same for all users (a propagation, a projection of the items) is computed here, once.
        """
        raise NotImplementedError

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        """As `scorer`, for users without training rows, of whom `histories` holds what is known.

        Raises
        ------
        UserError : the model has no way to recommend to such users (by default).
        """
        raise UserError(
            f"{type(self).__name__} has weights for training users only, and cannot recommend to others",
            mend="take it out of this experiment, or split so that every user has training rows",
        )

    def score(self, users: Tensor) -> Tensor:
        """Scores (B, I) of all items for the users (B,)."""
        return self.scorer()(users)

    def portrait(self) -> Portrait | None:
        """What the report shows of the model beside its figures; None for nothing.

        Asked for once, of the chosen configuration under its first seed, in evaluation mode and without gradients. The
        model was made anew and its `state_dict` put in: what a portrait tells of the training must be in there.
        """
        return None


class TrainedRecommender(Recommender):
    """A model with weights.

    So that training which was cut short can go on bit for bit, a model draws from the generator that it is given or
    from torch's global one, and from one epoch to the next it and its sampler keep nothing but its `state_dict`: what
    else must last is a buffer, and what `on_epoch_start` makes is made from these and the number of the epoch.
    """

    Params: ClassVar[type[Params]] = TrainingParams

    def sampler(self) -> Any:
        """Where the batches come from; see `benchmark.models.samplers`."""
        raise NotImplementedError

    def loss(self, batch: Any) -> Tensor:
        """The scalar to minimise over one batch of the sampler."""
        raise NotImplementedError

    def undecayed(self) -> Iterable[nn.Parameter]:
        """Weights that `weight_decay` does not reach."""
        return ()

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        """Called before the batches of epoch 1, 2, ...; the place for redrawn graphs and schedules."""


class DotProductRecommender(TrainedRecommender):
    """A model whose scores are inner products of a vector of the user and a vector of the item."""

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Users (U, F) and items (I, F) under the present weights, from one propagation."""
        raise NotImplementedError

    def scorer(self) -> Scorer:
        return dot_product_scorer(*self.vectors())


def dot_product_scorer(users: Tensor, items: Tensor) -> Scorer:
    """Scores as inner products of user vectors (U, F) and item vectors (I, F)."""
    transposed = items.t().contiguous()
    return lambda block: users[block] @ transposed
