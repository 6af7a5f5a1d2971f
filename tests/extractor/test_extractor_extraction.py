from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS, SHARED, TEXTS, TFIDF, Run, write_texts
from loguru import logger
from PIL import Image

from extractor import extract
from extractor.backends.visual_classical import Backend
from extractor.config import load_config
from extractor.run import main
from workbench.errors import UserError


def test_layout_and_manifest(run: Run, catalogue: Path) -> None:
    visual, textual = run(visual=[DESCRIPTORS], textual=[TFIDF])
    assert visual.path == catalogue / "vis" / "classical" / "descriptors" / "colour"
    assert textual.path == catalogue / "txt" / "classical" / "tfidf" / "tfidf_svd"
    assert list(textual.ids) == list(TEXTS)
    assert sorted(path.name for path in textual.path.iterdir()) == [
        "%2E.%2Fx.npy", "a.npy", "b.v1.npy", "c.npy", "e%2Ff.npy",
    ]  # fmt: skip
    row = np.load(textual.path / "%2E.%2Fx.npy")
    assert (row.shape, row.dtype) == ((1, 3), np.float32)
    np.testing.assert_array_equal(row[0], textual.matrix[3])
    assert visual.manifest["recipe"]["backend"] == "classical"
    assert {"scikit-image", "python"} <= set(visual.manifest["versions"])
    outside = {path.name for path in catalogue.parent.iterdir()}
    assert "x.npy" not in outside


def test_per_item_files_can_be_left_out(run: Run) -> None:
    (table,) = run(visual=[DESCRIPTORS], per_item=False)
    assert not table.path.exists()
    assert len(table.ids) == 4


