from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import RESNET, Run
from PIL import Image
from torchvision.models import resnet18

from extractor.backends.base import Surroundings, as_rows
from extractor.backends.visual_torch import RANDOM_SEED, Backend
from extractor.config import VisualModel
from extractor.layers import Layer
from workbench.errors import UserError

FILES = {"a": "a.png", "b.v1": "b.v1.png", "c": "c.png", "../x": "%2E.%2Fx.png"}


def backend(**keys: Any) -> Backend:
    return Backend(VisualModel.model_validate({**RESNET, **keys}), Surroundings("x.yml:1"))


def test_two_layers_in_one_pass_equal_a_loop_by_hand(run: Run, catalogue: Path) -> None:
    tables = run(visual=[{**RESNET, "output_layers": ["layer4.1.conv2", "avgpool"]}])
    torch.manual_seed(RANDOM_SEED)
    model = resnet18(weights=None).eval()
    kept: dict[str, torch.Tensor] = {}
    model.layer4[1].conv2.register_forward_hook(lambda _m, _i, out: kept.update({"layer4.1.conv2": out}))
    model.avgpool.register_forward_hook(lambda _m, _i, out: kept.update(avgpool=out))
    for item, name in FILES.items():
        image = Image.open(catalogue / "images" / name).resize((64, 48), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
        pixels = (pixels - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
            :, None, None
        ]
        with torch.no_grad():
            model(pixels[None])
        for table in tables:
            expected = kept[table.path.name].numpy().ravel()
            np.testing.assert_allclose(table.gather([item])[0][0], expected, atol=1e-5, rtol=1e-4)
    assert tables[0].manifest["shape"] == [512, 2, 2]
    assert tables[1].manifest["shape"] == [512]
    assert tables[1].path.parts[-3:] == ("torch", "ResNet18", "avgpool")
    assert tables[1].manifest["recipe"]["weights"] == {"source": "random", "seed": 42}


def test_a_batch_of_one_is_as_good_as_any(run: Run) -> None:
    (many,) = run(visual=[{**RESNET, "output_layers": "layer1"}])
    values = np.array(many.matrix)
    (table,) = run(visual=[{**RESNET, "output_layers": "layer1", "batch_size": 1}], per_item=False)
    table_path = table.path
    for part in (table_path.with_name("layer1.json"), table_path.with_name("layer1.npy")):
        part.unlink()
    (one,) = run(visual=[{**RESNET, "output_layers": "layer1", "batch_size": 1}])
    np.testing.assert_allclose(one.matrix, values, atol=1e-5)
    assert one.manifest["shape"] == [64, 12, 16]


@pytest.mark.parametrize("preprocessing", [None, "minmax", "zscore"])
def test_scaling_literally(preprocessing: str | None) -> None:
    keys: dict[str, Any] = {"preprocessing": preprocessing, "reshape": None}
    if preprocessing == "zscore":
        keys |= {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    encoder = backend(**keys)
    rng = np.random.default_rng(1)
    images = rng.integers(10, 200, (2, 5, 4, 3), dtype=np.uint8)
    scaled = encoder._scale(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).numpy()
    for image, given in zip(images, scaled, strict=True):
        expected = image / 255
        if preprocessing == "minmax":
            expected = (expected - expected.min()) / (expected.max() - expected.min())
        elif preprocessing == "zscore":
            expected = (expected - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]
        np.testing.assert_allclose(given.transpose(1, 2, 0), expected, atol=1e-6)


def test_reshape_is_width_then_height() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    assert backend().prepare(image).shape == (48, 64, 3)
    np.testing.assert_array_equal(backend(reshape=None).prepare(image), np.asarray(image))


def test_images_of_several_sizes_keep_their_order(run: Run, catalogue: Path) -> None:
    (table,) = run(visual=[{**RESNET, "reshape": None, "batch_size": 4}])
    torch.manual_seed(RANDOM_SEED)
    model = resnet18(weights=None).eval()
    model.fc = torch.nn.Identity()
    encoder = backend(reshape=None)
    for item, name in FILES.items():
        pixels = torch.from_numpy(np.array(Image.open(catalogue / "images" / name))).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            expected = model(encoder._scale(pixels)).numpy()[0]
        np.testing.assert_allclose(table.gather([item])[0][0], expected, atol=1e-5)
    with pytest.raises(UserError, match="another shape for contents of another size"):
        run(visual=[{**RESNET, "reshape": None, "batch_size": 4, "output_layers": "layer1"}])


def test_only_singleton_dimensions_within_an_item_are_squeezed() -> None:
    rows, shape = as_rows(np.zeros((1, 8, 1, 1)))
    assert (rows.shape, rows.dtype, shape) == ((1, 8), np.float32, (8,))
    assert as_rows(np.zeros((1, 8, 2, 3)))[1] == (8, 2, 3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_name": "ResNet55"}, r"no classification model 'ResNet55'\n.*'resnet5\d?"),
        ({"model_name": "./MMFashion.pt"}, "pickled models are not loaded"),
    ],
)
def test_unknown_models(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        backend(**keys)


def test_an_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"x.yml:1: ResNet18 has no layer 'avgpol'\n.*'avgpool'"):
        backend().start([Layer("visual", "avgpol")])


def test_local_weights_by_path_and_under_the_root(run: Run, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(3)
    state = resnet18(weights=None, num_classes=7).state_dict()
    root = tmp_path / "root"
    root.mkdir()
    torch.save(state, root / "resnet18-abc.pth")
    save_file(state, tmp_path / "w.safetensors")
    settings = {key: value for key, value in RESNET.items() if key != "weights"}
    (by_root,) = run(visual=[settings], weights_root=root)
    values = np.array(by_root.matrix)
    assert by_root.manifest["recipe"]["weights"]["file"] == "resnet18-abc.pth"
    (by_path,) = run(visual=[{**settings, "weights": str(tmp_path / "w.safetensors")}])
    np.testing.assert_array_equal(by_path.matrix, values)
    assert by_path.manifest["recipe"]["weights"]["source"] == "local"


def test_weights_that_do_not_fit_or_hold_code(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save(resnet18(weights=None), tmp_path / "whole.pth")
    for name, message in (("other.pth", "does not fit resnet18"), ("whole.pth", "not readable as a state dict")):
        with pytest.raises(UserError, match=message):
            backend(weights=str(tmp_path / name)).start([Layer("visual", "avgpool")])


def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_arguments: Any, **_named: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with pytest.raises(UserError) as caught:
        backend(weights=None).recipe()
    message = str(caught.value)
    for part in ("ResNet18", "no network", str(tmp_path), "https://", "--weights-root", "weights: random"):
        assert part in message


def test_hooks_give_what_the_graph_gives(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {**RESNET, "output_layers": ["layer2.0.conv1", "layer4", "avgpool"]}
    traced = [np.array(table.matrix) for table in run(visual=[keys])]
    shutil.rmtree(catalogue / "vis")  # finished tables would be used again

    def no_graph(_model: Any) -> Any:
        raise torch.fx.proxy.TraceError("control flow")

    monkeypatch.setattr("torchvision.models.feature_extraction.get_graph_node_names", no_graph)
    for table, expected in zip(run(visual=[keys]), traced, strict=True):
        np.testing.assert_allclose(table.matrix, expected, atol=1e-5)
    with pytest.raises(UserError, match=r"ResNet18 has no layer 'layer4.9'\n.*'layer4"):
        backend().start([Layer("visual", "layer4.9")])
