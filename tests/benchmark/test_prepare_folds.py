"""`run_split.py` beyond three parts: folds as Elliot's tree, rows that held-out users show, recipes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_cases import random_reviews, read_rows, write_rows
from support import tree, write_table
from test_prepare import features

from benchmark.data.formats.elliot import read_hierarchy
from benchmark.load import warn_of_changes
from benchmark.prepare import PARTS, prepare
from benchmark.prepare import parts as module
from workbench.errors import UserError
from workbench.features import open_table

FOLDS = {
    "test_splitting": {"strategy": "random_k_fold", "folds": 3},
    "validation_splitting": {"strategy": "random_hold_out", "test_ratio": 0.2, "folds": 2},
}
ONE = {rule: {"strategy": "random_subsampling", "test_ratio": 0.2} for rule in FOLDS}
COLD = {rule: {"strategy": "user_cold_start", "users": 8} for rule in FOLDS}


def config(place: Path, splitting: dict[str, Any], **more: Any) -> Path:
    path = place / "config_files" / "split_shop.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"experiment": {"splitting": splitting, **more}}))
    return path


@pytest.fixture
def shop(place: Path) -> Path:
    folder = place / "data" / "shop"
    write_rows(folder / "reviews.tsv", random_reviews(0))
    items = [f"i{number}" for number in range(40)]
    write_table(folder / "visual_embeddings_32" / "torch" / "R" / "pool", items, features(items))
    return folder


def names(folder: Path) -> set[str]:
    """Every part and map below a data folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.tsv")} - {"reviews.tsv"}


def in_tree(root: str) -> set[str]:
    inner = {f"{root}/{t}/{v}/{name}.tsv" for t in range(3) for v in range(2) for name in ("train", "val")}
    return inner | {f"{root}/{t}/test.tsv" for t in range(3)}


MAPS = {"users_map.tsv", "items_map.tsv"}
FLAT = {f"{name}{twin}.tsv" for name in PARTS for twin in ("", "_indexed")}
WITH_INPUTS = FLAT | {f"{name}_input{twin}.tsv" for name in ("val", "test") for twin in ("", "_indexed")}


def test_folds_are_written_as_elliots_tree_once_under_raw_and_once_under_integer_ids(shop: Path, place: Path) -> None:
    made = prepare("shop", config(place, FOLDS))
    assert names(shop) == in_tree("folds") | in_tree("folds_indexed") | MAPS
    reviews = sorted(read_rows(shop / "reviews.tsv"))
    users, items = (dict(read_rows(shop / f"{name}_map.tsv")) for name in ("users", "items"))
    for t in range(3):
        for v in range(2):
            paths = [f"{t}/{v}/train.tsv", f"{t}/{v}/val.tsv", f"{t}/test.tsv"]
            raw = [read_rows(shop / "folds" / path) for path in paths]
            assert sorted(row for rows in raw for row in rows) == reviews
            for path, rows in zip(paths, raw, strict=True):
                expected = [(users[user], items[item], *rest) for user, item, *rest in rows]
                assert read_rows(shop / "folds_indexed" / path) == expected
                assert made.counts[f"folds/{path}"[:-4]] == len(rows)
    assert (made.users, made.items) == (len(users), len(items))
    assert sorted(row for t in range(3) for row in read_rows(shop / "folds" / str(t) / "test.tsv")) == reviews


def test_the_bench_reads_the_indexed_tree(shop: Path, place: Path) -> None:
    made = prepare("shop", config(place, FOLDS))
    folds = read_hierarchy(shop / "folds_indexed")
    assert [len(inner) for inner in folds] == [2, 2, 2]
    for t, inner in enumerate(folds):
        for v, parts in enumerate(inner):
            assert parts.validation is not None
            lengths = len(parts.train), len(parts.validation), len(parts.test)
            assert lengths == tuple(
                made.counts[f"folds/{stem}"] for stem in (f"{t}/{v}/train", f"{t}/{v}/val", f"{t}/test")
            )