def test_an_item_is_read_once_for_all_models(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extractor.sources import ImageFolder

    read: list[int] = []
    original = ImageFolder.read
    monkeypatch.setattr(ImageFolder, "read", lambda self, place: (read.append(place), original(self, place))[1])
    resnet = {"model_name": "resnet18", "backend": "torch", "weights": "random", "output_layers": "avgpool"}
    run(visual=[{**DESCRIPTORS, "output_layers": ["colour", "gradient"]}, {**resnet, "reshape": [32, 32]}])
    assert sorted(read) == [0, 1, 2, 3]


def test_a_second_run_does_only_what_changed(run: Run, catalogue: Path, encoded: list[int]) -> None:
    (first,) = run(visual=[DESCRIPTORS])
    assert encoded == [4]
    run(visual=[DESCRIPTORS])
    assert encoded == [4]
    run(visual=[{**DESCRIPTORS, "batch_size": 2}])  # no value depends on the batch
    assert encoded == [4]
    colour, gradient = run(visual=[{**DESCRIPTORS, "output_layers": ["colour", "gradient"]}])
    assert encoded == [4, 4]
    assert colour.manifest["fingerprint"] == first.manifest["fingerprint"]
    Image.new("RGB", (40, 30), "red").save(catalogue / "images" / "a.png")
    run(visual=[DESCRIPTORS])
    assert encoded == [4, 4, 4]
    assert gradient.dim != colour.dim


def test_the_reason_for_extracting_again_is_said(run: Run, catalogue: Path) -> None:
    said: list[str] = []
    handle = logger.add(lambda message: said.append(message.record["message"]), level="INFO")
    try:
        run(textual=[TFIDF])
        run(textual=[TFIDF])
        assert said[-1].endswith("nothing changed, used again")
        write_texts(catalogue / "meta.tsv", {**TEXTS, "a": "A blue kettle."})
        run(textual=[TFIDF])
        assert "content of" in said[-1]
        write_texts(catalogue / "meta.tsv", {**TEXTS, "new": "A blue kettle."})
        run(textual=[TFIDF])
        assert said[-1].endswith("the items changed: 1 new, 0 gone")
        run(textual=[{**TFIDF, "dim": 2}])
        assert said[-1].endswith("changed: svd")
        run(textual=[{**TFIDF, "dim": 2, "clear_text": True}])
        assert said[-1].endswith("changed: clear_text")
    finally:
        logger.remove(handle)


def test_unusable_items_are_listed_and_the_rest_is_extracted(
    run: Run, catalogue: Path, warnings_seen: list[str]
) -> None:
    (catalogue / "images" / "broken.jpg").write_bytes(b"\xff\xd8 not really")
    write_texts(catalogue / "meta.tsv", {**TEXTS, "blank": "  ", "dots": "..."})
    visual, textual = run(visual=[DESCRIPTORS], textual=[TFIDF])
    assert len(visual.ids) == 4
    assert list(textual.ids) == list(TEXTS)
    lines = (catalogue / "txt" / "quarantine.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["modality", "item", "file", "reason"]
    assert [line.split("\t")[1::2] for line in lines[1:]] == [
        ["blank", "the text is empty"],
        ["dots", "tfidf: the text has no word of two letters or more"],
    ]
    assert lines[1].split("\t")[2].endswith("meta.tsv:7")
    assert len([text for text in warnings_seen if "could not be used" in text]) == 2
    assert "1 of 5 visual items" in " ".join(warnings_seen)
    assert visual.manifest["quarantined"][0]["item"] == "broken"
    (catalogue / "images" / "broken.jpg").unlink()
    run(visual=[DESCRIPTORS])
    assert not (catalogue / "vis" / "quarantine.tsv").exists()


def test_nothing_usable_is_an_error(run: Run, catalogue: Path) -> None:
    for path in (catalogue / "images").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"none of 4 items can be used; the first, .*not an image"):
        run(visual=[DESCRIPTORS])
    write_texts(catalogue / "meta.tsv", {"a": " "})
    with pytest.raises(UserError, match="none of 1 texts can be used"):
        run(textual=[TFIDF])


def test_a_failure_in_the_middle_leaves_the_old_table(
    run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = run(visual=[DESCRIPTORS])
    before, fingerprint = np.array(old.matrix), old.manifest["fingerprint"]
    Image.new("RGB", (40, 30), "red").save(catalogue / "images" / "c.png")
    encode, calls = Backend.encode, []

    def fail_second(self: Backend, batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 2:
            raise MemoryError
        return encode(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Backend, "encode", fail_second)
        with pytest.raises(MemoryError):
            run(visual=[{**DESCRIPTORS, "batch_size": 2}])
    manifest = json.loads(old.path.with_name("colour.json").read_text())
    assert manifest["fingerprint"] == fingerprint
    np.testing.assert_array_equal(np.load(old.path.with_name("colour.npy")), before)


def test_two_models_in_one_place_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match="would both be written to"):
        run(visual=[DESCRIPTORS, DESCRIPTORS])


def test_keys_without_effect_and_unknown_backends_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"extract.yml:\d+: `reshape` has no effect with backend classical"):
        run(visual=[{**DESCRIPTORS, "reshape": [8, 8]}])
    with pytest.raises(UserError, match=r"no backend 'clasical' for visual items\n.*'classical'"):
        run(visual=[{**DESCRIPTORS, "backend": "clasical"}])
    with pytest.raises(UserError, match=r"descriptors has no layer 'color'\n.*'colour'"):
        run(visual=[{**DESCRIPTORS, "output_layers": "color"}])


def test_the_launcher_prints_the_table(run: Run, catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(visual=[DESCRIPTORS])
    main(["--config", str(catalogue), "--visual.items.model.0.output_layers=gradient"])
    printed = capsys.readouterr().out
    assert "gradient" in printed
    assert "items/s" in printed


def test_the_hands_on_file_is_accepted_and_its_weights_asked_for(
    tmp_path: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = SHARED / "reference" / "hands_on" / "extract.yml"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    settings = load_config(path).settings
    assert settings.gpu_list == (0,)
    assert settings.visual_textual is not None
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    with pytest.raises(UserError, match="the published weights of ResNet50 cannot be had"):
        extract(path, {"dataset_path": str(catalogue)})


def _no_network(*_arguments: Any, **_named: Any) -> None:
    raise OSError("no network")


@pytest.mark.realdata
def test_film_catalogue(tmp_path: Path, minilm: Path) -> None:
    movies = SHARED / "data" / "movies"
    if not movies.is_dir():
        pytest.skip(f"{movies} is not there")
    (tmp_path / "images").mkdir()
    for image in sorted((movies / "images").iterdir())[:24]:
        (tmp_path / "images" / image.name).symlink_to(image)
    lines = (movies / "meta.tsv").read_text().splitlines()[:25]
    (tmp_path / "meta.tsv").write_text("\n".join(lines))
    root = tmp_path / "weights"
    (root / "sentence-transformers").mkdir(parents=True)
    (root / "sentence-transformers" / "all-MiniLM-L6-v2").symlink_to(minilm)
    config = Path(__file__).resolve().parents[2] / "config_files" / "extract_movies.yml"
    visual, textual = extract(config, {"dataset_path": str(tmp_path)}, weights_root=root)
    assert visual.matrix.shape[0] == textual.matrix.shape[0] == 24
    assert textual.dim == 384
    assert textual.path.parts[-3:] == ("sentence-transformers", "all-MiniLM-L6-v2", "1")
