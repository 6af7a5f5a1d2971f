"""The interactions of an experiment file: read, filtered, cut, looked at by the guard, re-indexed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loguru import logger

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Candidates, Dataset, build_dataset
from benchmark.data.formats.elliot import read_hierarchy
from benchmark.data.formats.mmrec import read_labelled
from benchmark.data.interactions import Interactions, read_interactions, write_interactions
from benchmark.data.prefilters import apply_prefilters
from benchmark.data.splitters import Draws, Parts, hold_out
from benchmark.guard import Finding, inspect_split, tell
from benchmark.load.features import drop_items_without_features
from workbench.errors import UserError
from workbench.files import read_json, sha256_file

_BY_TIME = {"TemporalHoldOut", "LeaveOneOut", "GlobalTime", "FixedTimestamp"}


Splits = list[list[Dataset]]  # [test fold][validation fold]


def load_splits(file: ExperimentFile, candidates: Candidates = "train") -> tuple[dict[float, Splits], list[Finding]]:
    """The splits of an experiment by missing rate, and what the guard says of the first.

    They differ between rates only where items that lose their features leave the data set.

    Raises
    ------
    UserError : a file that cannot be read, or test folds with different numbers of validation folds.
    """
    config, binarize = file.experiment.data_config, file.experiment.binarize
    folds = _read(file)
    if len({len(inner) for inner in folds}) > 1:
        raise UserError(
            f"test folds have {', '.join(str(len(inner)) for inner in folds)} validation folds",
            mend="give every test fold as many",
        )
    drops = any(side.missing.policy == "drop" for side in config.side_information)
    findings: list[Finding] = []
    splits: dict[float, Splits] = {}
    for rate in config.missing_rate:
        if splits and not drops:
            splits[rate] = next(iter(splits.values()))
            continue
        kept = [
            [drop_items_without_features(file, parts, rate, config.missing_items) for parts in inner] for inner in folds
        ]
        if not splits:
            findings = _inspect(kept, bool(_rules(file) & _BY_TIME), candidates)
            tell(findings)
        splits[rate] = [[build_dataset(parts, binarize, candidates) for parts in inner] for inner in kept]
    return splits, findings


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


def _inspect(folds: list[list[Parts]], by_time: bool, candidates: Candidates) -> list[Finding]:
    findings: list[Finding] = []
    for test, inner in enumerate(folds):
        for validation, parts in enumerate(inner):
            found = inspect_split(parts, by_time, candidates)
            several = len(folds) * len(inner) > 1
            findings += [each.of_fold(f"{test}/{validation}") for each in found] if several else found
    return findings


def _split_record(folder: Path) -> dict[str, Any]:
    return read_json(folder / "split.json") if (folder / "split.json").is_file() else {}


def _read(file: ExperimentFile) -> list[list[Parts]]:
    config = file.experiment.data_config
    if config.strategy == "hierarchy":
        assert config.root_folder is not None
        warn_of_changes(file.path(config.root_folder).parent)
        return [
            [each for parts in inner for each in _with_validation(file, parts)]
            for inner in read_hierarchy(file.path(config.root_folder), config.duplicates)
        ]
    if config.strategy == "mmrec":
        assert config.dataset_path is not None
        return [_with_validation(file, read_labelled(file.path(config.dataset_path), config.duplicates))]
    return [_fixed(file)] if config.strategy == "fixed" else _cut(file)


def _fixed(file: ExperimentFile) -> list[Parts]:
    config = file.experiment.data_config
    assert config.train_path is not None and config.test_path is not None
    warn_of_changes(file.path(config.train_path).parent)

    def read(path: str | None) -> Interactions | None:
        return None if path is None else read_interactions(file.path(path), config.duplicates, config.layout())

    given = (config.train_path, config.validation_path, config.test_path)
    train, validation, test = (read(path) for path in given)
    assert train is not None and test is not None
    shown = read(config.validation_input_path), read(config.test_input_path)
    return _with_validation(file, Parts(train, validation, test, *shown))


def _with_validation(file: ExperimentFile, parts: Parts) -> list[Parts]:
    """Ready parts; without a validation part, those that `validation_splitting` holds out of training."""
    splitting = file.experiment.splitting
    if splitting is None or splitting.validation_splitting is None:
        return [parts]
    draws = Draws(file.experiment.random_seed)
    return [
        Parts(inner.rest, inner.held_out, parts.test, inner.shown, parts.test_input)
        for inner in hold_out(parts.train, splitting.validation_splitting.build(), draws)
    ]


def _cut(file: ExperimentFile) -> list[list[Parts]]:
    config, splitting = file.experiment.data_config, file.experiment.splitting
    assert config.dataset_path is not None and splitting is not None
    interactions = read_interactions(file.path(config.dataset_path), config.duplicates, config.layout())
    prefilters = [(rule.strategy, rule.build()) for rule in file.experiment.prefiltering]
    interactions = apply_prefilters(interactions, prefilters)
    folds = splitting.folds(interactions, file.experiment.random_seed)
    if splitting.save_on_disk:
        assert splitting.save_folder is not None
        _save_splits(file.path(splitting.save_folder), folds)
    return folds


def _rules(file: ExperimentFile) -> set[str]:
    """Names of the rules that made the split, as far as they are known."""
    config, splitting = file.experiment.data_config, file.experiment.splitting
    described: list[Any] = list(splitting.description().values()) if splitting else []
    beside = {"fixed": config.train_path, "hierarchy": config.root_folder}.get(config.strategy)
    if beside is not None:
        described += list(_split_record(file.path(beside).parent).get("recipe", {}).values())
    return {each["rule"] for each in described if isinstance(each, dict) and "rule" in each}


def _save_splits(folder: Path, folds: list[list[Parts]]) -> None:
    """Elliot's tree: `0/test.tsv`, and `0/0/train.tsv`, `0/0/val.tsv` (`0/train.tsv` without a validation part)."""
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
