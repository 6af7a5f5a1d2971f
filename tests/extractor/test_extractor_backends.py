"""The registry, and a backend in a file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from extractor_cases import Run

from extractor.backends import REGISTRY, find_backend
from extractor.backends.base import Encoder
from extractor.config import load_config, refuse_unused
from extractor.layers import requested_layers
from workbench.errors import UserError

MINE = '''
"""Mean colours."""
import numpy as np
from extractor.backends.base import Encoder
from extractor.config import load_config, refuse_unused
from extractor.layers import requested_layers


class Backend(Encoder):
    """The mean of each channel."""

    modalities = ("visual",)
    uses = frozenset({"reshape"})

    def recipe(self):
        return {"reshape": self.model.reshape}

    def start(self, layers):
        self.layers = layers

    def prepare(self, content):
        return np.asarray(content.resize(self.model.reshape or content.size))

    def encode(self, batch):
        return {layer: np.stack([image.mean((0, 1)) for image in batch]) for layer in self.layers}
'''


@pytest.mark.parametrize(("modality", "name"), sorted(REGISTRY))
def test_every_backend_of_the_registry_can_be_found(modality: str, name: str) -> None:
    backend = find_backend(modality, name, "x.yml:1")
    assert issubclass(backend, Encoder)
    assert backend.__doc__


def test_a_backend_in_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mean_colour.py").write_text(MINE)
    block = {"model_name": "plain", "backend": str(tmp_path / "mean_colour.py"), "output_layers": "rgb"}
    (table,) = run(visual=[block])
    assert (table.dim, len(table.ids)) == (3, 4)
    assert table.path.parts[-3:] == ("mean_colour", "plain", "rgb")
    assert np.isfinite(table.matrix).all()
    with pytest.raises(UserError, match="`pooling` has no effect"):
        run(visual=[{**block, "pooling": "mean"}])
    with pytest.raises(UserError, match=r"is no backend for textual items\n.*visual"):
        run(textual=[block])


@pytest.mark.parametrize(
    ("code", "message"),
    [(None, "no such backend file"), ("x = 1", r"no class `Backend\(Encoder\)`"), ("1 +", "cannot be imported")],
)
def test_files_that_are_no_backends(run: Run, tmp_path: Path, code: str | None, message: str) -> None:
    if code is not None:
        (tmp_path / "mine.py").write_text(code)
    with pytest.raises(UserError, match=message):
        run(visual=[{"model_name": "x", "backend": str(tmp_path / "mine.py"), "output_layers": 1}])


@pytest.mark.parametrize(
    ("modality", "name", "hint"),
    [
        ("visual", "tensorflow", "`torch` and `timm`"),
        ("audio", "torchaudio", "`transformers`"),
        ("visual_textual", "open_clip", "`timm` for its image tower"),
        ("textual", "transfromers", "'transformers'"),
    ],
)
def test_what_there_is_instead(modality: str, name: str, hint: str) -> None:
    with pytest.raises(UserError, match=rf"no backend '{name}' for {modality} items\n.*{hint}"):
        find_backend(modality, name, "x.yml:1")


DOCS = (Path(__file__).resolve().parents[2] / "docs" / "extractor.md").read_text()
EXAMPLES = [
    (yaml.safe_load(line)[0], line)
    for line in DOCS.split("### An example of each")[1].split("### A backend")[0].splitlines()
    if line.strip()
]


@pytest.mark.parametrize(("block", "line"), EXAMPLES)
def test_the_examples_of_the_page_are_legal(tmp_path: Path, block: dict[str, str], line: str) -> None:
    named = [part.strip() for part in line.partition("}  ")[2].strip("# ").split(",")]
    legal = [modality for modality, backend in REGISTRY if backend == block["backend"]]
    modality = named[0] if named[0] in legal else legal[0]
    first, _, second = modality.partition("_")
    paths = {first: "a", second: "b"} if second else "a"
    source = {"input_path": paths, "output_path": paths, "model": [block]}
    (tmp_path / "x.yml").write_text(yaml.safe_dump({modality: {"items": source}}))
    (model,) = next(load_config(tmp_path / "x.yml").sources()).settings.model
    refuse_unused(model, find_backend(modality, model.backend, "").uses, line)
    assert requested_layers(modality, model, line)


def test_the_page_lists_every_backend() -> None:
    rows = [row for row in DOCS.splitlines() if row.startswith("| ")]
    for modality, backend in REGISTRY:
        kinds = ("| any joined |", f"| {modality} |") if "_" in modality else (f"| {modality} |",)
        assert any(row.startswith(kinds) and f"`{backend}`" in row for row in rows), (modality, backend)