def test_features_follow_the_numbers_that_the_folds_share(shop: Path, place: Path) -> None:
    prepare("shop", config(place, FOLDS))
    numbers = dict(read_rows(shop / "items_map.tsv"))
    values, present = open_table(shop / "visual_embeddings_indexed_32" / "torch" / "R" / "pool").gather(
        list(numbers.values())
    )
    assert present.all()
    assert values[:, 0].tolist() == [int(item[1:]) for item in numbers]


def test_a_second_run_changes_no_byte_of_the_folds(shop: Path, place: Path, log: list[str]) -> None:
    path = config(place, FOLDS)
    prepare("shop", path)
    before = tree(shop)
    prepare("shop", path)
    assert tree(shop) == before
    assert any("up to date" in line for line in log)


def test_the_record_of_folds_watches_both_trees(shop: Path, place: Path, log: list[str]) -> None:
    path = config(place, FOLDS)
    made = prepare("shop", path)
    record = json.loads((shop / "split.json").read_text())
    assert record["counts"] == made.counts
    assert record["folds"] == 3
    assert {f"{stem}.tsv" for stem in record["sha256"]} == in_tree("folds") | in_tree("folds_indexed")
    warn_of_changes(shop)
    assert not any("changed since" in line for line in log)
    for name in ("folds/1/test.tsv", "folds_indexed/0/1/train.tsv"):
        (shop / name).write_text("u\ti\t1\n")
    warn_of_changes(shop)
    assert any("folds/1/test.tsv, folds_indexed/0/1/train.tsv" in line for line in log)
    with pytest.raises(UserError, match="changed by hand") as caught:
        prepare("shop", path)
    assert caught.value.mend == "delete the folder folds to split anew"
    shutil.rmtree(shop / "folds")
    assert prepare("shop", path).counts == made.counts


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (ONE, FOLDS, in_tree("folds") | in_tree("folds_indexed")),
        (FOLDS, ONE, FLAT),
        (ONE, COLD, WITH_INPUTS),
        (COLD, ONE, FLAT),
        (COLD, FOLDS, in_tree("folds") | in_tree("folds_indexed")),
        (FOLDS, COLD, WITH_INPUTS),
    ],
)
def test_nothing_of_an_older_split_is_left(
    shop: Path, place: Path, before: dict[str, Any], after: dict[str, Any], left: set[str]
) -> None:
    prepare("shop", config(place, before))
    prepare("shop", config(place, after))
    assert names(shop) == left | MAPS


