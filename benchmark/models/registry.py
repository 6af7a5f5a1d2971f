"""Models by name: one file a model, in `external/models` or in a folder of the user's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import unicodedata
from functools import cache
from pathlib import Path
from types import ModuleType

import cloudpickle

from benchmark.models.base import Params, Recommender
from workbench.config import nearest
from workbench.errors import UserError
from workbench.files import fingerprint

_PACKAGE = "external.models"


def find_model(name: str, folder: Path | None = None) -> type[Recommender]:
    """The model class behind `VBPR` or `external.VBPR`: class `VBPR` in the file `vbpr.py`, underscores apart.

    Parameters
    ----------
    name : as it stands in the experiment file.
    folder : the folder of model files, or its `__init__.py`; None for the models that come with the bench.

    Raises
    ------
    UserError : no such folder, file or class; the nearest name is given.
    """
    wanted = name.removeprefix("external.")
    shipped = shipped_folder()
    if folder is not None:
        folder = folder.parent if folder.name == "__init__.py" else folder
        if not folder.is_dir():
            raise UserError("no such folder of models", where=folder, mend="mend or remove `external_models_path`")
    folders = [shipped] if folder is None or folder.resolve() == shipped else [folder, shipped]
    files = {folded(path.stem): path for place in reversed(folders) for path in place.glob("[!_]*.py")}
    if folded(wanted) not in files:
        classes = [_class_name(path) for path in files.values()]
        raise UserError(f"unknown model `{name}`", mend=nearest(wanted, classes))
    path = files[folded(wanted)]
    found = getattr(_load(path, shipped), _class_name(path), None)
    if not (isinstance(found, type) and issubclass(found, Recommender)):
        raise UserError(
            f"no subclass of Recommender named like the file `{path.name}`",
            where=path,
            mend=f"name the class {wanted}",
        )
    if not issubclass(found.Params, Params):
        raise UserError(
            f"`{found.__name__}.Params` extends neither Params nor TrainingParams",
            where=path,
            mend="class Params(TrainingParams), or class Params(TrainingParams, MultimodalParams)",
        )
    return found


def shipped_models() -> dict[str, type[Recommender]]:
    """Every model that comes with the bench, by the name of its class, in the order of the files.

    Raises
    ------
    UserError : a file does not load.
    """
    models = (find_model(path.stem) for path in sorted(shipped_folder().glob("[!_]*.py")))
    return {model.__name__: model for model in models}


def model_file(model: type[Recommender]) -> Path:
    """The source file of a model class."""
    return Path(str(sys.modules[model.__module__].__file__))


def holds_a_model(path: Path) -> bool:
    """Whether a file in a folder of models can be named in an experiment file; it is not imported."""
    if path.name.startswith("_"):
        return False
    try:
        return _class_in(path.read_text(encoding="utf-8"), path.stem) is not None
    except (SyntaxError, ValueError):
        return False


def folded(name: str) -> str:
    """A name as files and classes of models share it: without underscores, in one case and one form of Unicode."""
    return unicodedata.normalize("NFKC", name).replace("_", "").casefold()


def shipped_folder() -> Path:
    """Where the models that come with the bench are."""
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).resolve().parent


def _load(path: Path, shipped: Path) -> ModuleType:
    if path.resolve().parent == shipped:
        try:
            module = importlib.import_module(f"{_PACKAGE}.{path.stem}")
        except (Exception, SystemExit) as error:
            raise _unloadable(path, error) from error
        cloudpickle.register_pickle_by_value(module)  # its classes travel as they are now, whatever becomes of the file
        return module
    # the folder is part of the name: two of them may hold files of the same name
    name = f"user_models_{fingerprint(str(path.resolve().parent))}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    cloudpickle.register_pickle_by_value(module)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _unloadable(path, error) from error
    return module


def _unloadable(path: Path, error: BaseException) -> UserError:
    """The sentence for a model file that raises, with the line of it where that happened."""
    trace, line = error.__traceback__, None
    while trace is not None:
        line = trace.tb_lineno if Path(trace.tb_frame.f_code.co_filename) == path.resolve() else line
        trace = trace.tb_next
    where = path if line is None else f"{path}:{line}"
    return UserError(
        f"this model file does not load: {type(error).__name__}: {error}",
        where=where,
        mend="docs/models.md shows what a model file imports",
    )


def _class_name(path: Path) -> str:
    """The class that a model file defines, or the stem of one that defines none."""
    try:
        return _class_in(path.read_text(encoding="utf-8"), path.stem) or path.stem
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or null bytes
        raise UserError(f"this model file does not parse: {error}", where=path) from error


@cache
def _class_in(source: str, stem: str) -> str | None:
    """The class of a model file that is named like it, found without importing the file."""
    import ast

    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return next((name for name in names if folded(name) == folded(stem)), None)
