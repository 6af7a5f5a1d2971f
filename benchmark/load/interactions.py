"""The interactions of an experiment file."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset, build_dataset
from benchmark.data.interactions import read_interactions, write_interactions
from benchmark.data.prefilters import apply_prefilters
from benchmark.data.splitters import Parts, split
from workbench.files import read_json, sha256_file


def load_dataset(file: ExperimentFile) -> Dataset:
    """Read the ready parts (`fixed`), or read one file and cut it (`dataset`)."""
    config = file.experiment.data_config
    if config.strategy == "fixed":
        assert config.train_path is not None and config.test_path is not None
        warn_of_changes(file.path(config.train_path).parent)
        given = (config.train_path, config.validation_path, config.test_path)
        train, validation, test = (
            None if path is None else read_interactions(file.path(path), config.duplicates) for path in given
        )
        assert train is not None and test is not None
        return build_dataset(Parts(train, validation, test), file.experiment.binarize)
    assert config.dataset_path is not None and file.experiment.splitting is not None
    interactions = read_interactions(file.path(config.dataset_path), config.duplicates)
    prefilters = [(rule.strategy, rule.build()) for rule in file.experiment.prefiltering]
    interactions = apply_prefilters(interactions, prefilters)
    splitting = file.experiment.splitting
    rule = splitting.validation_splitting
    parts = split(
        interactions,
        splitting.test_splitting.build(),
        rule.build() if rule else None,
        file.experiment.random_seed,
    )
    if splitting.save_on_disk:
        assert splitting.save_folder is not None
        _save_split(file.path(splitting.save_folder), parts)
    return build_dataset(parts, file.experiment.binarize)


def warn_of_changes(folder: Path) -> None:
    """Warn of parts that are no longer those that `run_split.py` wrote, and of reviews that changed since."""
    if not (folder / "split.json").is_file():
        return
    record = read_json(folder / "split.json")
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


def _save_split(folder: Path, parts: Parts) -> None:
    """Elliot's tree: `0/test.tsv`, and `0/0/train.tsv`, `0/0/val.tsv` (`0/train.tsv` without a validation part)."""
    inner = folder / "0" / "0" if parts.validation is not None else folder / "0"
    places = {
        folder / "0" / "test.tsv": parts.test,
        inner / "train.tsv": parts.train,
        inner / "val.tsv": parts.validation,
    }
    for path, part in places.items():
        if part is not None:
            write_interactions(path, part, part.user_ids[part.users], part.item_ids[part.items])
