"""What single multimodal models say and do beyond what holds for all (test_zoo)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from external_cases import make
from pydantic import ValidationError
from zoo_cases import tiny

from external.models.grcn import GRCN
from external.models.mmgcn import MMGCN
from workbench.errors import UserError


@pytest.mark.parametrize("name", ["VBPR", "LightGCNM", "MMGCN", "GRCN"])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_items_without_features_stay_finite_in_half_precision(name: str, precision: torch.dtype) -> None:
    """Item 5 is a row of zeros, whose length the smallest number of fp16 does not keep from zero."""
    case = tiny()
    model = make(name, case.data, factors=4)
    batch = next(iter(model.sampler().batches(20, torch.Generator().manual_seed(0))))
    with torch.autocast("cpu", dtype=precision):
        loss = model.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_mmgcn_wants_a_size_for_every_modality() -> None:
    with pytest.raises(UserError, match="has 2 sizes for the 3 modalities visual, textual, audio"):
        make("MMGCN", tiny().data, factors_multimod="(256, None)")
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
