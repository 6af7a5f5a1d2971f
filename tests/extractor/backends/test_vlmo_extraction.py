"""A saved random VLMo: reading checkpoints, and the way through the encoder and the pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import TEXTS, Run
from PIL import Image

from extractor.backends import REGISTRY
from extractor.backends.base import Surroundings
from extractor.backends.beit3.reading import Batch
from extractor.backends.joined_vlmo import Backend
from extractor.backends.vlmo.model import BASE, BASE_PLUS, LARGE, Sizes, Vlmo
from extractor.backends.vlmo.weights import load_vlmo, sizes_of
from extractor.config import JoinedModel
from extractor.layers import Layer
from workbench.errors import UserError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "kettle", "of", "steel", "lamp", "##s", "chair", "."]
SIZES = Sizes(
    width=64, depth=3, heads=4, hidden=48, joint_from=2, relative=True, scaled=True, patch=8, grid=3,
    vocabulary=len(WORDS),
)  # fmt: skip
PLUS = replace(SIZES, heads=1, relative=False, scaled=False, joint_from=1)
FILES = {"../x": "%2E.%2Fx.png", "a": "a.png", "b.v1": "b.v1.png", "c": "c.png"}
BLOCK = {"model_name": "vlmo_tiny", "backend": "vlmo", "output_layers": "itc", "batch_size": 3}
State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for modality, module in (("visual", "visual"), ("textual", "textual"), ("visual_textual", "joined")):
        monkeypatch.setitem(REGISTRY, (modality, "vlmo"), f"{module}_vlmo")


def published_state(sizes: Sizes) -> State:
    """What a checkpoint of these sizes holds: the model, and all that is to be passed over."""
    torch.manual_seed(0)
    state = {name: value + 0.05 * torch.randn_like(value) for name, value in Vlmo(sizes).state_dict().items()}
    state["text_embeddings.position_embeddings.weight"] = torch.randn(196, sizes.width)
    state["text_embeddings.position_ids"] = torch.arange(196)[None]
    state |= {"logit_scale": torch.ones(()), "itm_score.fc.weight": torch.ones(2, 64), "mlm_score.bias": torch.ones(3)}
    if sizes.relative:
        state["relative_position_index"] = torch.zeros(10, 10, dtype=torch.long)
        state["text_imag_relative_position_index"] = torch.zeros(50, 50, dtype=torch.long)
    return state


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights root with WordPiece vocabulary and two checkpoints, relative and absolute."""
    root = tmp_path_factory.mktemp("root")
    (root / "bert-base-uncased").mkdir()
    (root / "bert-base-uncased" / "vocab.txt").write_text("\n".join(WORDS))
    torch.save({"state_dict": published_state(SIZES)}, root / "vlmo_tiny.pt")
    torch.save({"module": {f"module.{k}": v for k, v in published_state(PLUS).items()}}, root / "vlmo_tiny_plus.pt")
    return root


def vectors_by_hand(catalogue: Path, root: Path, item: str, route: str, name: str = "vlmo_tiny") -> torch.Tensor:
    """(T, d) after the last LayerNorm."""
    from transformers import BertTokenizerFast  # type: ignore[attr-defined]

    model = load_vlmo(root / f"{name}.pt").eval()
    with Image.open(catalogue / "images" / FILES[item]) as image:
        values = (np.asarray(image.resize((24, 24), Image.Resampling.BICUBIC)) / 255 - 0.5) / 0.5
    tokenizer = BertTokenizerFast.from_pretrained(root / "bert-base-uncased")
    tokens = tokenizer(TEXTS[item], truncation=True, max_length=40)["input_ids"]
    batch = Batch(torch.tensor(values.transpose(2, 0, 1)[None], dtype=torch.float32), torch.tensor([tokens]))
    with torch.no_grad():
        *_, last = model.states(route, batch)
        return model.finish(route, last, batch)[0]


# ---------------------------------------------------------------------------------------------------------------
# checkpoints
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [BASE, BASE_PLUS, LARGE], ids=["base", "base_plus", "large"])
def test_published_sizes_are_recognised(sizes: Sizes) -> None:
    with torch.device("meta"):
        state = Vlmo(sizes).state_dict()
    assert sizes_of(state, Path("vlmo.pt")) == sizes


