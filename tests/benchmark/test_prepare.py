"""`run_split.py` from inside: a split is made once, kept, or made anew for a reason; ids and tables follow it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_cases import random_reviews, read_rows, write_rows
from support import tree, write_table

from benchmark.load import warn_of_changes
from benchmark.prepare import PARTS, Prepared, prepare
from benchmark.prepare import parts as module
from workbench.errors import UserError
from workbench.features import open_table

SPLITTING = """
experiment:
  random_seed: {seed}
  data_config:
    strategy: dataset
    dataset_path: ../data/{{0}}/{reviews}
    duplicates: {duplicates}
  splitting:
    test_splitting: {{strategy: random_subsampling, {rule}}}
    validation_splitting: {{strategy: random_subsampling, test_ratio: 0.1}}
"""


def config(place: Path, seed: int = 42, rule: str = "test_ratio: 0.2", duplicates: str = "error") -> Path:
    path = place / "config_files" / "split_shop.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SPLITTING.format(seed=seed, rule=rule, duplicates=duplicates, reviews="reviews.tsv"))
    return path


@pytest.fixture
def shop(place: Path) -> Path:
    """`data/shop` with reviews and one feature table that lacks the item i5."""
    folder = place / "data" / "shop"
    write_rows(folder / "reviews.tsv", random_reviews(0))
    items = [f"i{number}" for number in range(40) if number != 5]
    write_table(folder / "visual_embeddings_32" / "torch" / "R" / "pool", items, features(items))
    return folder


def features(items: list[str]) -> np.ndarray:
    """Rows that tell their item."""
    return np.array([[int(item[1:]), -int(item[1:])] for item in items], dtype=np.float32)


def split_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.tsv").read_bytes() for name in PARTS}


def test_the_parts_together_are_the_reviews_row_for_row(shop: Path) -> None:
    made = prepare("shop")
    rows = [row for name in PARTS for row in read_rows(shop / f"{name}.tsv")]
    assert sorted(rows) == sorted(read_rows(shop / "reviews.tsv"))
    assert made.counts == {name: len(read_rows(shop / f"{name}.tsv")) for name in PARTS}
    assert made.folder.resolve() == shop.resolve()


def test_ids_are_numbered_in_the_order_in_which_they_first_stand_in_train_val_test(shop: Path) -> None:
    made = prepare("shop")
    users: list[str] = []
    items: list[str] = []
    for name in PARTS:
        for user, item, *_ in read_rows(shop / f"{name}.tsv"):
            if user not in users:
                users.append(user)
            if item not in items:
                items.append(item)
    assert read_rows(shop / "users_map.tsv") == [(user, str(number)) for number, user in enumerate(users)]
    assert read_rows(shop / "items_map.tsv") == [(item, str(number)) for number, item in enumerate(items)]
    assert (made.users, made.items) == (len(users), len(items))
    for name in PARTS:
        expected = [
            (str(users.index(user)), str(items.index(item)), *rest)
            for user, item, *rest in read_rows(shop / f"{name}.tsv")
        ]
        assert read_rows(shop / f"{name}_indexed.tsv") == expected


def test_tables_follow_the_numbers_and_share_their_bytes(shop: Path) -> None:
    made = prepare("shop")
    twin = shop / "visual_embeddings_indexed_32" / "torch" / "R" / "pool"
    numbers = dict(read_rows(shop / "items_map.tsv"))
    values, present = open_table(twin).gather(list(numbers.values()))
    for item, value, there in zip(numbers, values, present, strict=True):
        assert there == (item != "i5")
        if there:
            assert value.tolist() == [int(item[1:]), -int(item[1:])]
    assert {path.resolve(): count for path, count in made.tables.items()} == {twin.resolve(): int(present.sum())}
    source = shop / "visual_embeddings_32" / "torch" / "R" / "pool.npy"
    assert twin.with_name("pool.npy").stat().st_ino == source.stat().st_ino


def test_the_record_says_what_was_made_from_what(shop: Path) -> None:
    made = prepare("shop")
    record = json.loads((shop / "split.json").read_text())
    assert record["counts"] == made.counts
    assert record["recipe"]["seed"] == 42
    assert len(record["recipe"]["reviews_sha256"]) == 64
    assert set(record["sha256"]) == set(PARTS)


def test_a_second_run_changes_no_byte(shop: Path, log: list[str]) -> None:
    prepare("shop")
    before = tree(shop)
    stamps = {name: (shop / f"{name}.tsv").stat().st_mtime_ns for name in PARTS}
    prepare("shop")
    assert tree(shop) == before
    assert {name: (shop / f"{name}.tsv").stat().st_mtime_ns for name in PARTS} == stamps
    assert any("up to date" in line for line in log)


def test_changed_reviews_are_split_anew(shop: Path) -> None:
    prepare("shop")
    before = split_of(shop)
    write_rows(shop / "reviews.tsv", random_reviews(1))
    prepare("shop")
    assert split_of(shop) != before
    rows = [row for name in PARTS for row in read_rows(shop / f"{name}.tsv")]
    assert sorted(rows) == sorted(read_rows(shop / "reviews.tsv"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"rule": "test_ratio: 0.3"}, {"rule": "leave_n_out: 1"}])
def test_changed_settings_split_anew_and_the_old_settings_bring_the_old_split_back(
    shop: Path, place: Path, change: dict[str, object]
) -> None:
    prepare("shop")
    before = split_of(shop)
    prepare("shop", config(place, **change))  # type: ignore[arg-type]
    assert split_of(shop) != before
    prepare("shop", config(place))
    assert split_of(shop) == before


def test_the_settings_of_the_data_set_are_found_by_name(shop: Path, place: Path) -> None:
    prepare("shop")
    before = split_of(shop)
    config(place, seed=9)
    prepare("shop")
    assert split_of(shop) != before


def test_a_split_edited_by_hand_is_refused_and_kept(shop: Path) -> None:
    prepare("shop")
    rows = read_rows(shop / "train.tsv")
    write_rows(shop / "train.tsv", rows[:-1])
    before = tree(shop)
    with pytest.raises(UserError, match="changed by hand") as caught:
        prepare("shop")
    assert tree(shop) == before
    assert "split.json" in str(caught.value.mend) and "train.tsv" in str(caught.value.mend)
    (shop / "split.json").unlink()
    prepare("shop")
    assert read_rows(shop / "train.tsv") == rows[:-1]


def test_removing_train_tsv_splits_anew(shop: Path) -> None:
    prepare("shop")
    before = split_of(shop)
    write_rows(shop / "val.tsv", [("x", "y", 1, 1)])
    (shop / "train.tsv").unlink()
    prepare("shop")
    assert split_of(shop) == before


def test_a_ready_split_of_somebody_else_is_kept(shop: Path) -> None:
    mine = {"train": [("u", "i1", 1), ("v", "i2", 2)], "val": [("u", "i3", 1)], "test": [("v", "i1", 5)]}
    for name, rows in mine.items():
        write_rows(shop / f"{name}.tsv", rows)
    (shop / "reviews.tsv").unlink()
    made = prepare("shop")
    assert made.counts == {"train": 2, "val": 1, "test": 1}
    assert read_rows(shop / "test.tsv") == [("v", "i1", "5")]
    assert not (shop / "split.json").exists()
    assert read_rows(shop / "items_map.tsv") == [("i1", "0"), ("i2", "1"), ("i3", "2")]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("place_of_kill", range(5))
def test_a_kill_while_splitting_never_leaves_a_mixture_nor_a_split_without_its_record(
    shop: Path, place: Path, monkeypatch: pytest.MonkeyPatch, place_of_kill: int, first: bool
) -> None:
    """The parts of two splits side by side would let test rows into training."""
    prepare("shop", config(place, seed=7))
    wanted = split_of(shop)
    if first:
        for name in ("train.tsv", "val.tsv", "test.tsv", "split.json"):
            (shop / name).unlink()
    else:
        prepare("shop", config(place))

    calls = 0

    def dying(write: Callable[..., None]) -> Callable[..., None]:
        def killed(*arguments: object) -> None:
            nonlocal calls
            calls += 1
            if calls > place_of_kill:
                raise KeyboardInterrupt
            write(*arguments)

        return killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_interactions", dying(module.write_interactions))
        patch.setattr(module, "write_json", dying(module.write_json))
        with pytest.raises(KeyboardInterrupt):
            prepare("shop", config(place, seed=7))
    prepare("shop", config(place, seed=7))
    assert split_of(shop) == wanted


@pytest.mark.parametrize("name", ["../shop", "a/b", "..", ".", "", "/tmp"])
def test_a_name_that_is_a_path_is_refused(shop: Path, name: str) -> None:
    with pytest.raises(UserError, match="is no data set name"):
        prepare(name)


def test_a_data_set_that_is_not_there_is_answered_with_those_that_are(shop: Path, place: Path) -> None:
    (place / "data" / "movies").mkdir()
    with pytest.raises(UserError, match="no such data folder") as caught:
        prepare("shoop")
    assert "movies, shop" in str(caught.value.mend)


def test_without_any_data_folder_it_is_said_so(place: Path) -> None:
    with pytest.raises(UserError, match="no such data folder") as caught:
        prepare("shop")
    assert "nothing" in str(caught.value.mend)


def test_a_folder_without_reviews_is_refused(shop: Path) -> None:
    (shop / "reviews.tsv").unlink()
    with pytest.raises(UserError, match="no such interaction file") as caught:
        prepare("shop")
    assert str(caught.value.where).endswith("reviews.tsv")


def test_bad_reviews_leave_the_older_split_alone(shop: Path) -> None:
    prepare("shop")
    before = split_of(shop)
    with (shop / "reviews.tsv").open("a") as stream:
        stream.write("u1\ti1\tgood\t1\n")
    with pytest.raises(UserError, match="the rating 'good' is not a number"):
        prepare("shop")
    assert split_of(shop) == before


def test_doubled_rows_follow_the_rule_of_the_configuration(shop: Path, place: Path) -> None:
    rows = read_rows(shop / "reviews.tsv")
    write_rows(shop / "reviews.tsv", [*rows, (*rows[0][:2], "1", "5")])
    with pytest.raises(UserError, match="stand together on lines 1 and"):
        prepare("shop")
    assert sum(prepare("shop", config(place, duplicates="last")).counts.values()) == len(rows)


def test_tables_extracted_anew_are_linked_anew_and_the_split_stays(shop: Path) -> None:
    prepare("shop")
    before = split_of(shop)
    items = [f"i{number}" for number in range(40)]
    write_table(shop / "visual_embeddings_32" / "torch" / "R" / "pool", items, features(items) * 2)
    twin = shop / "visual_embeddings_indexed_32" / "torch" / "R" / "pool"
    with pytest.raises(UserError, match="stale"):
        open_table(twin)
    prepare("shop")
    assert split_of(shop) == before
    number = dict(read_rows(shop / "items_map.tsv"))["i7"]
    assert open_table(twin).gather([number])[0].tolist() == [[14, -14]]


def test_a_twin_whose_source_is_gone_gets_no_twin_of_its_own(shop: Path) -> None:
    prepare("shop")
    shutil.rmtree(shop / "visual_embeddings_32")
    prepare("shop")
    assert [path.name for path in shop.iterdir() if path.is_dir()] == ["visual_embeddings_indexed_32"]


def test_users_and_items_without_training_rows_are_announced(place: Path, log: list[str]) -> None:
    folder = place / "data" / "shop"
    for name, rows in {
        "train": [("u", "a", 1)],
        "val": [("u", "b", 1), ("w", "a", 1)],
        "test": [("v", "c", 1)],
    }.items():
        write_rows(folder / f"{name}.tsv", rows)
    made: Prepared = prepare("shop")
    assert (made.users, made.items) == (3, 3)
    assert any("2 users have no training row" in line for line in log)
    assert any("2 items have no training row" in line for line in log)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("experiment: {dataset: shop}\n", "no `splitting` below"),
        (
            "experiment:\n  splitting:\n    test_splitting: {strategy: random_subsampling, test_ratio: 0.2}\n",
            "no validation",
        ),
        ("experiment:\n  splitting:\n    test_spliting: {}\n", "unknown key `experiment.splitting.test_spliting`"),
        (SPLITTING.replace("{rule}", "test_ratio: 1.5"), "less than 1"),
        (
            SPLITTING.replace("{rule}", "test_ratio: 0.2, leave_n_out: 1"),
            "random_subsampling takes test_ratio, or leave_n_out",
        ),
        (SPLITTING.replace("{rule}", "folds: 1"), "random_subsampling takes test_ratio, or leave_n_out"),
        (SPLITTING.replace("random_subsampling", "random_subsampeling"), "strategy"),
        ("experiment:\n  data_config:\n  splitting: 3\n", "`experiment.splitting`"),
    ],
)
def test_a_wrong_splitting_block_is_refused_with_its_place(shop: Path, place: Path, text: str, what: str) -> None:
    path = place / "split.yml"
    path.write_text(
        text.format(seed=1, rule="test_ratio: 0.2", duplicates="error", reviews="r.tsv") if "{seed}" in text else text
    )
    with pytest.raises(UserError) as caught:
        prepare("shop", path)
    assert what in caught.value.what
    assert str(caught.value.where).startswith(f"{path}:")


def test_a_twin_under_the_numbers_of_another_split_is_refused(shop: Path, place: Path) -> None:
    """Its source was removed, so it could not be made anew: its rows must not be taken for other items."""
    twin = shop / "visual_embeddings_indexed_32" / "torch" / "R" / "pool"
    prepare("shop", config(place, seed=7))
    open_table(twin)
    shutil.rmtree(shop / "visual_embeddings_32")
    prepare("shop", config(place, seed=7))
    open_table(twin)
    prepare("shop", config(place, seed=8))
    with pytest.raises(UserError, match="the items were numbered anew"):
        open_table(twin)


def test_a_broken_table_stops_before_anything_is_written(shop: Path, place: Path) -> None:
    prepare("shop", config(place, seed=7))
    unfinished = shop / "z_embeddings" / "torch" / "R"
    unfinished.mkdir(parents=True)
    (unfinished / "pool.npy").write_bytes(b"half")
    before = tree(shop)
    with pytest.raises(UserError):
        prepare("shop", config(place, seed=8))
    assert tree(shop) == before


def test_a_table_that_lost_its_matrix_is_indexed_by_its_files(shop: Path, place: Path) -> None:
    source = shop / "visual_embeddings_32" / "torch" / "R" / "pool"
    before = prepare("shop", config(place)).tables
    values = open_table(next(iter(before))).gather(["0", "1", "2"])[0]
    source.with_name("pool.npy").unlink()
    prepare("shop", config(place))
    np.testing.assert_array_equal(open_table(next(iter(before))).gather(["0", "1", "2"])[0], values)


@pytest.mark.parametrize("name", ["reviews.tsv", "train.tsv", "val_indexed.tsv"])
def test_the_runner_notices_files_that_changed_since_the_split(
    shop: Path, place: Path, log: list[str], name: str
) -> None:
    prepare("shop", config(place))
    warn_of_changes(shop)
    assert not any("changed since" in line for line in log)
    lines = (shop / name).read_text().splitlines(keepends=True)
    (shop / name).write_text("".join(lines[1:]))
    warn_of_changes(shop)
    assert any(f"changed since the split was made: {name}" in line for line in log)


def test_a_matrix_that_was_overwritten_in_place_is_refused(shop: Path, place: Path) -> None:
    prepare("shop", config(place))
    matrix = np.lib.format.open_memmap(shop / "visual_embeddings_32" / "torch" / "R" / "pool.npy", "r+")
    matrix[:] = 0
    matrix.flush()
    for table in ("visual_embeddings_32", "visual_embeddings_indexed_32"):  # hard links: both are spoilt
        with pytest.raises(UserError, match="not the one that its manifest describes"):
            open_table(shop / table / "torch" / "R" / "pool")


def test_reviews_that_lie_elsewhere_are_the_ones_that_are_watched(shop: Path, place: Path, log: list[str]) -> None:
    elsewhere = place / "elsewhere.tsv"
    shutil.copy(shop / "reviews.tsv", elsewhere)
    (shop / "reviews.tsv").write_text("another\tfile\t1\n")
    (place / "config_files").mkdir(exist_ok=True)
    file = place / "config_files" / "elsewhere.yml"
    rule = "{strategy: random_subsampling, test_ratio: 0.2}"
    file.write_text(
        "experiment:\n  data_config: {dataset_path: ../elsewhere.tsv}\n"
        f"  splitting: {{test_splitting: {rule}, validation_splitting: {rule}}}\n"
    )
    prepare("shop", file)
    warn_of_changes(shop)
    assert not any("changed since" in line for line in log)
    elsewhere.write_text(elsewhere.read_text() + "new\ti1\t5\n")
    warn_of_changes(shop)
    assert any("elsewhere.tsv" in line for line in log if "changed since" in line)
