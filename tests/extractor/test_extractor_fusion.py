from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import Run

from extractor.fusion import fuse
from workbench.errors import UserError

Tiny = Callable[[str], Path]
BY_HAND = {
    "sum": lambda first, second: first + second,
    "mul": lambda first, second: first * second,
    "mean": lambda first, second: (first + second) / 2,
    "concat": lambda first, second: np.concatenate([first, second], axis=1),
}


def clip(tiny: Tiny, **keys: Any) -> dict[str, Any]:
    return {"model_name": str(tiny("clip")), "backend": "transformers", "output_layers": 1, "batch_size": 3, **keys}


@pytest.mark.parametrize("fusion", list(BY_HAND))
def test_fused_rows_are_those_of_the_same_item(run: Run, tiny: Tiny, catalogue: Path, fusion: str) -> None:
    visual, textual = run(joined=[clip(tiny)])
    (table,) = run(joined=[clip(tiny, fusion=fusion)])
    for item in table.ids:
        expected = BY_HAND[fusion](visual.gather([item])[0], textual.gather([item])[0])
        np.testing.assert_allclose(table.gather([item])[0], expected, atol=1e-6)
        np.testing.assert_allclose(np.load(table.path / f"{item.replace('../x', '%2E.%2Fx')}.npy"), expected, atol=1e-6)
    assert table.path == catalogue / f"vis_txt_{fusion}" / "transformers" / "tiny-clip" / "1"
    assert table.manifest["recipe"]["side"] == "visual_textual"


def test_a_batch_of_one_is_fused_too(run: Run, tiny: Tiny) -> None:
    many = np.array(run(joined=[clip(tiny, fusion="sum")])[0].matrix)
    (one,) = run(joined=[clip(tiny, fusion="sum", batch_size=1, output_layers=2)])
    np.testing.assert_allclose(one.matrix, many, atol=1e-6)


def test_fusion_of_the_whole_source_and_of_one_model(run: Run, tiny: Tiny, catalogue: Path) -> None:
    run(joined=[clip(tiny), clip(tiny, fusion="mul")])
    tables = run(joined=[clip(tiny), clip(tiny, fusion="mul")], overrides={"visual_textual.items.fusion": "mean"})
    assert [table.path.parts[-4] for table in tables] == ["vis_txt_mean", "vis_txt_mul"]


def test_layers_of_two_sizes_need_concat(run: Run, tiny: Tiny) -> None:
    layers = ["image_embeds", "text_model_output.pooler_output"]
    with pytest.raises(UserError, match=r"extract.yml:\d+: `fusion: sum` of 6 and 32 values\n.*`fusion: concat`"):
        run(joined=[clip(tiny, fusion="sum", output_layers=layers)])
    (table,) = run(joined=[clip(tiny, fusion="concat", output_layers=layers)])
    assert table.dim == 38
    assert table.path.name == "image_embeds_text_model_output.pooler_output"


def test_maps_are_laid_out_flat() -> None:
    first, second = np.ones((1, 2, 3)), np.ones((1, 6))
    assert fuse(first, second, "sum", "").shape == (1, 6)
    assert fuse(first, second, "concat", "").dtype == np.float32


@pytest.mark.parametrize("fusion", [["sum"], "add", ""])
def test_unknown_fusions(run: Run, tiny: Tiny, fusion: Any) -> None:
    with pytest.raises(UserError, match=r"visual_textual.items.model.0.fusion"):
        run(joined=[clip(tiny, fusion=fusion)])


def test_fusion_has_no_place_in_a_source_of_one_side(run: Run, tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"unknown key `visual.items.model.0.fusion`"):
        run(visual=[{**clip(tiny, fusion="sum"), "output_layers": "pooler_output"}])
