from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from extractor.config import load_config
from workbench.errors import UserError

VISUAL = """\
visual:
  items:
    input_path: images
    output_path: out
    model:
      - model_name: ResNet50
        batch_size: 4
        backend: torch
        output_layers: avgpool
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yml"
    path.write_text(textwrap.dedent(text))
    return path


def test_ducho_liberties_are_straightened_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        dataset_path: d
        gpu list: "0,1"
        visual:
          - items:
              - input_path: images
              - output_path: out
              - model: [{model_name: ResNet50, backend: torch, output_layers: avgpool}]
        """,
    )
    settings = load_config(path).settings
    assert settings.gpu_list == (0, 1)
    assert settings.visual is not None
    assert settings.visual.items.model[0].batch_size == 32
    assert load_config(tmp_path).settings == settings  # a folder with one YAML file


@pytest.mark.parametrize(("text", "numbers"), [("0", (0,)), ("-1", (-1,)), ("[0, 1]", (0, 1)), ("'0,1'", (0, 1))])
@pytest.mark.parametrize("key", ["gpu list", "gpu_list"])
def test_both_spellings_and_all_forms_of_the_gpu_list(
    tmp_path: Path, key: str, text: str, numbers: tuple[int, ...]
) -> None:
    assert load_config(write(tmp_path, f"{key}: {text}\n{VISUAL}")).settings.gpu_list == numbers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch_size", "batchsize"), r"x\.yml:8: unknown key `visual.items.model.0.batchsize`.*\n.*'batch_size'"),
        (("input_path", "input_pth"), r"x\.yml:4: unknown key `visual.items.input_pth`.*\n.*'input_path'"),
        (("batch_size: 4", "batch_size: four"), r"x\.yml:8: `visual.items.model.0.batch_size`.*'four'"),
        (("batch_size: 4", "preprocessing: zcore"), r"x\.yml:8: .*preprocessing.*'zcore'\n.*'zscore'"),
        (("batch_size: 4", "mean: [0, 0, 0]"), r"`mean` and `std` have an effect only with `preprocessing: zscore`"),
        (("batch_size: 4", "reshape: [0, 224]"), r"x\.yml:8: .*reshape`: should be \[width, height\] in pixels"),
        (
            ("output_layers: avgpool", "output_layers: {a: 1}"),
            r"x\.yml:10: .*output_layers`: should be a name, a number",
        ),
        (("output_layers: avgpool", "output_layers: []"), "should name at least one layer"),
        (("batch_size: 4", "fusion: sum"), r"x\.yml:8: unknown key `visual.items.model.0.fusion`"),
        (("visual:", "visual_audio:"), r"x\.yml:4: `visual_audio.items.input_path`: should be a mapping"),
        (("  items:", "  item:"), r"x\.yml:3: unknown key `visual.item`.*\n.*'items'"),
        (("visual:", "visul:"), r"x\.yml:2: unknown key `visul`.*\n.*'visual'"),
    ],
)
def test_an_error_names_line_key_and_nearest(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = write(tmp_path, "dataset_path: d\n" + VISUAL.replace(*change, 1))
    with pytest.raises(UserError, match=message):
        load_config(path)


def test_overrides_are_typed_and_reach_into_lists(tmp_path: Path) -> None:
    path = write(tmp_path, VISUAL)
    changes = [("visual.items.model.0.batch_size", "64"), ("visual.items.model.0.reshape", "[8, 9]"), ("gpu list", "0")]
    settings = load_config(path, changes).settings
    assert settings.visual is not None
    assert settings.visual.items.model[0].batch_size == 64
    assert settings.visual.items.model[0].reshape == (8, 9)
    assert settings.gpu_list == (0,)
    with pytest.raises(UserError, match="`3` is no place in a list of 1"):
        load_config(path, [("visual.items.model.3.batch_size", "64")])
    with pytest.raises(UserError, match=r"unknown key `visual.items.modle`"):
        load_config(path, [("visual.items.modle", "64")])


def test_a_folder_with_two_files_is_ambiguous(tmp_path: Path) -> None:
    write(tmp_path, VISUAL)
    (tmp_path / "y.yml").write_text(VISUAL)
    with pytest.raises(UserError, match=r"2 YAML files \(x.yml, y.yml\)"):
        load_config(tmp_path)


def test_every_spelling_of_ducho(tmp_path: Path) -> None:
    """`name` for `model_name` and the two names of the image processor; in every modality, items and interactions."""
    path = write(
        tmp_path,
        """
        dataset_path: d
        gpu list: 0
        visual: {items: {input_path: i, output_path: o, model: {name: m, backend: b, output_layers: x,
          image_processor_name: p, preprocessing: zscore, mean: [0, 0, 0], std: [1, 1, 1]}}}
        textual: {interactions: {input_path: i, output_path: o, interaction_columns: [u, i], text_column: t,
          model: [{model_name: m, backend: b, output_layers: [1, 2], clear_text: true, tokenizer_name: t}]}}
        audio: {items: {input_path: i, output_path: o, model: [{name: m, backend: b, output_layers: -1}]}}
        visual_textual: {items: {input_path: {visual: i, textual: t}, output_path: {visual: i, textual: t},
          model: [{model_name: m, backend: b, output_layers: [a.b, c.d], image_processor: p, fusion: concat}]}}
        """,
    )
    config = load_config(path)
    found = {(block.modality, block.kind): block.settings.model[0] for block in config.sources()}
    assert list(found) == [
        ("visual", "items"), ("textual", "interactions"), ("audio", "items"), ("visual_textual", "items"),
    ]  # fmt: skip
    assert {model.model_name for model in found.values()} == {"m"}
    assert found["visual", "items"].image_processor == found["visual_textual", "items"].image_processor == "p"
    assert found["visual_textual", "items"].fusion == "concat"


def test_a_modality_without_a_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.yml:2: `audio`: neither `items` nor `interactions` is there"):
        load_config(write(tmp_path, "dataset_path: d\naudio: {}\n"))
    with pytest.raises(UserError, match="nothing to extract: there is none of visual, textual, audio"):
        load_config(write(tmp_path, "dataset_path: d\n"))
