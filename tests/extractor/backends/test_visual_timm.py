from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import Run
from PIL import Image

from extractor.backends.states import RANDOM_SEED
from workbench.errors import UserError

timm = pytest.importorskip("timm")

FILES = {"../x": "%2E.%2Fx.png", "a": "a.png", "b.v1": "b.v1.png", "c": "c.png"}


def block(name: str, layers: Any, **keys: Any) -> dict[str, Any]:
    return {"model_name": name, "backend": "timm", "output_layers": layers, "batch_size": 3, **keys}


def random_model(name: str) -> Any:
    torch.manual_seed(RANDOM_SEED)
    return timm.create_model(name, pretrained=False).eval()


def pixels(model: Any, catalogue: Path, item: str) -> torch.Tensor:
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    batch: torch.Tensor = transform(Image.open(catalogue / "images" / FILES[item]))[None]
    return batch


@pytest.mark.parametrize(
    ("name", "module"),
    [("test_vit", "blocks.2.attn"), ("test_resnet", "layer3.0.conv2"), ("test_convnext", "stages.1")],
)
@torch.no_grad()
def test_own_layers_and_modules_in_one_pass(run: Run, catalogue: Path, name: str, module: str) -> None:
    tables = run(visual=[block(name, ["features", "pooled", "logits", module], weights="random")])
    model = random_model(name)
    kept: dict[str, torch.Tensor] = {}
    model.get_submodule(module).register_forward_hook(lambda _m, _i, out: kept.update(out=out))
    for item in FILES:
        batch = pixels(model, catalogue, item)
        features = model.forward_features(batch)
        expected = [features, model.forward_head(features, pre_logits=True), model(batch), kept["out"]]
        for table, values in zip(tables, expected, strict=True):
            np.testing.assert_allclose(table.gather([item])[0][0], values.numpy().ravel(), atol=1e-5, rtol=1e-4)
    assert tables[1].path.parts[-3:] == ("timm", name, "pooled")
    assert tables[1].manifest["recipe"]["weights"] == {"source": "random", "seed": 42}


def test_local_weights_by_path_and_under_the_root(run: Run, catalogue: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = timm.create_model("test_vit", pretrained=False, num_classes=7)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "tuned.pth")
    root = tmp_path / "root"
    (root / "timm" / "test_vit.r160_in1k").mkdir(parents=True)
    save_file(model.state_dict(), root / "timm" / "test_vit.r160_in1k" / "model.safetensors")
    (logits,) = run(visual=[block("test_vit", "logits", weights=str(tmp_path / "tuned.pth"))])
    assert logits.dim == 7
    values = np.array(logits.matrix)
    (table,) = run(visual=[block("timm/test_vit.r160_in1k", "logits")], weights_root=root)
    assert table.path.parts[-2] == "test_vit.r160_in1k"
    np.testing.assert_array_equal(table.matrix, values)


@torch.no_grad()
def test_a_checkpoint_of_open_clip(run: Run, catalogue: Path, tmp_path: Path) -> None:
    """The image tower as OpenAI and open_clip name its parts (`visual.transformer.resblocks...`)."""
    model = random_model("test_vit")
    model.reset_classifier(5)
    state = {"visual.class_embedding": model.cls_token[0, 0], "visual.positional_embedding": model.pos_embed[0]}
    state |= {"visual.conv1.weight": model.patch_embed.proj.weight, "visual.proj": torch.randn(64, 5)}
    state["visual.conv1.bias"] = model.patch_embed.proj.bias
    for place, part in enumerate(model.blocks):
        at = f"visual.transformer.resblocks.{place}"
        names = {
            "norm1": "ln_1",
            "norm2": "ln_2",
            "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
            "attn.proj": "attn.out_proj",
        }
        for ours, theirs in names.items():
            for kind in ("weight", "bias"):
                state[f"{at}.{theirs}.{kind}"] = part.get_submodule(ours).state_dict()[kind]
        state[f"{at}.attn.in_proj_weight"], state[f"{at}.attn.in_proj_bias"] = part.attn.qkv.weight, part.attn.qkv.bias
    state |= {"visual.ln_post.weight": model.norm.weight, "visual.ln_post.bias": model.norm.bias}
    state |= {"logit_scale": torch.zeros(()), "token_embedding.weight": torch.zeros(9, 4)}
    torch.save({name: value.detach().clone() for name, value in state.items()}, tmp_path / "open_clip.pt")
    (table,) = run(visual=[block("test_vit", "pooled", weights=str(tmp_path / "open_clip.pt"))])
    for item in FILES:
        expected = model.forward_head(model.forward_features(pixels(model, catalogue, item)), pre_logits=True)
        np.testing.assert_allclose(table.gather([item])[0], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_name": "test_vti"}, r"timm has no model 'test_vti'\n.*'test_vit"),
        ({"model_name": "test_vit.nonsense"}, r"timm has no weights 'test_vit.nonsense'\n.*test_vit.r160_in1k"),
        ({"output_layers": "blocks.9"}, r"test_vit has no layer 'blocks.9'"),
        ({"output_layers": "fc_norm", "weights": "nowhere.pth"}, "no weights at nowhere.pth"),
        ({"reshape": [8, 8]}, "`reshape` has no effect with backend timm"),
    ],
)
def test_refusals(run: Run, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(visual=[{**block("test_vit", "pooled", weights="random"), **keys}])


def test_weights_that_cannot_be_had(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"the weights of timm/test_vit.r160_in1k cannot be had"):
        run(visual=[block("test_vit", "pooled")], weights_root=tmp_path)


def test_without_timm_there_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"the package timm is not installed\n.*bottega\[timm\]"):
        run(visual=[block("test_vit", "pooled", weights="random")])
