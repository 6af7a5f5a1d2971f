"""`ProxyRecommender` and `RecommendationFolder`: entries of `models` that are lists made elsewhere.

They have no parameters to choose and nothing to train, so they take no part in the search; a list is judged like any
model's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from loguru import logger
from pydantic import Field

from benchmark.config.experiment import ExperimentFile, ModelBlock
from benchmark.data.raw_ids import Numbering
from workbench.config import Settings, validate
from workbench.errors import UserError

Order = Literal["score", "file"]
_ENDINGS = (".tsv", ".tsv.gz")
_NAME = r"^[^\s./\\\x00-\x1f][^/\\\x00-\x1f]*$"  # a cell of a table, and the stem of a file


class ProxyRecommender(Settings):
    """One file of recommendations.

    path : lines of user, item and, if there is one, score; tabs, no header, `.gz` for a compressed file.
    validation_path : lists for the validation part, made without looking at it.
    order : `score`: the highest first, equal ones by item number as in the bench; `file`: as the lines stand. Without
        scores the lines' order counts.
    ids : whether the files are under the ids of the parts, as `save_recs` writes them, or under the raw ids behind
        `*_indexed.tsv`, where their ids do not tell.
    name : of its row in the table.
    """

    path: str
    validation_path: str | None = None
    order: Order = "score"
    ids: Numbering | None = None
    name: Annotated[str, Field(pattern=_NAME)] = "ProxyRecommender"


class RecommendationFolder(Settings):
    """A folder of such files; every `*.tsv` and `*.tsv.gz` in it is a row of the table, under the name of the file."""

    folder: str
    order: Order = "score"
    ids: Numbering | None = None


_NAMES = ("ProxyRecommender", "RecommendationFolder")


@dataclass(frozen=True)
class ListFile:
    """A row of the table that is judged from ready lists."""

    name: str
    path: Path
    validation_path: Path | None
    order: Order
    ids: Numbering | None = None


def is_proxy(block: ModelBlock) -> bool:
    """Whether an entry of `models` stands for ready lists."""
    return block.name in _NAMES


def tell_without_effect(file: ExperimentFile, block: ModelBlock) -> None:
    """Name the keys of such an entry's `meta`."""
    for key in sorted(block.meta.model_fields_set):
        where = file.document.where(("experiment", "models", block.name, "meta", key))
        logger.info("{}: `{}` has no effect: lists made elsewhere are only judged", where, key)


def find_lists(file: ExperimentFile, block: ModelBlock) -> list[ListFile]:
    """The files behind such an entry, in the order of their names; that they exist is checked here.

    Raises
    ------
    UserError : an unknown key, no such file or folder, no list in the folder, a list twice.
    """
    at = ("experiment", "models", block.name)
    if block.name == "ProxyRecommender":
        one = validate(ProxyRecommender, block.parameters, file.document, at)
        validation = one.validation_path
        return [
            ListFile(
                one.name,
                _existing(file, one.path, (*at, "path")),
                None if validation is None else _existing(file, validation, (*at, "validation_path")),
                one.order,
                one.ids,
            )
        ]
    settings = validate(RecommendationFolder, block.parameters, file.document, at)
    folder, where = file.path(settings.folder), file.document.where((*at, "folder"))
    paths = sorted(path for path in folder.glob("[!.]*") if path.name.endswith(_ENDINGS) and path.is_file())
    if not paths:
        what = "there are no lists (*.tsv, *.tsv.gz) in" if folder.is_dir() else "no such folder:"
        raise UserError(f"{what} {folder}", where=where, mend="mend `folder`")
    names = [path.name.removesuffix(".gz").removesuffix(".tsv") for path in paths]
    for name in names:
        if not re.search(_NAME, name):
            raise UserError(f"{name!r} can name no row of a table", where=folder, mend="rename that file")
        if names.count(name) > 1:
            raise UserError(f"{folder} holds both {name}.tsv and {name}.tsv.gz", where=where, mend="remove one")
    return [ListFile(name, path, None, settings.order, settings.ids) for name, path in zip(names, paths, strict=True)]


def _existing(file: ExperimentFile, given: str, at: tuple[str, ...]) -> Path:
    path = file.path(given)
    if not path.is_file():
        raise UserError(
            f"no such file of recommendations: {path}", where=file.document.where(at), mend=f"mend `{at[-1]}`"
        )
    return path
