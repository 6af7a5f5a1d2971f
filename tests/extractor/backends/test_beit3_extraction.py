"""A saved random BEiT-3 through the encoder and the pipeline, compared with the model called by hand."""

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
from extractor.backends.beit3.model import Beit3, Sizes
from extractor.backends.beit3.reading import Batch
from extractor.backends.beit3.tokens import Tokenizer
from extractor.backends.joined_beit3 import Backend
from extractor.config import JoinedModel
from extractor.layers import Layer
from workbench.errors import UserError

pytest.importorskip("sentencepiece", reason="BEiT-3's tokenizer needs sentencepiece")

SIZES = Sizes(width=64, depth=2, heads=1, hidden=48, patch=8, grid=3, vocabulary=0, longest=80, itc=True)
FILES = {"../x": "%2E.%2Fx.png", "a": "a.png", "b.v1": "b.v1.png", "c": "c.png"}
NAME = "beit3_tiny_itc_patch8_24"
BLOCK = {"model_name": NAME, "backend": "beit3", "output_layers": "itc", "batch_size": 3}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for modality, module in (("visual", "visual"), ("textual", "textual"), ("visual_textual", "joined")):
        monkeypatch.setitem(REGISTRY, (modality, "beit3"), f"{module}_beit3")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights root with the tokenizer and four checkpoints: with ITC heads, plain, VQA, fine-tuned on ImageNet."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    root = tmp_path_factory.mktemp("root")
    (root / "corpus.txt").write_text("\n".join([*TEXTS.values()] * 4))
    SentencePieceTrainer.train(
        input=str(root / "corpus.txt"), model_prefix=str(root / "trained"), vocab_size=60, hard_vocab_limit=False,
        minloglevel=2, num_threads=1,
    )  # fmt: skip
    (root / "trained.model").rename(root / "beit3.spm")
    vocabulary = SentencePieceProcessor(model_file=str(root / "beit3.spm")).get_piece_size() + 10
    kinds = {
        NAME: {},
        "beit3_tiny_patch8_24": {"itc": False},
        "beit3_tiny_vqa": {"itc": False, "pooler": True},
        "beit3_tiny_in1k": {"itc": False, "fc_norm": True, "final_norm": False},
    }
    for name, flags in kinds.items():
        torch.manual_seed(len(name))
        model = Beit3(replace(SIZES, vocabulary=vocabulary, **flags))
        state = {key: value + 0.05 * torch.randn_like(value) for key, value in model.state_dict().items()}
        torch.save({"model": state}, root / f"{name}.pth")
    return root


