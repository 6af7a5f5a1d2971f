from pathlib import Path

import pytest

from extractor.config import ModelSettings
from extractor.layers import Layer, requested_layers
from extractor.layout import table_path
from workbench.errors import UserError


def model(name: str, layers: object = 1) -> ModelSettings:
    return ModelSettings.model_validate({"model_name": name, "backend": "b", "output_layers": layers})


@pytest.mark.parametrize(
    ("modality", "name", "folder"),
    [
        ("visual", "ResNet50", "ResNet50"),
        ("visual", "org/regnet_y_1.6gf", "regnet_y_1.6gf"),
        ("visual", "./local/MMFashion.pt", "MMFashion"),
        ("textual", "sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("textual", "../../no-such", "%2E./%2E./no-such"),
        ("textual", "/etc/passwd", "passwd"),
        ("visual", "..", "%2E."),
    ],
)
def test_model_folder(modality: str, name: str, folder: str) -> None:
    path = table_path(Path("out"), modality, model(name), Layer("visual", "../up"))
    assert path == Path("out/b") / folder / "%2E.%2Fup"
    assert ".." not in path.parts


def test_a_local_folder_goes_by_its_last_name(tmp_path: Path) -> None:
    (tmp_path / "my.encoder").mkdir()
    path = table_path(Path("out"), "textual", model(str(tmp_path / "my.encoder")), Layer("textual", "1"))
    assert path == Path("out/b/my.encoder/1")


@pytest.mark.parametrize(
    ("layers", "visual", "textual"),
    [(1, "1", "1"), ("x.y", "x.y", "x.y"), (["v", "t"], "v", "t"), ([-1], "-1", "-1")],
)
def test_a_joined_model_gives_two_tables(layers: object, visual: str, textual: str) -> None:
    found = requested_layers("visual_textual", model("m", layers), "")
    assert found == [Layer("visual", visual), Layer("textual", textual)]


def test_three_joined_layers_are_refused() -> None:
    with pytest.raises(UserError, match="has 3 names"):
        requested_layers("visual_textual", model("m", ["a", "b", "c"]), "")
