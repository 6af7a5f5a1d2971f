"""Writing a split data folder in the form of MMRec, RecBole, Elliot or Align-MacridVAE."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from loguru import logger

from benchmark.data.formats import recom_data
from benchmark.data.formats.mmrec import ITEM_MAP, LABELS, USER_MAP
from benchmark.data.interactions import Interactions, write_interactions
from benchmark.data.raw_ids import ITEMS_MAP, USERS_MAP
from benchmark.prepare.layout import PARTS
from bottega.data.names import OUTPUTS, STEMS
from bottega.data.prepared import Prepared
from workbench.errors import UserError
from workbench.features import indexed_output
from workbench.files import atomic_folder, write_json, write_text

_WIDTH_OF_NONE = 256


def write_target(form: str, prepared: Prepared, out: Path) -> None:
    """Write a new folder, whole or not at all.

    Raises
    ------
    UserError : there is something at `out`.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError("there is something already", where=out, mend="name a new folder")
    write = {"mmrec": _mmrec, "recbole": _recbole, "elliot": _elliot, "recom_data": _recom_data}[form]
    with atomic_folder(out) as folder:
        write(prepared, folder)


def _mmrec(prepared: Prepared, folder: Path) -> None:
    """`<ds>.inter`, both maps, and a matrix a modality; rows that no item has are filled with the mean and listed."""
    tables = []
    for name, label in zip(PARTS, LABELS.values(), strict=True):
        part = prepared.parts[name]
        users, items = prepared.numbers(part)
        table = {"userID": users, "itemID": items, **_values(prepared, part), "x_label": [label] * len(part)}
        tables.append(pd.DataFrame(table))
    _write_tsv(folder / f"{prepared.name}.inter", pd.concat(tables))
    for name, header, index in (
        (USER_MAP, "user_id\tuserID", prepared.users),
        (ITEM_MAP, "item_id\titemID", prepared.items),
    ):
        write_text(folder / name, _lines([header, *(f"{raw}\t{number}" for raw, number in index.items())]))
    for modality in prepared.tables:
        stem = f"{STEMS[modality]}_feat"
        values, present = prepared.features(modality)
        if not present.all():
            values[~present] = values[present].mean(axis=0)
            rows = np.flatnonzero(~present).tolist()
            write_json(
                folder / f"{stem}_missing.json", {"filled_with": "mean of the rows that are there", "rows": rows}
            )
            logger.warning("{}.npy: {} rows are filled with the mean, see {}_missing.json", stem, len(rows), stem)
        np.save(folder / f"{stem}.npy", values)


def _recbole(prepared: Prepared, folder: Path) -> None:
    """`<ds>.{train,valid,test}.inter`, `<ds>.item` with a float_seq a modality, and the settings that load them."""
    name = prepared.name
    types = {"rating": "rating:float", "timestamp": "timestamp:float"}
    for stem, target in zip(PARTS, ("train", "valid", "test"), strict=True):
        part = prepared.parts[stem]
        table = {"user_id:token": part.user_ids[part.users], "item_id:token": part.item_ids[part.items]}
        table |= {types[role]: values for role, values in _values(prepared, part).items()}
        _write_tsv(folder / f"{name}.{target}.inter", pd.DataFrame(table))
    columns = ["user_id", "item_id", *_values(prepared, prepared.parts["train"])]
    settings: dict[str, Any] = {"benchmark_filename": ["train", "valid", "test"], "load_col": {"inter": columns}}
    if prepared.tables:
        stems = [f"{STEMS[modality]}_feat" for modality in prepared.tables]
        cells = [_sequences(*prepared.features(modality)) for modality in prepared.tables]
        header = "\t".join(["item_id:token", *(f"{stem}:float_seq" for stem in stems)])
        rows = ("\t".join(row) for row in zip(prepared.items, *cells, strict=True))
        write_text(folder / f"{name}.item", _lines([header, *rows]))
        settings["load_col"]["item"] = ["item_id", *stems]
    write_text(folder / f"{name}.yaml", yaml.safe_dump(settings, sort_keys=False))