@pytest.mark.parametrize("sizes", [SIZES, PLUS], ids=["relative", "absolute"])
def test_what_is_passed_over_and_what_is_cut(tmp_path: Path, sizes: Sizes, log: list[str]) -> None:
    state = published_state(sizes)
    torch.save({"model": state}, tmp_path / "tiny.pt")
    model = load_vlmo(tmp_path / "tiny.pt")
    assert model.sizes == sizes
    assert not [line for line in log if line.startswith("WARNING")]
    stored = model.state_dict()
    positions = stored.pop("text_embeddings.position_embeddings.weight", None)
    assert (positions is None) is sizes.relative
    if positions is not None:
        assert torch.equal(positions, state["text_embeddings.position_embeddings.weight"][:40])
    for name, value in stored.items():
        assert torch.equal(value, state[name])
    torch.save({"state_dict": {**state, "rank_output.weight": torch.ones(1)}, "model": {}}, tmp_path / "tiny.pt")
    load_vlmo(tmp_path / "tiny.pt")
    assert any("1 tensors are not used: rank_output.weight" in line for line in log)


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    def refused(change: State, *without: str, sizes: Sizes = SIZES) -> str:
        state = {name: value for name, value in {**published_state(sizes), **change}.items() if name not in without}
        torch.save(state, tmp_path / "tiny.pt")
        with pytest.raises(UserError) as caught:
            load_vlmo(tmp_path / "tiny.pt")
        return str(caught.value)

    assert "no VLMo checkpoint: it has no `transformer.pos_embed`" in refused({}, "relative_position_bias_table")
    key = "transformer.blocks.2.norm2_vl.bias"
    assert f"it has no `{key}`" in refused({}, key)
    assert f"`{key}` is (8,) where (64,) was expected" in refused({key: torch.ones(8)})
    key = "relative_position_bias_table"
    assert f"`{key}` is (1000, 12) where a table for a square" in refused({key: torch.ones(1000, 12)})
    assert f"`{key}` is (413, 12) where (2g - 1)^2 + 3" in refused({key: torch.ones(397 + 16, 12)})
    assert f"`{key}` is (422, 13) where a number of columns" in refused({key: torch.ones(397 + 25, 13)})
    assert "no VLMo has relative and absolute" in refused({"transformer.pos_embed": torch.ones(1, 10, 64)})
    key = "token_type_embeddings.weight"
    assert f"`{key}` is (3, 64) where (2, 64)" in refused({key: torch.ones(3, 64)}, sizes=PLUS)


# ---------------------------------------------------------------------------------------------------------------
# the pipeline
# ---------------------------------------------------------------------------------------------------------------


def test_separate_features_in_both_tables(run: Run, root: Path, catalogue: Path) -> None:
    visual, textual = run(joined=[BLOCK], weights_root=root)
    assert visual.path == catalogue / "vis" / "vlmo" / "vlmo_tiny" / "itc"
    assert textual.path == catalogue / "txt" / "vlmo" / "vlmo_tiny" / "itc"
    state = published_state(SIZES)
    for item in FILES:
        for table, side in ((visual, "image"), (textual, "text")):
            first = vectors_by_hand(catalogue, root, item, side)[0]
            expected = state[f"itc_{side}_proj.fc.weight"] @ first
            np.testing.assert_allclose(table.gather([item])[0][0], expected / expected.norm(), atol=1e-5)
    backbone = textual.manifest["backbone"]
    assert (backbone["positions"], backbone["vl_from"], backbone["heads"]) == ("relative", 2, 4)


@pytest.mark.parametrize("name", ["vlmo_tiny", "vlmo_tiny_plus"])
def test_joint_features_in_both_tables(run: Run, root: Path, catalogue: Path, name: str) -> None:
    block = {**BLOCK, "model_name": name, "output_layers": ["joint_cls", "joint_mean"]}
    visual, textual = run(joined=[block], weights_root=root)
    for item in FILES:
        vectors = vectors_by_hand(catalogue, root, item, "joint", name)
        np.testing.assert_allclose(visual.gather([item])[0][0], vectors[-10], atol=1e-5)  # 9 patches after it
        np.testing.assert_allclose(textual.gather([item])[0][0], vectors[1:-10].mean(0), atol=1e-5)
    (pooled, same) = run(joined=[{**block, "output_layers": "joint_pooled"}], weights_root=root)
    np.testing.assert_array_equal(pooled.matrix, same.matrix)
    separate = run(joined=[{**block, "output_layers": ["cls", "mean"]}], weights_root=root)
    for joint, alone in zip((visual, textual), separate, strict=True):
        assert np.abs(joint.matrix - alone.matrix).max() > 1e-3


