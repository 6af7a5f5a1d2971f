"""An imported data set becomes `data/<dataset>`: whole, or not at all."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from benchmark.data.interactions import Interactions, write_interactions
from benchmark.data.raw_ids import ITEMS_MAP, USERS_MAP
from benchmark.data.splitters import Parts
from benchmark.prepare.layout import INPUTS, PARTS, indexed
from benchmark.prepare.parts import RECORD
from bottega.data.bundle import Bundle, Vectors
from workbench.errors import UserError
from workbench.features import TableWriter
from workbench.files import atomic_folder, write_text

_BLOCK = 4096  # rows written at a time
META = "meta.tsv"


def install(bundle: Bundle, folder: Path, force: bool) -> None:
    """Write parts (or `reviews.tsv`), feature tables and `meta.tsv` with the items' texts.

    With `force` an existing folder keeps what an import does not make, such as images; its interactions, what
    `run_split.py` made of them, and the tables that are imported again are replaced.

    Raises
    ------
    UserError : as `refuse_existing`.
    """
    refuse_existing(folder, force)
    if not (folder.is_dir() and any(folder.iterdir())):
        with atomic_folder(folder) as temporary:
            _write(bundle, temporary)
    else:
        stems = [*PARTS, *INPUTS, "reviews"]
        old = [RECORD, *(f"{name}.tsv" for stem in stems for name in (stem, indexed(stem))), USERS_MAP, ITEMS_MAP]
        for name in old:  # the record first: what is left of a killed import is not taken for a split
            (folder / name).unlink(missing_ok=True)
        _write(bundle, folder)
    parts = bundle.interactions
    if isinstance(parts, Parts) and parts.validation is None:
        logger.warning(
            "{}: imported, without a validation part, which every choice of a model needs; next: an experiment file "
            "with `strategy: fixed`, this train.tsv and test.tsv, and `splitting: {{validation_splitting: ...}}`",
            folder,
        )
    else:
        logger.success("{}: imported; next: python run_split.py --dataset {}", folder, folder.name)


def refuse_existing(folder: Path, force: bool) -> None:
    """`UserError` where there is something already, unless it is a folder and `force` is given."""
    there = folder.is_dir() and any(folder.iterdir())
    if (there and not force) or (folder.exists() and not folder.is_dir()):
        raise UserError("there is something already", where=folder, mend="choose another name, or say --force")


def _write(bundle: Bundle, folder: Path) -> None:
    for vectors in bundle.vectors:
        _write_table(vectors, folder / vectors.output / vectors.table, bundle.source)
    if bundle.texts is not None:
        ids, columns = bundle.texts
        write_text(folder / META, _as_tsv(["item_id", *columns], [ids, *columns.values()]))
    if isinstance(bundle.interactions, Interactions):
        _write_part(folder / "reviews.tsv", bundle.interactions)
        return
    parts = bundle.interactions
    for name, part in zip(PARTS, (parts.train, parts.validation, parts.test), strict=True):
        if part is not None:
            _write_part(folder / f"{name}.tsv", part)


def _write_part(path: Path, part: Interactions) -> None:
    write_interactions(path, part, part.user_ids[part.users], part.item_ids[part.items])


def _write_table(vectors: Vectors, table: Path, source: dict[str, str]) -> None:
    with TableWriter(table, vectors.ids) as writer:
        for start in range(0, len(vectors.ids), _BLOCK):
            rows = range(start, min(start + _BLOCK, len(vectors.ids)))
            writer.write(rows, vectors.rows[start : start + _BLOCK])
        writer.commit({"recipe": {"imported": source}})


def _as_tsv(header: list[str], columns: list[list[str]]) -> str:
    rows = [header, *zip(*columns, strict=True)]
    return "".join("\t".join(row) + "\n" for row in rows)