def load_by_hand(root: Path, name: str = NAME, **flags: bool) -> Beit3:
    state = torch.load(root / f"{name}.pth", weights_only=True)["model"]
    model = Beit3(replace(SIZES, vocabulary=len(state["beit3.text_embed.weight"]), **flags))
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def pixels_by_hand(catalogue: Path, item: str, mean: Any = 0.5, std: Any = 0.5, edge: int = 24) -> torch.Tensor:
    with Image.open(catalogue / "images" / FILES[item]) as image:
        values = np.asarray(image.resize((edge, edge), Image.Resampling.BICUBIC)) / 255
    return torch.tensor(((values - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32)


def tokens_by_hand(root: Path, item: str) -> torch.Tensor:
    return torch.tensor([Tokenizer(root / "beit3.spm")(TEXTS[item])])


def final(model: Beit3, route: str, batch: Batch) -> torch.Tensor:
    *_, last = model.states(route, batch)
    return model.finish(route, last, batch)[0]


def test_separate_features_in_both_tables(run: Run, root: Path, catalogue: Path) -> None:
    visual, textual = run(joined=[BLOCK], weights_root=root)
    assert list(visual.ids) == list(textual.ids) == sorted(FILES)
    assert visual.path == catalogue / "vis" / "beit3" / NAME / "itc"
    assert textual.path == catalogue / "txt" / "beit3" / NAME / "itc"
    model = load_by_hand(root)
    for item in FILES:
        pixels, tokens = pixels_by_hand(catalogue, item), tokens_by_hand(root, item)
        image = model.vision_head(final(model, "image", Batch(pixels))[0])
        text = model.language_head(final(model, "text", Batch(tokens=tokens))[0])
        np.testing.assert_allclose(visual.gather([item])[0][0], image / image.norm(), atol=1e-5)
        np.testing.assert_allclose(textual.gather([item])[0][0], text / text.norm(), atol=1e-5)
    backbone = visual.manifest["backbone"]
    assert (backbone["layers"], backbone["width"], backbone["pixels"]) == (2, 64, 24)
    assert backbone["passes"] == {"visual/itc": "image", "textual/itc": "text"}


def test_joint_features_in_both_tables(run: Run, root: Path, catalogue: Path) -> None:
    model = load_by_hand(root)
    visual, textual = run(joined=[{**BLOCK, "output_layers": ["joint_cls", "joint_mean"]}], weights_root=root)
    separate = run(joined=[{**BLOCK, "output_layers": ["cls", "mean"]}], weights_root=root)
    for item in FILES:
        batch = Batch(pixels_by_hand(catalogue, item), tokens_by_hand(root, item))
        states = final(model, "joint", batch)
        np.testing.assert_allclose(visual.gather([item])[0][0], states[0], atol=1e-5)
        np.testing.assert_allclose(textual.gather([item])[0][0], states[11:].mean(0), atol=1e-5)
    for joint, alone in zip((visual, textual), separate, strict=True):
        assert np.abs(joint.matrix - alone.matrix).max() > 1e-2


def test_each_side_alone_gives_what_the_joined_model_gives(run: Run, root: Path) -> None:
    joined = run(joined=[BLOCK], weights_root=root)
    several = {**BLOCK, "output_layers": ["itc", "cls", "mean", 0, -1]}
    tables = run(visual=[several], textual=[{**several, "batch_size": 2}], weights_root=root)
    assert [table.path.name for table in tables] == ["itc", "cls", "mean", "0", "-1"] * 2
    for table, expected in zip((tables[0], tables[5]), joined, strict=True):
        np.testing.assert_allclose(table.gather(list(FILES))[0], expected.gather(list(FILES))[0], atol=1e-5)
    assert np.ptp(tables[3].matrix, axis=0).max() == 0  # CLS before any layer is the same for all images
    assert len(tables[5].ids) == len(TEXTS)


@pytest.mark.parametrize("layers", ["itc", "joint_cls", "joint_mean", "joint_1"])
def test_a_batch_of_one(run: Run, root: Path, layers: str) -> None:
    many = run(joined=[{**BLOCK, "output_layers": layers}], weights_root=root)
    block = {**BLOCK, "output_layers": layers, "batch_size": 1}
    # under another name, or the finished tables would be used again
    alone = run(joined=[{**block, "model_name": "alone", "weights": str(root / f"{NAME}.pth")}])
    for table, other in zip(many, alone, strict=True):
        assert table.path != other.path
        np.testing.assert_allclose(table.matrix, other.matrix, atol=1e-5)


def test_all_layers_of_one_start_take_three_passes(root: Path, catalogue: Path) -> None:
    encoder = Backend(JoinedModel(model_name=NAME, backend="beit3", output_layers="itc"), Surroundings("here", root))
    names = ["itc", "cls", "mean", "1", "joint_cls", "joint_mean", "joint_0", "joint_-1"]
    layers = [Layer(side, name) for side in ("visual", "textual") for name in names]
    encoder.start(layers)
    passes = []
    encoder._model.beit3.encoder.layers[0].register_forward_hook(lambda *_: passes.append(1))  # type: ignore[attr-defined]
    with Image.open(catalogue / "images" / "a.png") as image:
        values = encoder.encode([encoder.prepare((image, TEXTS["a"]))])
    assert len(passes) == 3
    assert {layer: rows.shape for layer, rows in values.items()} == dict.fromkeys(layers, (1, 64))


def test_fine_tuned_on_imagenet_has_its_own_moments(run: Run, root: Path, catalogue: Path) -> None:
    name = "beit3_tiny_in1k"
    block = {**BLOCK, "model_name": name, "output_layers": ["fc_norm", "mean"]}
    (table, mean) = run(visual=[block], weights_root=root)
    model = load_by_hand(root, name, itc=False, fc_norm=True, final_norm=False)
    for item in FILES:
        pixels = pixels_by_hand(catalogue, item, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        *_, last = model.states("image", Batch(pixels))
        np.testing.assert_allclose(mean.gather([item])[0][0], last[0, 1:].mean(0), atol=1e-5)
        np.testing.assert_allclose(table.gather([item])[0][0], model.fc_norm(last[0, 1:].mean(0)), atol=1e-5)
    assert table.manifest["backbone"]["mean"] == [0.485, 0.456, 0.406]


def test_vqa_checkpoints_have_a_pooler(run: Run, root: Path, catalogue: Path) -> None:
    name = "beit3_tiny_vqa"
    visual, textual = run(joined=[{**BLOCK, "model_name": name, "output_layers": "joint_pooled"}], weights_root=root)
    np.testing.assert_array_equal(visual.matrix, textual.matrix)
    model = load_by_hand(root, name, itc=False, pooler=True)
    states = final(model, "joint", Batch(pixels_by_hand(catalogue, "c"), tokens_by_hand(root, "c")))
    np.testing.assert_allclose(visual.gather(["c"])[0][0], model.pooler(states[0]), atol=1e-5)


def test_another_resolution(run: Run, root: Path, catalogue: Path) -> None:
    from extractor.backends.beit3.weights import load_beit3

    (table,) = run(visual=[{**BLOCK, "output_layers": "cls", "reshape": [48, 48]}], weights_root=root)
    model = load_beit3(root / f"{NAME}.pth", edge=48)
    with torch.no_grad():
        states = final(model, "image", Batch(pixels_by_hand(catalogue, "a", edge=48)))
    np.testing.assert_allclose(table.gather(["a"])[0][0], states[0], atol=1e-5)
    assert table.manifest["recipe"]["preprocessing"]["reshape"] == [48, 48]
    with pytest.raises(UserError, match=r"`reshape: \[48, 40\]`: BEiT-3 takes squares"):
        run(visual=[{**BLOCK, "reshape": [48, 40]}], weights_root=root)
    with pytest.raises(UserError, match="50 x 50 pixels do not divide into patches of 8"):
        run(visual=[{**BLOCK, "reshape": [50, 50]}], weights_root=root)


def test_layers_that_are_not_there(run: Run, root: Path) -> None:
    def refused(layers: Any, name: str = "beit3_tiny_patch8_24", **sides: Any) -> str:
        block = {**BLOCK, "model_name": name, "output_layers": layers}
        with pytest.raises(UserError) as caught:
            run(**{side: [block] for side in sides}, weights_root=root)
        return str(caught.value)

    assert "cannot give the layer 'itc': the checkpoint has no vision_head.weight" in refused("itc", joined=1)
    assert "no pooler.dense.weight" in refused("joint_pooled", joined=1)
    assert "no fc_norm.weight" in refused("fc_norm", visual=1)
    assert "has no layer 'fc_norm'" in refused("fc_norm", name="beit3_tiny_in1k", textual=1)
    assert "'joint_cls' needs the image and the text of an item" in refused("joint_cls", visual=1)
    assert "did you mean 'joint_mean'?" in refused("joint_men", joined=1)
    assert "has no layer '3'" in refused(3, visual=1)


def test_weights_that_cannot_be_had(run: Run, root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(joined=[{**BLOCK, "model_name": "beit3_large_itc_patch16_224"}], weights_root=root)
    message = str(caught.value)
    for part in ("beit3_large_itc_patch16_224", str(root), "unilm", "--weights-root", "`weights: path/to/file`"):
        assert part in message
    assert message.count("\n") == 1
    with pytest.raises(UserError, match=r"no weights at .*gone.pth"):
        run(joined=[{**BLOCK, "weights": str(tmp_path / "gone.pth")}])
    (table,) = run(visual=[{**BLOCK, "model_name": str(root / f"{NAME}.pth")}])
    assert table.path.parts[-3:] == ("beit3", NAME, "itc")


def test_changed_weights_and_tokenizers_are_extracted_again(run: Run, root: Path, tmp_path: Path) -> None:
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(root, mine)
    before = np.array(run(textual=[BLOCK], weights_root=mine)[0].matrix)
    content = torch.load(mine / f"{NAME}.pth", weights_only=True)
    content["model"]["beit3.text_embed.weight"] *= 1.5
    torch.save(content, mine / f"{NAME}.pth")
    assert np.abs(run(textual=[BLOCK], weights_root=mine)[0].matrix - before).max() > 1e-4


def test_a_run_with_nothing_to_do_loads_no_torch() -> None:
    import subprocess
    import sys

    modules = [f"extractor.backends.{side}_{name}" for side in ("joined", "visual") for name in ("beit3", "vlmo")]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
