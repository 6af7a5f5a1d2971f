"""Thirteen known defects of Ducho, each as what is right instead."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import DESCRIPTORS, RESNET, TEXTS, TFIDF, Run, write_texts
from PIL import Image

from extractor.backends import find_backend
from extractor.config import load_config
from workbench.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
Tiny = Callable[[str], Path]


def test_01_every_item_has_a_file_of_its_own_and_tensorflow_is_refused_by_name(run: Run, catalogue: Path) -> None:
    for name in ("Bag.png", "Ball.png", "Boot.png"):
        Image.new("RGB", (20, 20), "red").save(catalogue / "images" / name)
    (table,) = run(visual=[DESCRIPTORS])
    assert {"Bag.npy", "Ball.npy", "Boot.npy"} <= {path.name for path in table.path.iterdir()}
    assert len(list(table.path.iterdir())) == len(table.ids) == 7
    with pytest.raises(
        UserError, match=r"no backend 'tensorflow' .*\n.*the same architectures are in `torch` and `timm`"
    ):
        find_backend("visual", "tensorflow", "x.yml:1")


def test_02_audio_is_extracted_by_layer_number_and_under_its_own_names(run: Run, tiny: Tiny, sounds: Any) -> None:
    block = {"model_name": str(tiny("wav2vec2")), "backend": "transformers", "output_layers": 2, "pooling": "mean"}
    (table,) = run(audio=[block])
    assert sorted(path.stem for path in table.path.iterdir()) == ["%2E.%2Fx", "a", "b.v1", "c"]
    assert table.path.name == "2"


def test_03_every_layer_directory_holds_its_own_layer(run: Run, tiny: Tiny) -> None:
    block = {"model_name": str(tiny("bert")), "backend": "transformers", "output_layers": [1, 2], "pooling": "mean"}
    first, second = run(textual=[block])
    assert (first.path.name, second.path.name) == ("1", "2")
    assert np.abs(first.matrix - second.matrix).max() > 1e-3


def test_04_a_batch_of_one_keeps_every_channel(run: Run) -> None:
    (table,) = run(visual=[{**RESNET, "output_layers": "layer4", "batch_size": 1}])
    assert table.manifest["shape"] == [512, 2, 2]
    assert table.dim == 512 * 2 * 2


def test_05_texts_belong_to_the_image_of_the_same_id_whatever_the_order(run: Run, tiny: Tiny, catalogue: Path) -> None:
    block = {"model_name": str(tiny("clip")), "backend": "transformers"}
    (words,) = run(textual=[{**block, "output_layers": "text_embeds"}])
    expected = words.gather(["../x", "a", "c"])[0]
    write_texts(catalogue / "meta.tsv", dict(reversed(list(TEXTS.items()))))
    (catalogue / "images" / "b.v1.png").unlink()
    visual, textual = run(joined=[{**block, "output_layers": 1}])
    assert visual.ids == textual.ids == ["../x", "a", "c"]
    np.testing.assert_allclose(textual.matrix, expected, atol=1e-5)
    assert "no image for this text" in (catalogue / "txt" / "quarantine.tsv").read_text()


def test_06_a_batch_of_one_is_fused(run: Run, tiny: Tiny) -> None:
    block = {"model_name": str(tiny("clip")), "backend": "transformers", "output_layers": 1}
    visual, textual = run(joined=[block])
    (fused,) = run(joined=[{**block, "fusion": "concat", "batch_size": 1}])
    np.testing.assert_allclose(fused.matrix, np.hstack([visual.matrix, textual.matrix]), atol=1e-6)


def test_07_no_model_sees_the_keys_of_another(run: Run, catalogue: Path) -> None:
    plain = {key: value for key, value in RESNET.items() if key != "preprocessing"}
    moments = {"preprocessing": "zscore", "mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.1]}
    alone = run(visual=[plain]) + run(visual=[{**plain, **moments, "output_layers": "layer4"}])
    expected = [np.array(table.matrix) for table in alone]
    shutil.rmtree(catalogue / "vis")
    _, second_layer, second_model = run(visual=[{**plain, **moments, "output_layers": ["layer3", "layer4"]}, plain])
    np.testing.assert_allclose(second_model.matrix, expected[0], atol=1e-6)
    np.testing.assert_allclose(second_layer.matrix, expected[1], atol=1e-6)


@pytest.mark.parametrize(("text", "devices"), [("1", (1,)), ("'0,1'", (0, 1)), ("[1, 3]", (1, 3)), ("-1", (-1,))])
def test_08_every_gpu_number_names_that_gpu(
    tmp_path: Path, text: str, devices: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.runtime import pick_device

    path = tmp_path / "x.yml"
    model = "{model_name: m, backend: torch, output_layers: avgpool}"
    path.write_text(f"gpu list: {text}\nvisual: {{items: {{input_path: i, output_path: o, model: [{model}]}}}}\n")
    assert load_config(path).settings.gpu_list == devices
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    expected = [torch.device("cpu") if number < 0 else torch.device("cuda", number) for number in devices]
    assert [pick_device(number) for number in devices] == expected


def test_09_the_graph_is_traced_once_and_gives_only_what_is_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import feature_extraction

    traced: list[Any] = []
    create = feature_extraction.create_feature_extractor

    def counting(model: Any, return_nodes: Any) -> Any:
        traced.append(return_nodes)
        return create(model, return_nodes=return_nodes)

    monkeypatch.setattr(feature_extraction, "create_feature_extractor", counting)
    run(visual=[{**RESNET, "output_layers": ["layer4", "avgpool"], "batch_size": 1}])
    assert traced == [{"layer4": "layer4", "avgpool": "avgpool"}]


def test_10_a_text_is_found_without_a_scan_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extractor.sources import TextFile

    path = tmp_path / "meta.tsv"
    write_texts(path, {f"item {number}": f"text {number}" for number in range(3000)})
    source = TextFile(path, "item", "description", "")
    parsed: list[int] = []
    fields = TextFile._fields
    monkeypatch.setattr(
        TextFile, "_fields", lambda self, start, end: (parsed.append(end - start), fields(self, start, end))[1]
    )
    assert [source.read(place) for place in (2999, 0, 1500)] == ["text 2999", "text 0", "text 1500"]
    assert len(parsed) == 3
    assert max(parsed) < 60


def test_11_no_backbone_library_is_loaded_before_it_is_needed() -> None:
    script = (
        "import sys, extractor, extractor.config, extractor.jobs, extractor.sources, extractor.backends;"
        "heavy = {'torch', 'torchvision', 'tensorflow', 'transformers', 'timm', 'soundfile', 'scipy', 'skimage'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_12_ids_keep_their_dots_and_stray_quotes_swallow_nothing(run: Run, catalogue: Path) -> None:
    for name in ("item.1.png", "item.2.png"):
        Image.new("RGB", (20, 20), "red").save(catalogue / "images" / name)
    write_texts(catalogue / "meta.tsv", {"item.1": '19" kettle, "steel', "item.2": "lamp, second"})
    visual, textual = run(visual=[DESCRIPTORS], textual=[{**TFIDF, "dim": 2}])
    assert {"item.1", "item.2"} <= set(visual.ids)
    assert textual.ids == ["item.1", "item.2"]
    assert (textual.path / "item.2.npy").is_file()


def test_13_it_can_be_installed() -> None:
    from importlib.metadata import distribution

    installed = distribution("bottega")
    extras = installed.metadata.get_all("Provides-Extra") or []
    assert installed.version
    assert any("torch" in needed for needed in installed.requires or [])
    assert "test" in extras
    assert (ROOT / "Makefile").read_text().count("\ntest:") == 1