def _elliot(prepared: Prepared, folder: Path) -> None:
    """`data/<ds>` under integers, features as `<int>.npy`, and `config_files/<ds>.yml` that reads them."""
    place = folder / "data" / prepared.name
    place.mkdir(parents=True)
    for name, part in prepared.parts.items():
        write_interactions(place / f"{name}.tsv", part, *prepared.numbers(part))
    for name, index in ((USERS_MAP, prepared.users), (ITEMS_MAP, prepared.items)):
        write_text(place / name, _lines(f"{raw}\t{number}" for raw, number in index.items()))
    loaders = []
    for modality, table in prepared.tables.items():
        layer = _indexed_place(prepared, modality, table.path)
        (place / layer).mkdir(parents=True)
        values, present = prepared.features(modality)
        for number in np.flatnonzero(present).tolist():
            np.save(place / layer / f"{number}.npy", values[number : number + 1])
        attribute = {"visual": "VisualAttribute", "textual": "TextualAttribute", "audio": "AudioAttribute"}[modality]
        loaders.append({"dataloader": attribute, f"{modality}_features": f"../data/{{0}}/{layer.as_posix()}"})
    paths = {"train_path": "train", "validation_path": "val", "test_path": "test"}
    data = {"strategy": "fixed", **{key: f"../data/{{0}}/{stem}.tsv" for key, stem in paths.items()}}
    experiment = {
        "backend": ["pytorch"],
        "dataset": prepared.name,
        "data_config": {**data, **({"side_information": loaders} if loaders else {})},
        "top_k": 20,
        "evaluation": {"cutoffs": [10, 20], "simple_metrics": ["Recall", "nDCG", "HR"]},
        "gpu": -1,
        "models": {"MostPop": {"meta": {"save_recs": False}}},
    }
    settings = folder / "config_files" / f"{prepared.name}.yml"
    write_text(settings, yaml.safe_dump({"experiment": experiment}, sort_keys=False, allow_unicode=True))


def _recom_data(prepared: Prepared, folder: Path) -> None:
    """Parts and lists of ids as CSV; (I, D) float64 features, or (I, 256) float32 zeros for a modality without any.

    Items without features have a row of zeros, which reads back as none.
    """
    for name, header, index in (
        (recom_data.USERS, ["", "0"], prepared.users),
        (recom_data.ITEMS, ["", "item_id"], prepared.items),
    ):
        _write_csv(folder / name, dict(zip(header, (list(index), list(index.values())), strict=True)))
    for name, file in zip(PARTS, recom_data.PARTS.values(), strict=True):
        users, items = prepared.numbers(prepared.parts[name])
        _write_csv(folder / file, {"user": users, "item": items})
    for modality, file in recom_data.MATRICES.items():
        if modality not in prepared.tables:
            np.save(folder / file, np.zeros((len(prepared.items), _WIDTH_OF_NONE), dtype=np.float32))
            continue
        values, present = prepared.features(modality)
        blank = int((present & ~values.any(axis=1)).sum())
        if blank:
            logger.warning("{}: the features of {} items are all zeros, and read back as none", file, blank)
        np.save(folder / file, values.astype(np.float64))
    lost = [f"{modality} features" for modality in prepared.tables if modality not in recom_data.MATRICES]
    lost += sorted({role for part in prepared.parts.values() for role in _values(prepared, part)})
    if lost:
        logger.warning("{}: this form has no place for {}", prepared.name, ", ".join(lost))


def _indexed_place(prepared: Prepared, modality: str, table: Path) -> Path:
    """`visual_embeddings_32/a/b/c` -> `visual_embeddings_indexed_32/a/b/c`; from elsewhere, the last three names."""
    if table.resolve().is_relative_to(prepared.folder.resolve()):
        output, *rest = table.resolve().relative_to(prepared.folder.resolve()).parts
        return Path(indexed_output(output), *rest)
    return Path(indexed_output(OUTPUTS[modality]), *table.parts[-3:])


def _values(prepared: Prepared, part: Interactions) -> dict[str, np.ndarray]:
    """Rating texts and timestamps, where every part has them."""
    columns: dict[str, np.ndarray] = {}
    if part.rating_texts is not None and all(each.rating_texts is not None for each in prepared.parts.values()):
        columns["rating"] = part.rating_texts
    if part.timestamps is not None and all(each.timestamps is not None for each in prepared.parts.values()):
        columns["timestamp"] = part.timestamps
    return columns


def _sequences(values: np.ndarray, present: np.ndarray) -> list[str]:
    """Rows as blank-separated numbers that read back as the same float32; empty where the item has none."""
    pattern = " ".join(["%.9g"] * values.shape[1])
    return [pattern % tuple(row) if has else "" for row, has in zip(values.tolist(), present.tolist(), strict=True)]


def _write_csv(path: Path, columns: dict[str, Any]) -> None:
    pd.DataFrame(columns).to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _write_tsv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, sep="\t", index=False, quoting=3, encoding="utf-8", lineterminator="\n")


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
