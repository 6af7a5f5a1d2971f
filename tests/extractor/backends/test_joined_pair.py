from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS, TFIDF, Run

from workbench.errors import UserError

MFCC = {"model_name": "mfcc", "backend": "classical", "output_layers": "mfcc"}
PAIR = {"model_name": "descriptors + mfcc", "backend": "classical", "output_layers": ["colour", "mfcc"]}


def test_both_tables_are_those_of_the_sides(run: Run, sounds: Any) -> None:
    colours, cepstra = run(visual=[DESCRIPTORS], audio=[MFCC])
    visual, audio = run(visual_audio=[PAIR])
    np.testing.assert_array_equal(visual.matrix, colours.gather(visual.ids)[0])
    np.testing.assert_array_equal(audio.matrix, cepstra.gather(audio.ids)[0])
    assert visual.path.parts[-4:] == ("vis", "classical", "descriptors + mfcc", "colour")
    assert audio.path.parts[-4:] == ("aud", "classical", "descriptors + mfcc", "mfcc")


def test_fusion_by_item(run: Run, sounds: Any) -> None:
    visual, audio = run(visual_audio=[PAIR])
    first, second = np.array(visual.matrix), np.array(audio.matrix)
    (table,) = run(visual_audio=[{**PAIR, "fusion": "concat", "batch_size": 1}])
    np.testing.assert_array_equal(table.matrix, np.concatenate([first, second], axis=1))
    assert table.path.parts[-4:] == ("vis_aud_concat", "classical", "descriptors + mfcc", "colour_mfcc")


def test_texts_are_fitted_on_the_pairs(run: Run, sounds: Any) -> None:
    pair = {"model_name": "mfcc + tfidf", "backend": "classical", "output_layers": ["logmel", "tfidf_svd"], "dim": 2}
    audio, textual = run(audio_textual=[pair])
    assert (audio.dim, textual.dim) == (80, 2)
    assert list(textual.ids) == ["../x", "a", "b.v1", "c"]
    (textual,) = run(audio_textual=[{**pair, "fusion": "concat"}])
    assert textual.dim == 82


def test_two_models_of_the_transformers_library(
    run: Run, sounds: Any, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "vit").symlink_to(tiny("vit"))
    (tmp_path / "wav2vec2").symlink_to(tiny("wav2vec2"))
    keys = {"backend": "transformers", "pooling": "mean"}
    visual, audio = run(
        visual_audio=[{**keys, "model_name": "vit + wav2vec2", "output_layers": -1}], weights_root=tmp_path
    )
    alone = run(
        visual=[{**keys, "model_name": "vit", "output_layers": -1}],
        audio=[{**keys, "model_name": "wav2vec2", "output_layers": -1}],
        weights_root=tmp_path,
    )
    for table, expected in zip((visual, audio), alone, strict=True):
        np.testing.assert_allclose(table.matrix, expected.gather(table.ids)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_name": "descriptors"}, r"should name a model for each side of visual_audio\n.*descriptors \+ mfcc"),
        ({"model_name": "mfcc + descriptors"}, "no visual model 'mfcc'"),
        ({"tokenizer_name": "x"}, "`tokenizer_name` has no effect with descriptors"),
        ({"fusion": "sum"}, r"`fusion: sum` of \d+ and 80 values\n.*`fusion: concat`"),
        ({"fusion": ["sum"]}, "fusion"),
    ],
)
def test_refusals(run: Run, sounds: Any, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(visual_audio=[{**PAIR, **keys}])


def test_images_and_texts(run: Run) -> None:
    (textual,) = run(textual=[TFIDF])
    pair = {"model_name": "descriptors+tfidf", "backend": "classical", "output_layers": ["joint", "tfidf_svd"]}
    visual, words = run(joined=[{**pair, "dim": 2}])
    assert (visual.dim > 100, words.dim, textual.dim) == (True, 2, 3)