@pytest.mark.parametrize("place_of_kill", [0, 1, 3, 5, 16])
@pytest.mark.parametrize(("before", "after"), [(ONE, FOLDS), (FOLDS, ONE), (FOLDS, COLD)])
def test_a_kill_between_splits_of_another_form_is_mended_by_the_next_run(
    shop: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    place_of_kill: int,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    prepare("shop", config(place, after))
    wanted = {name: (shop / name).read_bytes() for name in names(shop)}
    prepare("shop", config(place, before))
    path, calls = config(place, after), 0

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
        with suppress(KeyboardInterrupt):
            prepare("shop", path)
    prepare("shop", path)
    assert {name: (shop / name).read_bytes() for name in names(shop)} == wanted


def test_a_folder_of_somebody_else_is_not_overwritten(shop: Path, place: Path) -> None:
    (shop / "folds").mkdir()
    (shop / "folds" / "notes.txt").write_text("mine")
    before = tree(shop)
    with pytest.raises(UserError, match="there is a folder where the folds would be written"):
        prepare("shop", config(place, FOLDS))
    assert tree(shop) == before
    prepare("shop", config(place, ONE))
    assert (shop / "folds" / "notes.txt").read_text() == "mine"


def test_users_held_out_whole_have_files_of_what_they_show(
    shop: Path, place: Path, log: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare("shop", config(place, COLD))
    assert names(shop) == WITH_INPUTS | MAPS
    rows = {name: read_rows(shop / f"{name}.tsv") for name in made.counts}
    assert list(rows) == [*PARTS, "val_input", "test_input"]
    assert sorted(row for part in rows.values() for row in part) == sorted(read_rows(shop / "reviews.tsv"))
    users = {name: {row[0] for row in part} for name, part in rows.items()}
    assert len(users["test_input"]) == len(users["val_input"]) == 8
    assert users["test"] <= users["test_input"]
    assert not users["test_input"] & (users["train"] | users["val_input"])
    printed = capsys.readouterr().out
    assert "users lost" in printed and "| test_input " in printed
    assert not any("cannot be recommended to" in line for line in log)


def test_users_and_items_that_a_split_loses_are_counted_by_part(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place / "data" / "shop"
    rows = {"train": [("u", "a", 1)], "val": [("u", "b", 1), ("w", "a", 1)], "test": [("v", "c", 1), ("x", "b", 1)]}
    for name, given in {**rows, "test_input": [("x", "d", 1)]}.items():
        write_rows(folder / f"{name}.tsv", given)
    prepare("shop")
    table = [line.replace(" ", "") for line in capsys.readouterr().out.splitlines()]
    assert table[1] == "|split|interactions|users|items|userslost|itemslost|"
    assert table[3:7] == ["|train|1|1|1|0|0|", "|val|2|2|2|1|1|", "|test|2|2|2|1|2|", "|test_input|1|1|1|0|1|"]


@pytest.mark.parametrize("recipe", ["mmrec", "align_macridvae", "mult_vae"])
def test_a_recipe_is_split_recorded_and_kept(shop: Path, place: Path, log: list[str], recipe: str) -> None:
    path = config(place, {"recipe": recipe})
    made = prepare("shop", path)
    record = json.loads((shop / "split.json").read_text())
    assert record["counts"] == made.counts and record["recipe"]["seed"] == 42
    assert record["recipe"]["recipe"]["rule"] in ("MMRec", "AlignMacridVAE", "MultVAE")
    assert ("test_input" in made.counts) == (recipe == "mult_vae")
    before = tree(shop)
    prepare("shop", path)
    assert tree(shop) == before


def test_the_same_rows_in_another_order_are_split_alike(shop: Path, place: Path) -> None:
    path = config(place, COLD)
    prepare("shop", path)
    before = {name: sorted(read_rows(shop / name)) for name in WITH_INPUTS if "indexed" not in name}
    write_rows(shop / "reviews.tsv", read_rows(shop / "reviews.tsv")[::-1])
    prepare("shop", path)
    assert {name: sorted(read_rows(shop / name)) for name in before} == before


def test_reviews_of_another_layout_are_split(shop: Path, place: Path) -> None:
    rows = read_rows(shop / "reviews.tsv")
    text = "who,when,what,stars\n" + "".join(f"{user},{time},{item},{stars}\n" for user, item, stars, time in rows)
    (shop / "ratings.csv").write_text(text)
    columns = {"user": "who", "item": "what", "rating": "stars", "timestamp": "when"}
    data = {"strategy": "dataset", "dataset_path": "../data/{0}/ratings.csv", "format": "csv", "columns": columns}
    prepare("shop", config(place, ONE, data_config=data))
    assert sorted(row for name in PARTS for row in read_rows(shop / f"{name}.tsv")) == sorted(rows)


@pytest.mark.parametrize("text", ["[]", '{"sha256": 3}', '{"sha256": {"../train": "0"}}'])
def test_a_record_that_is_none_is_refused_or_passed_over(shop: Path, place: Path, text: str) -> None:
    path = config(place, ONE)
    (shop / "split.json").write_text(text)
    if "../" in text:
        assert prepare("shop", path).counts.keys() == set(PARTS)
        return
    with pytest.raises(UserError, match="not a record of a split"):
        prepare("shop", path)
