"""Where a table is written: `<dataset_path>/<output_path>/<backend>/<model>/<layer>`, as Ducho has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from extractor.backends import backend_folder
from extractor.config import SIDES, Config, ModelSettings
from extractor.layers import Layer
from extractor.weights import WEIGHT_FILES
from workbench.files import escape_id


def output_folder(config: Config, source: Any, model: ModelSettings, side: str) -> Path:
    """The folder of all tables of one side of a source.

    Fused tables lie beside the folder of the first side: `<first>_<second>_<fusion>`.
    """
    if side in SIDES:
        first, second = (config.dataset / getattr(source.output_path, part) for part in SIDES[side])
        return first.parent / f"{first.name}_{second.name}_{getattr(model, 'fusion', None)}"
    path = source.output_path
    return config.dataset / (path if isinstance(path, str) else getattr(path, side))


def table_path(output: Path, modality: str, model: ModelSettings, layer: Layer) -> Path:
    """A table's folder below its output folder; no name can lead out of it."""
    backend = escape_id(backend_folder(model.backend))
    return output.joinpath(backend, *model_folders(modality, model), escape_id(layer.name))


def model_folders(modality: str, model: ModelSettings) -> list[str]:
    """The `<model>` part: for images the last component, else the whole name, or the last of a local folder.

    Only extensions of weight files are taken off: `regnet_y_1.6gf` stays whole, which Ducho cuts at its dot.
    """
    name = model.model_name
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if modality == "visual" or Path(name).is_dir() or Path(name).is_absolute():
        parts = parts[-1:]
    last = Path(parts[-1]) if parts else Path("model")
    parts[-1:] = [last.stem if last.suffix in WEIGHT_FILES else last.name or ".."]
    return [escape_id(part) for part in parts]
