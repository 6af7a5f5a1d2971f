"""Small catalogues on which every shipped model is proved, and how a model is trained and asked there."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch

import external.models
from benchmark.models.base import Features, MultimodalParams, Recommender, TrainedRecommender, TrainingData
from benchmark.models.registry import find_model, model_file
from benchmark.search.running import build
from benchmark.training.loop import Fit, fit
from workbench.config import legal_keys
from workbench.errors import UserError

ModelClass = type[Recommender]

DIMS = {"visual": 4, "textual": 3, "audio": 2}
ONE, TWO, THREE = ("visual",), ("textual", "visual"), ("visual", "textual", "audio")
SETS = [ONE, TWO, THREE]
SUBSETS = [ONE, ("textual",), ("audio",), ("visual", "textual"), TWO, ("visual", "audio"), ("textual", "audio"), THREE]

ITEMS_OF = [[0, 1, 3, 6], [1, 2], [2, 3, 4, 5], [0, 5], [4], [0, 2, 6]]
N_ITEMS = 9
NEW_ITEMS = (7, 8)  # without training rows, with features of every kind
UNKNOWN = {"visual": [3, 5], "textual": [4, 5], "audio": [0, 5]}  # item 5 has no features at all

SHORT = {"seed": 1, "epochs": 3, "batch_size": 4, "lr": 0.02}  # of training, where PARAMS do not say otherwise
CHANGES: dict[str, Any] = {  # another value for each key that all models share
    "seed": 7,
    "epochs": 4,
    "batch_size": 3,
    "lr": 0.05,
    "modalities": ("textual",),
    "loaders": ("TextualAttribute",),
    "optimizer": "sgd",
    "weight_decay": 0.5,
    "clip_grad_norm": 1e-6,
    "lr_schedule": {"shape": "step", "gamma": 0.1},
    "lr_sched": (0.1, 1),
    "early_stopping": {"patience": 1, "monitor": "loss", "min_delta": 100},
}
OF_THE_LOOP = {"momentum", "precision"}  # of sgd only; of matrix products only: see test_training_steps


@dataclass(frozen=True)
class Case:
    """A catalogue as arrays, for the literal derivations, and as what a model is given.

    Attributes
    ----------
    items_of : the training items of every user, ascending.
    features : (I, D) float32 by modality; rows that are not known are zero.
    known : (I,) bool by modality.
    """

    n_items: int
    items_of: Sequence[Sequence[int]]
    features: dict[str, np.ndarray] = field(default_factory=dict)
    known: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        return len(self.items_of)

    @cached_property
    def data(self) -> TrainingData:
        """In memory of its own."""
        indptr = torch.tensor([0, *np.cumsum([len(items) for items in self.items_of])])
        items = torch.tensor([item for items in self.items_of for item in items], dtype=torch.long)
        loaded = {
            name: Features(torch.from_numpy(values.copy()), torch.from_numpy(self.known[name].copy()))
            for name, values in self.features.items()
        }
        return TrainingData(self.n_users, self.n_items, indptr, items, loaded)

    @cached_property
    def interactions(self) -> np.ndarray:
        """(U, I) float64, 1 where the user has the item in training."""
        dense = np.zeros((self.n_users, self.n_items))
        for user, items in enumerate(self.items_of):
            dense[user, list(items)] = 1
        return dense

    def having(self, name: str, values: np.ndarray, known: np.ndarray | None = None) -> Case:
        """The same catalogue with other features of one modality."""
        known = self.known[name] if known is None else known
        return replace(self, features={**self.features, name: values}, known={**self.known, name: known})


@cache
def tiny(names: tuple[str, ...] = THREE) -> Case:
    """Six users and nine items, with the named modalities; one object, so that what is derived from it is shared."""
    rng = np.random.default_rng(11)
    features, known = {}, {}
    for name, dim in DIMS.items():
        known[name] = np.ones(N_ITEMS, dtype=bool)
        known[name][UNKNOWN[name]] = False
        features[name] = (rng.standard_normal((N_ITEMS, dim)) * known[name][:, None]).astype(np.float32)
    return Case(N_ITEMS, ITEMS_OF, {name: features[name] for name in names}, {name: known[name] for name in names})


def drawn(
    n_users: int, n_items: int, n_interactions: int, dims: dict[str, int], seed: int = 0, lacking: float = 0.1
) -> Case:
    """A random catalogue of any size; users and items without training rows occur."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, n_users * n_items, n_interactions))
    ends = np.searchsorted(pairs // n_items, np.arange(1, n_users))
    items_of = [part.tolist() for part in np.split(pairs % n_items, ends)]
    known = {name: rng.random(n_items) >= lacking for name in dims}
    features = {
        name: (rng.standard_normal((n_items, dim)) * known[name][:, None]).astype(np.float32)
        for name, dim in dims.items()
    }
    return Case(n_items, items_of, features, known)


# --- the models


def load_models() -> tuple[dict[str, ModelClass], dict[str, str]]:
    """The shipped models by the name of their class, and why a file gives none: one broken file hides no other."""
    models, broken = {}, {}
    for path in sorted(Path(external.models.__path__[0]).glob("[!_]*.py")):
        try:
            model = find_model(path.stem)
            models[model.__name__] = model
        except UserError as error:
            broken[path.name] = str(error)
    return models, broken


def is_trained(model: ModelClass) -> bool:
    return issubclass(model, TrainedRecommender)


def reads_features(model: ModelClass) -> bool:
    return issubclass(model.Params, MultimodalParams)


def derivation(model: ModelClass) -> ModuleType:
    """The literal derivation of a model, tests/external/derivations/<stem of its file>.py."""
    stem = model_file(model).stem
    path = Path(__file__).parent / "derivations" / f"{stem}.py"
    if not path.is_file():
        pytest.fail(f"{model.__name__} has no literal derivation: write {path} as its neighbours are written")
    module = importlib.import_module(f"derivations.{stem}")
    owed = ["PARAMS", "CHANGES", "scores", *(["loss"] if is_trained(model) else [])]
    absent = [name for name in owed if not hasattr(module, name)]
    if absent:
        pytest.fail(f"{path} defines no {absent[0]}")
    return module


def params_of(model: ModelClass, **changed: Any) -> dict[str, Any]:
    """The tiny configuration of a model."""
    short = SHORT if is_trained(model) else {"seed": SHORT["seed"]}
    return {**short, **derivation(model).PARAMS, **changed}


def variants(model: ModelClass) -> list[dict[str, Any]]:
    """The tiny configuration and those that its derivation covers besides."""
    return [params_of(model, **variant) for variant in ({}, *getattr(derivation(model), "VARIANTS", ()))]


def fresh(model: ModelClass, case: Case, params: dict[str, Any]) -> Any:
    """A model as a trial builds it; `params` is there for the derivation, if the model has no use for it."""
    checked = model.Params(**params)
    made: Any = build(model, checked, case.data)
    made.params = checked
    return made


def train(model: Any, **options: Any) -> Fit:
    """Train as the bench does, without validation unless `options` of `fit` say otherwise."""
    given = {"judge": None, "monitor": "", "every": 1, "report": lambda _: None, **options}
    return fit(model, model.params, **given)


def trained(model: ModelClass, case: Case, params: dict[str, Any]) -> Any:
    """A model after training, if it is one that trains."""
    made = fresh(model, case, params)
    if is_trained(model):
        train(made)
    return made.eval()


@torch.inference_mode()
def scores(model: Any, case: Case) -> torch.Tensor:
    """Scores (U, I) as the evaluation asks for them."""
    return model.eval().scorer()(torch.arange(case.n_users))


def result(model: ModelClass, case: Case, params: dict[str, Any]) -> torch.Tensor:
    """Scores (U, I) after training."""
    return scores(trained(model, case, params), case)


def keys_to_change(model: ModelClass) -> list[str]:
    """Every spelling of every key that has another value, and whose effect is not the training loop's."""
    fields = model.Params.model_fields
    return [key for key in legal_keys(model.Params) if key not in OF_THE_LOOP and not _single(fields.get(key))]


def _single(info: Any) -> bool:
    """A key of other systems with one legal value."""
    return info is not None and get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def around(model: ModelClass, key: str) -> dict[str, Any]:
    """The configuration in which a key is changed: the derivation's WITH says what else its effect needs."""
    return params_of(model, **getattr(derivation(model), "WITH", {}).get(key, {}))


def other_value(model: ModelClass, key: str) -> Any:
    """Another legal value of a key."""
    module = derivation(model)
    if key not in module.CHANGES and key not in CHANGES:
        pytest.fail(f"CHANGES in {module.__file__} names no other value of `{key}`, a key of {model.__name__}")
    return module.CHANGES.get(key, CHANGES.get(key))
