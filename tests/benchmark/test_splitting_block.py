"""The `splitting` block: what is legal, what is built from it, and what is said otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_cases import drawn_interactions

from benchmark.config import Splitting, read_split_config
from benchmark.data.splitters import (
    AlignMacridVAE,
    FixedTimestamp,
    GlobalTime,
    ItemColdStart,
    LeaveOneOut,
    MMRec,
    MultVAE,
    RandomCrossValidation,
    RandomHoldOut,
    RandomKFold,
    RandomSubsampling,
    TemporalHoldOut,
    UserColdStart,
)
from workbench.errors import UserError

TEST = {"strategy": "random_subsampling", "test_ratio": 0.2}


def read(place: Path, splitting: object, **more: object) -> Splitting:
    path = place / "split.yml"
    path.write_text(yaml.safe_dump({"experiment": {"splitting": splitting, **more}}))
    return read_split_config("shop", path).splitting


@pytest.mark.parametrize(
    ("given", "built"),
    [
        ({"strategy": "random_subsampling", "leave_n_out": 2, "folds": 3}, RandomSubsampling(None, 2, 3)),
        ({"strategy": "random_hold_out", "test_ratio": 0.3}, RandomHoldOut(0.3)),
        ({"strategy": "random_cross_validation", "folds": 5}, RandomCrossValidation(5)),
        ({"strategy": "random_k_fold", "folds": 2}, RandomKFold(2)),
        ({"strategy": "temporal_hold_out", "leave_n_out": 1}, TemporalHoldOut(None, 1)),
        ({"strategy": "leave_one_out"}, LeaveOneOut()),
        ({"strategy": "global_time", "test_ratio": 0.2}, GlobalTime(0.2)),
        ({"strategy": "fixed_timestamp", "timestamp": "1609786061"}, FixedTimestamp(1609786061)),
        ({"strategy": "fixed_timestamp", "timestamp": "best", "min_over": 2}, FixedTimestamp("best", 1, 2)),
        ({"strategy": "user_cold_start", "users": 0.1}, UserColdStart(0.1)),
        ({"strategy": "user_cold_start", "users": 99, "fold_in": 0.5, "min_rows": 2}, UserColdStart(99, 0.5, 2)),
        ({"strategy": "item_cold_start", "items": 0.2, "strata": 4}, ItemColdStart(0.2, 4)),
    ],
)
def test_a_rule_is_built_from_its_keys(tmp_path: Path, given: dict[str, Any], built: object) -> None:
    settings = read(tmp_path, {"test_splitting": given, "validation_splitting": TEST})
    assert settings.test_splitting is not None
    assert settings.test_splitting.build() == built


@pytest.mark.parametrize(
    ("given", "built"),
    [
        ("mmrec", MMRec()),
        ({"strategy": "align_macridvae"}, AlignMacridVAE()),
        ("mult_vae", MultVAE()),
        ({"strategy": "mult_vae", "held_out_users": 10000, "min_rows": 3}, MultVAE(10000, 0.8, 3)),
    ],
)
def test_a_recipe_is_named_or_given_with_its_keys(tmp_path: Path, given: object, built: object) -> None:
    settings = read(tmp_path, {"recipe": given})
    assert settings.recipe is not None
    assert settings.recipe.build() == built


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ({"strategy": "random_subsampling"}, "takes leave_n_out, or test_ratio"),
        ({"strategy": "random_hold_out", "test_ratio": 0.2, "leave_n_out": 1}, "takes test_ratio, or leave_n_out"),
        ({"strategy": "random_cross_validation"}, "random_cross_validation takes folds; given: none"),
        ({"strategy": "random_k_fold", "folds": 1}, "random_k_fold takes at least 2 folds"),
        ({"strategy": "random_k_fold", "folds": 2, "test_ratio": 0.2}, "random_k_fold takes folds; given: folds"),
        ({"strategy": "temporal_hold_out", "test_ratio": 0.2, "folds": 2}, "takes test_ratio, or leave_n_out; given"),
        ({"strategy": "leave_one_out", "leave_n_out": 1}, "leave_one_out takes no further key; given: leave_n_out"),
        ({"strategy": "global_time", "leave_n_out": 1}, "global_time takes test_ratio; given: leave_n_out"),
        ({"strategy": "fixed_timestamp"}, "fixed_timestamp takes timestamp (optional: min_below, min_over)"),
        ({"strategy": "fixed_timestamp", "timestamp": 5, "min_over": 1}, "go with `timestamp: best`"),
        ({"strategy": "user_cold_start", "fold_in": 0.8}, "takes users (optional: fold_in, min_rows)"),
        ({"strategy": "user_cold_start", "users": 2.5}, "a share below 1 or a whole number"),
        ({"strategy": "user_cold_start", "users": 0}, "greater than 0"),
        ({"strategy": "user_cold_start", "users": 5, "fold_in": 1}, "less than 1"),
        ({"strategy": "item_cold_start", "items": 3}, "less than 1"),
        ({"strategy": "item_cold_start", "items": 0.1, "strata": 0}, "greater than 0"),
    ],
)
def test_a_rule_with_the_wrong_keys_is_told_the_right_ones(tmp_path: Path, rule: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, {"test_splitting": rule, "validation_splitting": TEST})
    said = caught.value.what
    assert what in said or what.replace("leave_n_out, or test_ratio", "test_ratio, or leave_n_out") in said
    assert str(caught.value.where).startswith(f"{tmp_path / 'split.yml'}:")


@pytest.mark.parametrize(
    ("splitting", "what"),
    [
        ({"recipe": "mmrec", "test_splitting": TEST}, "a recipe makes both parts"),
        ({"recipe": "mmrek"}, "recipe"),
        ({"recipe": {"strategy": "mmrec", "min_rows": 5}}, "mmrec takes no further key; given: min_rows"),
        ({"recipe": {"strategy": "mult_vae", "users": 5}}, "unknown key"),
        ({"recipe": {"strategy": "mult_vae", "held_out_users": 1.5}}, "whole number"),
        ({"save_on_disk": False}, "names nothing to hold out"),
        ({"test_splitting": TEST, "validation_splitting": {"strategy": "user_cold_start", "users": 5}}, "on test, too"),
        ({"test_splitting": TEST, "validation_splitting": {"strategy": "item_cold_start", "items": 0.1}}, "on test"),
        ({"test_splitting": TEST}, "no validation_splitting"),
        ({"validation_splitting": TEST}, "no test_splitting"),
    ],
)
def test_a_block_that_cannot_be_meant_is_refused(tmp_path: Path, splitting: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, splitting)
    assert what in caught.value.what


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(UserError, match="random_seed"):
        read(tmp_path, {"recipe": "mmrec"}, random_seed=seed)


@pytest.mark.parametrize(
    ("block", "strategy", "has_validation", "what"),
    [
        ({"validation_splitting": TEST}, "dataset", False, "needs a test_splitting or a recipe"),
        ({"validation_splitting": TEST}, "fixed", True, "remove `splitting`"),
        ({"test_splitting": TEST}, "fixed", False, "keep only its validation_splitting"),
        ({"recipe": "mmrec"}, "hierarchy", False, "the strategy hierarchy reads ready parts"),
    ],
)
def test_a_block_that_does_not_fit_the_data_is_refused(
    block: dict[str, Any], strategy: str, has_validation: bool, what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        Splitting.model_validate(block).check_data(strategy, has_validation)


@pytest.mark.parametrize(
    ("block", "strategy"),
    [
        ({"test_splitting": TEST}, "dataset"),
        ({"recipe": "mmrec"}, "dataset"),
        ({"validation_splitting": TEST}, "fixed"),
    ],
)
def test_a_block_that_fits_the_data_passes(block: dict[str, Any], strategy: str) -> None:
    Splitting.model_validate(block).check_data(strategy, has_validation=False)


def test_a_block_cuts_by_its_rules_or_its_recipe() -> None:
    data = drawn_interactions(0)
    folds = {"strategy": "random_k_fold", "folds": 2}
    made = Splitting.model_validate({"test_splitting": folds, "validation_splitting": {**folds, "folds": 3}})
    assert [len(inner) for inner in made.folds(data, 1)] == [3, 3]
    ((only,),) = Splitting.model_validate({"recipe": "align_macridvae"}).folds(data, 1)
    assert len(only.test) == len(AlignMacridVAE().parts(data, 1).test)
    ((only,),) = Splitting.model_validate({"test_splitting": TEST}).folds(data, 1)
    assert only.validation is None


def test_the_record_of_a_block_has_every_value_of_its_rules() -> None:
    block = Splitting.model_validate({"test_splitting": {"strategy": "user_cold_start", "users": 5}})
    assert block.description() == {"test": {"rule": "UserColdStart", "users": 5, "fold_in": 0.8, "min_rows": 5}}
    assert Splitting.model_validate({"recipe": "mmrec"}).description() == {"recipe": {"rule": "MMRec"}}
