"""What single multimodal models say and do beyond what holds for all (test_zoo)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from external_cases import graph, make
from pydantic import ValidationError
from zoo_cases import is_trained, load_models, reads_features, tiny

from external.models.grcn import GRCN
from external.models.mmgcn import MMGCN
from workbench.errors import UserError

MODELS, _ = load_models()
NAMES = ("visual", "textual", "audio")


@pytest.mark.parametrize(
    "name", [name for name, model in MODELS.items() if reads_features(model) and is_trained(model)]
)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_items_without_features_stay_finite_in_half_precision(name: str, precision: torch.dtype) -> None:
    """Item 5 is a row of zeros, by whose length fp16 cannot divide: its smallest number is too large."""
    case = tiny()
    small = {"factors": 4} if "factors" in MODELS[name].Params.model_fields else {"dfac": 4, "kfac": 2}
    model = make(name, case.data, **small)
    batch = next(iter(model.sampler().batches(20, torch.Generator().manual_seed(0))))
    with torch.autocast("cpu", dtype=precision):
        loss = model.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("MMGCN", "factors_multimod", "(256, None)", "has 2 sizes for 3 modalities (visual, textual, audio)"),
        ("SMORE", "top_k", "(5, 5)", "has 2 sizes for 3 modalities"),
        ("MMGCL", "mask_p", "(0.5, 0.5)", "has 2 probabilities for 3 modalities"),
        ("MMGCL", "mask_p", "(0, 0, 0)", "is 0 for every modality"),
        ("FREEDOM", "mw", "(1, 0, 0, 0)", "has 4 weights for 3 modalities"),
        ("DRAGON", "mw", "(0, 0, 0)", "is 0 for every modality"),
    ],
)
def test_a_value_is_wanted_for_every_modality(name: str, key: str, value: str, said: str) -> None:
    """Before training, and of a model that is built by itself."""
    params: Any = MODELS[name].Params(**{key: value})
    for check in (lambda: params.check_modalities(NAMES), lambda: make(name, tiny().data, **{key: value})):
        with pytest.raises(UserError, match=re.escape(f"`{key}` {said}")):
            check()
    MODELS[name].Params().check_modalities(NAMES)  # type: ignore[attr-defined]
    MODELS[name].Params(**{key: "(1, 2, 3)"}).check_modalities(NAMES)  # type: ignore[attr-defined]


def test_sizes_of_mmgcn() -> None:
    assert MMGCN.Params(factors_multimod="(256, None)").factors_multimod == (256, None)
    with pytest.raises(ValidationError):
        MMGCN.Params(factors_multimod=0)


def test_grcn_averages_vectors_of_one_size_only() -> None:
    with pytest.raises(ValidationError, match="make `factors_multimod` equal to `factors`"):
        GRCN.Params(fusion="mean")
    GRCN.Params(fusion="mean", factors=128)


def test_grcn_learns_the_weights_of_edges() -> None:
    """Features, preferences and confidences reach the loss through the edges alone where only ids are compared."""
    model: Any = make("GRCN", tiny().data, factors=4, fusion="id")
    model.loss(next(iter(model.sampler().batches(20, torch.Generator().manual_seed(0))))).backward()
    for weight in (model.confidences, *model.preferences, *(each.weight for each in model.projections.maps)):
        assert weight.grad.abs().max() > 1e-6


def test_original_vbpr_does_not_depend_on_the_scale_of_features() -> None:
    plain = tiny(("visual",))
    larger = plain.having("visual", np.float32(1024) * plain.features["visual"])
    one, other = (make("OriginalVBPR", case.data, factors=4) for case in (plain, larger))
    torch.testing.assert_close(one.features, other.features)


@pytest.mark.parametrize("name", ["SGL", "SimGCL", "MGCN", "LGMRec", "SLMRec", "MMGCL", "SMORE"])
def test_batches_of_contrastive_models_are_bounded_unless_more_is_asked_for(name: str) -> None:
    params: Any = MODELS[name].Params
    assert (params().batch_size, params(batch_size=-1).batch_size) == (2048, -1)
    with pytest.raises(ValidationError):
        params(batch_size=0)


@pytest.mark.parametrize(("name", "key"), [("DualGNN", "top_k"), ("DRAGON", "top_k_users")])
def test_no_more_users_are_joined_than_share_items(name: str, key: str) -> None:
    """User 0 shares items with users 2 and 3, which is the most; user 1 with nobody."""
    model = make(name, graph({"visual": 4}), factors=4, **{key: 1_000_000})
    assert model.co_occurrence.users.shape == (4, 2)
