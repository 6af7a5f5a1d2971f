"""The registry of backends: (modality, name) -> module, loaded when a configuration names it.

To add one: a module here with a class `Backend(Encoder)` and its line in `REGISTRY`; or a file of your own,
named in the configuration (`backend: path/to/my_backend.py`), see docs/extractor.md.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from extractor.backends.base import Encoder
from workbench.config import nearest
from workbench.errors import UserError

REGISTRY = {
    ("visual", "torch"): "visual_torch",
    ("visual", "timm"): "visual_timm",
    ("visual", "transformers"): "visual_transformers",
    ("visual", "beit3"): "visual_beit3",
    ("visual", "vlmo"): "visual_vlmo",
    ("visual", "classical"): "visual_classical",
    ("textual", "transformers"): "textual_transformers",
    ("textual", "sentence_transformers"): "textual_sentence_transformers",
    ("textual", "beit3"): "textual_beit3",
    ("textual", "vlmo"): "textual_vlmo",
    ("textual", "classical"): "textual_classical",
    ("audio", "transformers"): "audio_transformers",
    ("audio", "classical"): "audio_classical",
    ("visual_textual", "transformers"): "joined_transformers",
    ("visual_textual", "beit3"): "joined_beit3",
    ("visual_textual", "vlmo"): "joined_vlmo",
    ("audio_textual", "transformers"): "joined_transformers",
    ("visual_audio", "transformers"): "joined_pair",
    ("visual_textual", "classical"): "joined_pair",
    ("visual_audio", "classical"): "joined_pair",
    ("audio_textual", "classical"): "joined_pair",
}
_INSTEAD = {
    "tensorflow": "there is no TensorFlow here; the same architectures are in `torch` and `timm`",
    "torchaudio": "use `transformers` (Wav2Vec2, HuBERT, ...) with the name of the model on the hub",
    "open_clip": "use `transformers` where the checkpoint has a config.json, `timm` for its image tower",
}


def find_backend(modality: str, name: str, where: str) -> type[Encoder]:
    """The encoder class of a backend: of the registry, or of a Python file.

    Raises
    ------
    UserError : the modality has no backend of that name (the nearest is named); no such file, or no class
    `Backend` for this modality in it.
    """
    if name.endswith(".py"):
        return _from_file(modality, Path(name), where)
    module = REGISTRY.get((modality, name))
    if module is None:
        legal = [backend for kind, backend in REGISTRY if kind == modality]
        mend = _INSTEAD.get(name, nearest(name, legal))
        raise UserError(f"no backend {name!r} for {modality} items", where=where, mend=mend)
    backend: type[Encoder] = import_module(f"extractor.backends.{module}").Backend
    return backend


def backend_folder(name: str) -> str:
    """The `<backend>` part of a table's path: the name, or the stem of a Python file."""
    return Path(name).stem if name.endswith(".py") else name


def _from_file(modality: str, path: Path, where: str) -> type[Encoder]:
    if not path.is_file():
        raise UserError(f"no such backend file: {path}", where=where, mend="paths start at the working directory")
    found = getattr(_load(path), "Backend", None)
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise UserError("the file has no class `Backend(Encoder)`", where=path, mend="see docs/extractor.md")
    modalities = getattr(found, "modalities", ())
    if modality not in modalities:
        raise UserError(
            f"{path} is no backend for {modality} items",
            where=where,
            mend=f"its `modalities` are: {', '.join(modalities) or 'none'}",
        )
    return found


def _load(path: Path) -> ModuleType:
    name = f"bottega_backend_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        raise UserError(f"cannot be imported: {type(error).__name__}: {error}", where=path) from error
    return module