def test_each_side_alone_gives_what_the_joined_model_gives(run: Run, root: Path) -> None:
    several = {**BLOCK, "output_layers": ["itc", "itc_vl", "cls", "mean", 1, -1]}
    tables = run(visual=[several], textual=[{**several, "batch_size": 1}], weights_root=root)
    assert [table.path.name for table in tables] == ["itc", "itc_vl", "cls", "mean", "1", "-1"] * 2
    for place, name in enumerate(("itc", "itc_vl")):
        for table, expected in zip(
            (tables[place], tables[6 + place]), run(joined=[{**BLOCK, "output_layers": name}], weights_root=root),
            strict=True,
        ):  # fmt: skip
            items = list(FILES)
            np.testing.assert_allclose(table.gather(items)[0], expected.gather(items)[0], atol=1e-5)
    assert np.abs(tables[0].matrix - tables[1].matrix).max() > 1e-3
    assert len(tables[6].ids) == len(TEXTS)


def test_all_layers_of_one_start_take_five_passes(root: Path, catalogue: Path) -> None:
    encoder = Backend(
        JoinedModel(model_name="vlmo_tiny", backend="vlmo", output_layers="x"), Surroundings("here", root)
    )
    names = ["itc", "itc_vl", "cls", "mean", "1", "joint_cls", "joint_mean", "joint_0", "joint_-1", "joint_pooled"]
    layers = [Layer(side, name) for side in ("visual", "textual") for name in names]
    encoder.start(layers)
    passes: list[int] = []
    encoder._model.transformer.blocks[0].register_forward_hook(lambda *_: passes.append(1))  # type: ignore[attr-defined]
    with Image.open(catalogue / "images" / "a.png") as image:
        values = encoder.encode([encoder.prepare((image, TEXTS["a"]))])
    assert len(passes) == 5
    assert {layer: rows.shape for layer, rows in values.items()} == dict.fromkeys(layers, (1, 64))


def test_long_texts_are_cut_at_forty_tokens(run: Run, root: Path, catalogue: Path) -> None:
    from extractor_cases import write_texts

    texts = {"cut": "red kettle " * 19 + "lamp lamp lamp", "same": "red kettle " * 19 + "chair", "short": "lamp"}
    write_texts(catalogue / "meta.tsv", texts)
    (table,) = run(textual=[{**BLOCK, "output_layers": "cls"}], weights_root=root)
    cut, same, short = (table.gather([item])[0] for item in texts)
    np.testing.assert_allclose(cut, same, atol=1e-6)
    assert np.abs(cut - short).max() > 1e-2


def test_layers_and_tokenizers_that_do_not_fit(run: Run, root: Path, tmp_path: Path) -> None:
    def refused(layers: Any, **keys: Any) -> str:
        with pytest.raises(UserError) as caught:
            run(joined=[{**BLOCK, "output_layers": layers, **keys}], weights_root=root)
        return str(caught.value)

    assert "vlmo_tiny has no layer 'itcc'" in refused("itcc")
    assert "did you mean 'joint_pooled'?" in refused("joint_pooler")
    without = {name: value for name, value in published_state(SIZES).items() if not name.startswith("itc_vl")}
    torch.save(without, tmp_path / "plain.pt")
    assert "the checkpoint has no itc_vl_text_proj.fc.weight" in refused("itc_vl", weights=str(tmp_path / "plain.pt"))
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "vocab.txt").write_text("\n".join(WORDS[:-1]))
    message = refused("itc", tokenizer_name=str(tmp_path / "words"))
    assert f"a vocabulary of {len(WORDS) - 1} words, and the checkpoint has {len(WORDS)}" in message
    (tmp_path / "empty").mkdir()  # transformers makes a tokenizer of special tokens alone of it
    assert "a vocabulary of 5 words" in refused("itc", tokenizer_name=str(tmp_path / "empty"))


def test_a_tokenizer_and_weights_that_cannot_be_had(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="the weights of no-such-words cannot be had"):
        run(textual=[{**BLOCK, "tokenizer_name": "no-such-words"}], weights_root=root)
    with pytest.raises(UserError) as caught:
        run(textual=[{**BLOCK, "model_name": "vlmo_large_patch16_224"}], weights_root=root)
    for part in ("vlmo_large_patch16_224", str(root), "unilm", "--weights-root"):
        assert part in str(caught.value)
