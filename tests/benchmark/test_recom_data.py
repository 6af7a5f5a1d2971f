"""Data folders of Align-MacridVAE: what is read, what it means, and what is refused with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_cases import decoded
from pydantic import ValidationError
from recom_cases import BLANK, ITEMS, N_ITEMS, NAME, UNSEEN, USERS, draw_folder, draw_parts, experiment_file, write_ids

from benchmark.config import read_experiment_config, read_experiment_configs
from benchmark.config.data import DataConfig
from benchmark.data.formats.recom_data import is_blank, open_features, read_ids, read_recom_data
from benchmark.experiment import run_experiment
from benchmark.load import load_features, load_splits
from workbench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "RecomData" / NAME)


def refused(call: Callable[[], Any]) -> UserError:
    with pytest.raises(UserError) as caught:
        call()
    return caught.value


def test_the_parts_are_read_under_the_original_ids_and_a_pair_counts_once(folder: Path, log: list[str]) -> None:
    parts = read_recom_data(folder)
    for name, pairs in draw_parts().items():
        expected = [(USERS[user], ITEMS[item], 1.0) for user, item in dict.fromkeys(pairs)]
        assert decoded(getattr(parts, name)) == expected
    assert parts.items is not None and parts.items.tolist() == ITEMS
    assert sum("1 rows of doubled pairs dropped" in line for line in log) == 2


def test_ids_may_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_text("\ufeff,item_id\r\nb,1\r\n\r\na,0\r\n", encoding="utf-8")
    assert read_ids(path) == ["a", "b"]


def test_items_of_the_list_that_stand_in_no_row_are_candidates_if_all_are(folder: Path) -> None:
    path = experiment_file(folder.parents[1], {"MostPop": None})
    ((dataset,),), findings = load_splits(read_experiment_config(path), "all")
    assert sorted(dataset.item_ids) == sorted(ITEMS) and dataset.n_items == N_ITEMS
    assert dataset.item_ids[-1] == ITEMS[UNSEEN], "numbered after those that stand in a row"
    assert dataset.n_users == len(USERS)
    ((known,),), _ = load_splits(read_experiment_config(path), "train")
    trained = {ITEMS[item] for _, item in draw_parts()["train"]}
    assert set(known.item_ids[: known.n_items]) == trained
    (repeated,) = [each for each in findings if each.code == "repeated_pairs"]
    assert repeated.count == 1 and repeated.part == "test"


def test_both_matrices_are_loaded_unasked_in_the_order_of_the_list(folder: Path, log: list[str]) -> None:
    file = read_experiment_config(experiment_file(folder.parents[1], {"MostPop": None}))
    ((dataset,),), _ = load_splits(file, "all")
    loaders = file.experiment.data_config.side_information
    assert [side.modality for side in loaders] == ["visual", "textual"]
    number = {item: row for row, item in enumerate(ITEMS)}
    for side, name in zip(loaders, ("embed_image.npy", "embed_text.npy"), strict=True):
        features, matrix = load_features(file, side, dataset), np.load(folder / name).astype(np.float32)
        rows = [number[item] for item in dataset.item_ids]
        assert features.features.dtype == np.float32
        np.testing.assert_array_equal(features.features, matrix[rows])
        blank = BLANK if side.modality == "visual" else []
        assert features.present.tolist() == [row not in blank for row in rows]
    assert any("2 of 24 items have no features" in line for line in log)


def test_loaders_may_be_named_with_their_own_settings(folder: Path) -> None:
    loader = {"dataloader": "VisualAttribute", "visual_features": "../RecomData/{0}/embed_image.npy"}
    for policy, expected in (("mean", None), ("drop", [item for row, item in enumerate(ITEMS) if row not in BLANK])):
        data = {"strategy": "recom_data", "dataset_path": "../RecomData/{0}"}
        data["side_information"] = [{**loader, "missing": policy}]  # type: ignore[assignment]
        file = read_experiment_config(experiment_file(folder.parents[1], {"MostPop": None}, data_config=data))
        ((dataset,),), _ = load_splits(file, "all")
        (side,) = file.experiment.data_config.side_information
        features = load_features(file, side, dataset)
        if expected is None:
            mean = np.load(folder / "embed_image.npy").astype(np.float32)
            mean = np.delete(mean, BLANK, axis=0).mean(axis=0)
            np.testing.assert_allclose(features.features[~features.present], [mean, mean], rtol=1e-5)
        else:
            assert sorted(dataset.item_ids) == sorted(expected) and features.present.all()


def test_a_matrix_of_zeros_is_a_modality_that_is_not_there(folder: Path, log: list[str]) -> None:
    np.save(folder / "embed_image.npy", np.zeros((N_ITEMS, 256), dtype=np.float32))
    assert is_blank(folder / "embed_image.npy") and not is_blank(folder / "embed_text.npy")
    path = experiment_file(folder.parents[1], {"MostPop": None})
    (side,) = read_experiment_config(path).experiment.data_config.side_information
    assert side.modality == "textual"
    assert any("the data have no visual features" in line for line in log)
    assert "every row is zeros" in refused(lambda: open_features(folder / "embed_image.npy")).what


def test_one_number_in_the_last_row_is_a_feature(tmp_path: Path) -> None:
    matrix = np.zeros((10_000, 3))
    matrix[-1, -1] = 1e-9
    np.save(tmp_path / "m.npy", matrix)
    assert not is_blank(tmp_path / "m.npy")


def test_each_of_several_data_sets_has_its_own_modalities(folder: Path) -> None:
    other = draw_folder(folder.parent / "Toys-none_clip")
    np.save(other / "embed_image.npy", np.zeros((N_ITEMS, 256), dtype=np.float32))
    path = experiment_file(folder.parents[1], {"MostPop": None}, dataset=[NAME, other.name])
    both, single = (file.experiment.data_config.feature_sets for file in read_experiment_configs(path))
    assert both[0].modalities == ("visual", "textual") and single[0].modalities == ("textual",)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_of_either_precision_train_a_model(folder: Path, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parents[1])
    np.save(folder / "embed_text.npy", np.load(folder / "embed_text.npy").astype(dtype))
    models = {"external.VBPR": {"epochs": 2, "batch_size": 32, "factors": 4, "lr": 0.01}}
    results = run_experiment(experiment_file(folder.parents[1], models))
    assert (results / "results.tsv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("name", "content", "where", "what"),
    [
        ("train.txt", "user,item\n0,1\n0,24\n", ":3", "the item '24' is no whole number from 0 to 23"),
        ("test.txt", "user,item\n-1,1\n", ":2", "the user '-1' is no whole number from 0 to 13"),
        ("validation.txt", "user,item\n0,1\n\n1.0,1\n", ":4", "the user '1.0' is no whole number"),
        ("train.txt", "user,item\n0,x\n1,y\n", ":2", "from 0 to 23, those of items.txt (2 such rows"),
        ("train.txt", "user,item\n0\n", ":2", "no item in this row"),
        ("train.txt", "user,item\n0,1,2\n", ":2", "more than the 2 columns of the first line"),
        ("train.txt", "user,item\n0,1\n0,1,2\n", ":3", "3 columns where the first line has 2"),
        ("train.txt", "0,1\n", ":1", "no column 'user'"),
        ("test.txt", "user,item\n", "", "holds no interactions"),
        ("test.txt", None, "", "no such file"),
        ("users.txt", None, "", "no such file"),
        ("users.txt", ",0\n", "", "no id below the header"),
        ("users.txt", ",0\na,0\nb\n", ":3", "an id and its number are expected"),
        ("users.txt", ",0\na,0\nb,1.5\n", ":3", "an id and its number are expected"),
        ("users.txt", ",0\na,0\nb," + "9" * 5000 + "\n", ":3", "an id and its number are expected"),
        ("users.txt", ",0\na,0\na,1\n", ":3", "stands twice"),
        ("users.txt", ",0\na,0\nb,0\n", ":3", "stands twice"),
        ("users.txt", ",0\na,0\nb,2\n", ":3", "the number 2 in a list of 2"),
        ("users.txt", ",0\na," + "x" * 200_000 + "\n", ":2", "not readable as CSV"),
    ],
)  # fmt: skip
def test_tables_that_make_no_sense_are_refused_with_their_line(
    folder: Path, name: str, content: str | None, where: str, what: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    error = refused(lambda: read_recom_data(folder))
    assert what in error.what and error.where == f"{folder / name}{where}" and error.mend != ""


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "absent": (lambda path: path.unlink(), "no feature matrix there"),
    "few rows": (lambda path: np.save(path, np.ones((N_ITEMS - 1, 3))), "23 rows, and items.txt has 24 items"),
    "many rows": (lambda path: np.save(path, np.ones((N_ITEMS + 1, 3))), "25 rows, and items.txt has 24 items"),
    "flat": (lambda path: np.save(path, np.ones(N_ITEMS)), "shape (24,) where (items, D)"),
    "integers": (lambda path: np.save(path, np.ones((N_ITEMS, 3), dtype=int)), "values of type int64"),
    "objects": (
        lambda path: np.save(path, np.array([["a"]] * N_ITEMS, dtype=object), allow_pickle=True),
        "not readable as a matrix",
    ),
    "text": (lambda path: path.write_text("no matrix"), "not readable as a matrix"),
    "NaN": (lambda path: np.save(path, np.full((N_ITEMS, 3), np.nan)), "has NaN, infinite or too large features"),
    "huge": (lambda path: np.save(path, np.full((N_ITEMS, 3), 1e300)), "has NaN, infinite or too large features"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_matrices_that_make_no_sense_are_refused(folder: Path, kind: str) -> None:
    spoil, what = SPOILT[kind]
    spoil(folder / "embed_text.npy")

    def load() -> None:
        file = read_experiment_config(experiment_file(folder.parents[1], {"MostPop": None}))
        ((dataset,),), _ = load_splits(file, "all")
        for side in file.experiment.data_config.side_information:
            load_features(file, side, dataset)

    error = refused(load)
    assert what in error.what and Path(str(error.where)).name == "embed_text.npy"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refused(lambda: run_experiment(experiment_file(tmp_path, {"MostPop": None})))
    assert "no such interaction file" in error.what


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"duplicates": "first"}, "takes no duplicates"),
        ({"format": "csv"}, "knows its files and takes no format"),
        ({"dataset_path": None}, "needs dataset_path"),
    ],
)
def test_keys_that_do_not_go_with_a_folder_are_refused(keys: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        DataConfig.model_validate({"strategy": "recom_data", "dataset_path": "x", **keys})


def test_its_validation_part_is_not_drawn_again(folder: Path) -> None:
    splitting = {"validation_splitting": {"strategy": "random_hold_out", "test_ratio": 0.2}}
    path = experiment_file(folder.parents[1], {"MostPop": None}, splitting=splitting)
    assert "reads ready parts: remove `splitting`" in refused(lambda: read_experiment_config(path)).what


def test_original_ids_that_are_numbers_are_not_taken_for_rows(folder: Path) -> None:
    """MovieLens' ids are numbers: the n-th row is that of the n-th item, not of item n."""
    ids = [str(3 * row + 1) for row in range(N_ITEMS)]
    write_ids(folder / "items.txt", ",item_id", ids)
    values, present = open_features(folder / "embed_text.npy").gather([ids[7], "0"])
    np.testing.assert_array_equal(values[0], np.load(folder / "embed_text.npy")[7].astype(np.float32))
    assert present.tolist() == [True, False]
