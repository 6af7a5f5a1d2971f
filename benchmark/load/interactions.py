"""The interactions of an experiment file: read, filtered, cut, looked at by the guard, re-indexed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Candidates, Dataset, build_dataset
from benchmark.data.formats.elliot import read_hierarchy
from benchmark.data.formats.mmrec import read_labelled
from benchmark.data.formats.recom_data import read_recom_data
from benchmark.data.interactions import Interactions, read_interactions, write_interactions
from benchmark.data.prefilters import apply_prefilters
from benchmark.data.splitters import Draws, Parts, hold_out
from benchmark.guard import Finding, inspect_split, over_folds, tell
from benchmark.load.features import drop_items_without_features
from workbench.config import located
from workbench.errors import UserError
from workbench.files import fingerprint, read_json, sha256_array, sha256_file

_BY_TIME = {"TemporalHoldOut", "LeaveOneOut", "GlobalTime", "FixedTimestamp"}


Splits = list[list[Dataset]]  # [test fold][validation fold]; the test folds of one seed after those of another


def load_splits(file: ExperimentFile, candidates: Candidates = "train") -> tuple[Splits, list[Finding]]:
    """The splits of an experiment, without the items that the policy `drop` takes out, and what the guard says of them.

    Raises
    ------
    UserError : a file that cannot be read, test folds with different numbers of validation folds, or several seeds on
        which the split does not depend.
    """
    config, seeds = file.experiment.data_config, file.experiment.random_seeds
    rate = config.missing_rate[0]  # the only one under `drop`
    cut = _read(file)
    _refuse_same_splits(file, cut)
    if config.strategy == "dataset":
        _save_splits(file, [inner for own in cut for inner in own])
    folds = [
        [drop_items_without_features(file.under_seed(seed), parts, rate, config.missing_items) for parts in inner]
        for seed, own in zip(seeds, cut, strict=True)
        for inner in own
    ]
    if len({len(inner) for inner in folds}) > 1:
        raise UserError(
            f"test folds have {', '.join(str(len(inner)) for inner in folds)} validation folds",
            mend="give every test fold as many",
        )
    findings = _inspect(folds, _rules(file), candidates)
    tell(findings)
    binarize = file.experiment.binarize
    return [[build_dataset(parts, binarize, candidates) for parts in inner] for inner in folds], findings


def seeds_of(file: ExperimentFile, splits: Splits) -> list[int]:
    """The seed of each test fold."""
    seeds = file.experiment.random_seeds
    return [seed for seed in seeds for _ in range(len(splits) // len(seeds))]


def check_sources(file: ExperimentFile) -> None:
    """Refuse paths of interactions that lead nowhere, before anything is read.

    Raises
    ------
    UserError : the first of them.
    """
    config = file.experiment.data_config
    for key in type(config).model_fields:
        given = getattr(config, key)
        if (key.endswith("_path") or key == "root_folder") and given is not None and not file.path(given).exists():
            raise UserError(
                f"no such interaction file: {file.path(given)}",
                where=file.document.where(("experiment", "data_config", key)),
                mend=_remedy(file, file.path(given)),
            )


def _remedy(file: ExperimentFile, path: Path) -> str:
    """For a path of interactions that is not there."""
    if file.experiment.data_config.strategy != "recom_data":
        return f"mend the path, or make the parts: python run_split.py --dataset {file.experiment.dataset}"
    there = sorted(each.name for each in path.parent.glob("*/")) if path.parent.is_dir() else []
    return f"unpack the folder there; in {path.parent} there are: {', '.join(there[:6]) or 'none'}"


def warn_of_changes(folder: Path) -> None:
    """Warn of parts that are no longer those that `run_split.py` wrote, and of reviews that changed since."""
    record = _split_record(folder)
    expected = {record.get("reviews", "reviews.tsv"): record.get("recipe", {}).get("reviews_sha256")}
    expected |= {f"{name}.tsv": digest for name, digest in record.get("sha256", {}).items()}
    expected |= {f"{name}_indexed.tsv": digest for name, digest in record.get("indexed_sha256", {}).items()}
    changed = [
        name
        for name, digest in expected.items()
        if digest is not None and (folder / name).is_file() and sha256_file(folder / name) != digest
    ]
    if changed:
        logger.warning("{}: changed since the split was made: {}; run run_split.py again", folder, ", ".join(changed))


def _inspect(folds: list[list[Parts]], rules: dict[str, str], candidates: Candidates) -> list[Finding]:
    by_time = {part for part, rule in rules.items() if rule in _BY_TIME}
    if folds[0][0].train.timestamps is None:  # then that rule draws at random
        by_time -= {part for part, rule in rules.items() if rule == "LeaveOneOut"}
    return over_folds(
        {
            f"{test}/{validation}": inspect_split(parts, by_time, candidates)
            for test, inner in enumerate(folds)
            for validation, parts in enumerate(inner)
        }
    )


def _split_record(folder: Path) -> dict[str, Any]:
    return read_json(folder / "split.json") if (folder / "split.json").is_file() else {}


def _read(file: ExperimentFile) -> list[list[list[Parts]]]:
    """The parts, [seed][test fold][validation fold]."""
    seeds = file.experiment.random_seeds
    if file.experiment.data_config.strategy == "dataset":
        return _cut(file, seeds)
    ready = _ready(file)
    return [
        [[each for parts in inner for each in _with_validation(file, parts, seed)] for inner in ready] for seed in seeds
    ]


def _ready(file: ExperimentFile) -> list[list[Parts]]:
    """Parts that were cut before, [test fold][validation fold]."""
    config = file.experiment.data_config
    if config.strategy == "hierarchy":
        assert config.root_folder is not None
        warn_of_changes(file.path(config.root_folder).parent)
        return read_hierarchy(file.path(config.root_folder), config.duplicates)
    if config.strategy == "recom_data":
        assert config.dataset_path is not None
        return [[read_recom_data(file.path(config.dataset_path))]]
    if config.strategy == "mmrec":
        assert config.dataset_path is not None
        return [[read_labelled(file.path(config.dataset_path), config.duplicates)]]
    assert config.train_path is not None and config.test_path is not None
    warn_of_changes(file.path(config.train_path).parent)

    def read(path: str | None) -> Interactions | None:
        return None if path is None else read_interactions(file.path(path), config.duplicates, config.layout())

    given = (config.train_path, config.validation_path, config.test_path)
    train, validation, test = (read(path) for path in given)
    assert train is not None and test is not None
    shown = read(config.validation_input_path), read(config.test_input_path)
    return [[Parts(train, validation, test, *shown)]]


def _with_validation(file: ExperimentFile, parts: Parts, seed: int) -> list[Parts]:
    """Ready parts; without a validation part, those that `validation_splitting` holds out of training."""
    splitting = file.experiment.splitting
    if splitting is None or splitting.validation_splitting is None:
        return [parts]
    rule, draws = splitting.validation_splitting.build(), Draws(seed)
    with located(file.document, ("experiment", "splitting")):
        folds = hold_out(parts.train, rule, draws, "validation")
    return [Parts(inner.rest, inner.held_out, parts.test, inner.shown, parts.test_input) for inner in folds]


def _cut(file: ExperimentFile, seeds: Sequence[int]) -> list[list[list[Parts]]]:
    config, splitting = file.experiment.data_config, file.experiment.splitting
    assert config.dataset_path is not None and splitting is not None
    interactions = read_interactions(file.path(config.dataset_path), config.duplicates, config.layout())
    prefilters = [(rule.strategy, rule.build()) for rule in file.experiment.prefiltering]
    with located(file.document, ("experiment", "prefiltering")):
        interactions = apply_prefilters(interactions, prefilters)
    with located(file.document, ("experiment", "splitting")):
        return [splitting.folds(interactions, seed) for seed in seeds]


def _refuse_same_splits(file: ExperimentFile, cut: Sequence[list[list[Parts]]]) -> None:
    """Several seeds are several splits; what is not drawn, or drawn alike, would only be trained and counted twice."""
    first: dict[str, int] = {}
    for seed, folds in zip(file.experiment.random_seeds, cut, strict=True) if len(cut) > 1 else ():
        other = first.setdefault(fingerprint([_rows_of(parts) for inner in folds for parts in inner]), seed)
        if other != seed:
            raise UserError(
                f"the split is the same under the seeds {other} and {seed}: its rules draw nothing",
                where=file.document.where(("experiment", "random_seed")),
                mend="keep one seed, or take a rule that draws, such as random_hold_out or random_k_fold",
            )


def _rows_of(parts: Parts) -> list[list[str] | None]:
    """Hashes of the rows of every part."""
    given = (parts.train, parts.validation, parts.test, parts.validation_input, parts.test_input)
    return [None if part is None else [sha256_array(part.users), sha256_array(part.items)] for part in given]


def _rules(file: ExperimentFile) -> dict[str, str]:
    """The rule that made each held-out part (`test`, `validation`), as far as it is known."""
    config, splitting = file.experiment.data_config, file.experiment.splitting
    beside = {"fixed": config.train_path, "hierarchy": config.root_folder}.get(config.strategy)
    described: dict[str, Any] = {}
    if beside is not None:
        described |= _split_record(file.path(beside).parent).get("recipe", {})
    if splitting is not None:
        described |= splitting.description()
    parts = ((part, described.get(part)) for part in ("test", "validation"))
    return {part: rule["rule"] for part, rule in parts if isinstance(rule, dict) and "rule" in rule}


def _save_splits(file: ExperimentFile, folds: list[list[Parts]]) -> None:
    """Where the file asks for it, Elliot's tree: `0/test.tsv`, and `0/0/train.tsv`, `0/0/val.tsv` (`0/train.tsv`
    without a validation part)."""
    splitting = file.experiment.splitting
    if splitting is None or not splitting.save_on_disk:
        return
    assert splitting.save_folder is not None
    folder = file.path(splitting.save_folder)
    for test, inner in enumerate(folds):
        for validation, parts in enumerate(inner):
            below = folder / str(test) / str(validation) if parts.validation is not None else folder / str(test)
            places = {
                folder / str(test) / "test.tsv": parts.test,
                folder / str(test) / "test_input.tsv": parts.test_input,
                below / "train.tsv": parts.train,
                below / "val.tsv": parts.validation,
                below / "val_input.tsv": parts.validation_input,
            }
            for path, part in places.items():
                if part is not None:
                    write_interactions(path, part, part.user_ids[part.users], part.item_ids[part.items])
