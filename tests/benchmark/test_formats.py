"""Data folders of other frameworks: MMRec, RecBole, Elliot's tree of folds, adjacency lists, Cornac's tuples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_cases import decoded, write_rows
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.formats import adjacency
from benchmark.data.formats.elliot import read_hierarchy
from benchmark.data.formats.layout import Layout
from benchmark.data.formats.mmrec import read_features, read_labelled, read_map, read_unlabelled
from benchmark.data.formats.recbole import read_item_table, read_split
from benchmark.data.interactions import Interactions, read_interactions
from benchmark.data.splitters import Parts
from workbench.errors import UserError


def written(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def rows(parts: Parts) -> list[list[tuple[str, str, float]] | None]:
    return [None if part is None else decoded(part) for part in (parts.train, parts.validation, parts.test)]


def refused(call: Callable[[], Any]) -> UserError:
    with pytest.raises(UserError) as caught:
        call()
    return caught.value


HEADER = "userID\titemID\trating\ttimestamp\tx_label\n"
LABELLED = "0\t0\t5\t7\t0\n0\t1\t4\t8\t1\n1\t0\t3\t9\t2\n"


def test_mmrec_labels_are_the_split(tmp_path: Path) -> None:
    parts = read_labelled(written(tmp_path / "d.inter", HEADER + LABELLED))
    assert rows(parts) == [[("0", "0", 5)], [("0", "1", 4)], [("1", "0", 3)]]
    assert parts.test.timestamps is not None and parts.test.timestamps.tolist() == [9]


def test_mmrec_with_commas_and_without_ratings(tmp_path: Path) -> None:
    parts = read_labelled(written(tmp_path / "d.inter", "userID,itemID,x_label\n007,1,0\n1,1,2\n"))
    assert rows(parts) == [[("007", "1", 1)], None, [("1", "1", 1)]]


def test_mmrec_columns_may_stand_in_any_order_behind_the_ids(tmp_path: Path) -> None:
    path = written(tmp_path / "d.inter", "userID\titemID\tx_label\tnote\trating\n0\t3\t0\tx\t2.5\n0\t4\t2\t\t1\n")
    assert rows(read_labelled(path)) == [[("0", "3", 2.5)], None, [("0", "4", 1)]]


def test_mmrec_maps_bring_the_raw_ids_back(tmp_path: Path) -> None:
    written(tmp_path / "d.inter", HEADER + LABELLED)
    written(tmp_path / "u_id_mapping.csv", "user_id\tuserID\nü x\t0\n007\t1\n")
    written(tmp_path / "i_id_mapping.csv", "itemID\tasin\r\n0\tB.1\r\n1\t \r\n")
    assert rows(read_labelled(tmp_path)) == [[("ü x", "B.1", 5)], [("ü x", " ", 4)], [("007", "B.1", 3)]]
    whole = read_unlabelled(tmp_path)
    assert decoded(whole) == [("ü x", "B.1", 5), ("ü x", " ", 4), ("007", "B.1", 3)]


def test_mmrec_times_that_are_all_zero_are_none(tmp_path: Path) -> None:
    path = written(tmp_path / "d.inter", HEADER + "0\t0\t5\t0\t0\n0\t1\t4\t0.0\t2\n")
    assert read_labelled(path).train.timestamps is None


def test_mmrec_pairs_are_doubled_only_within_a_part(tmp_path: Path) -> None:
    path = written(tmp_path / "d.inter", HEADER + LABELLED + "1\t0\t1\t9\t0\n0\t0\t2\t9\t0\n")
    error = refused(lambda: read_labelled(path))
    assert "lines 2 and 6" in error.what and error.where == f"{path}:6"
    assert rows(read_labelled(path, "last"))[0] == [("1", "0", 1), ("0", "0", 2)]


@pytest.mark.parametrize(
    ("table", "line", "what"),
    [
        (HEADER + "0\t0\t5\t7\t3\n", 2, "the x_label '3' is none of"),
        (HEADER + "0\t0\t5\t7\t\n0\t0\t5\t7\t2\n", 2, "no label in this row"),
        (HEADER + "0\t0\t5\t7\t0\n", None, "no row has the x_label 2 (test)"),
        ("userID\titemID\n0\t0\n", 1, "no column x_label"),
        ("user\titem\tx_label\n0\t0\t0\n", 1, "no header with userID and itemID"),
        ("196\t242\t3\t881250949\n", 1, "the first line is 196, 242, 3, 881250949"),
        (HEADER, None, "no interactions"),
    ],
)
def test_mmrec_tables_that_make_no_sense_are_refused(tmp_path: Path, table: str, line: int | None, what: str) -> None:
    path = written(tmp_path / "d.inter", table)
    error = refused(lambda: read_labelled(path))
    assert what in error.what and "did you mean" not in str(error.mend)
    assert error.where == (f"{path}:{line}" if line else str(path))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("user_id\tuserID\na\t0\n", "1 ids of d.inter are not in the map, among them '1'"),
        ("user_id\tnumber\na\t0\nb\t1\n", "userID are expected"),
        ("user_id\tuserID\na\t0\na\t1\n", "stands twice"),
        ("user_id\tuserID\na\t0\nb\t0\n", "stands twice"),
        ("user_id\tuserID\na\t0\nb\n", "two ids are expected"),
        ("user_id\tuserID\na\t0\n\t1\n", "two ids are expected"),
    ],
)
def test_mmrec_maps_that_make_no_sense_are_refused(tmp_path: Path, content: str, what: str) -> None:
    written(tmp_path / "d.inter", HEADER + LABELLED)
    written(tmp_path / "u_id_mapping.csv", content)
    error = refused(lambda: read_labelled(tmp_path))
    assert what in error.what and "u_id_mapping.csv" in str(error.where)


def test_mmrec_features_are_matrices_by_modality_and_never_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "image_feat.npy", np.arange(6, dtype=np.float16).reshape(3, 2))
    assert read_features(tmp_path)["image"].dtype == np.float32
    np.save(tmp_path / "text_feat.npy", np.array([["a"]], dtype=object), allow_pickle=True)
    assert "not readable as a matrix" in refused(lambda: read_features(tmp_path)).what


def test_a_folder_with_two_tables_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.inter", HEADER + LABELLED)
    written(tmp_path / "b.inter", HEADER + LABELLED)
    assert "found: a.inter, b.inter" in refused(lambda: read_labelled(tmp_path)).what


@pytest.mark.realdata
def test_the_published_office_split_is_read_alike_from_mmrec_and_from_elliot(
    real_data: Callable[[str], Path],
) -> None:
    folder = real_data("amazon-office-ducho24")
    parts = read_labelled(folder)
    assert parts.validation is not None
    for name, part in (("train", parts.train), ("val", parts.validation), ("test", parts.test)):
        assert sorted(decoded(part)) == sorted(decoded(read_interactions(folder / f"{name}.tsv")))


TYPED = "item_id:token\tuser_id:token\trating:float\ttimestamp:float\tnote:token_seq\n"


def test_recbole_tables_are_told_by_their_typed_header(tmp_path: Path) -> None:
    path = written(tmp_path / "d.inter", TYPED + '007\t"u\t4.5\t8.7e8\ta b\n')
    data = read_interactions(path)
    assert decoded(data) == [('"u', "007", 4.5)]
    assert data.timestamps is not None and data.timestamps.tolist() == [870_000_000]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("user_id:token\titem_id:token_seq\nu\ta\n", "of type 'token_seq'"),
        ("user_id:token\trating:float\nu\t1\n", "no column 'item_id'"),
        ("user_id\titem_id\nu\ta\n", "no typed header"),
    ],
)
def test_recbole_headers_that_make_no_sense_are_refused(tmp_path: Path, content: str, what: str) -> None:
    path = written(tmp_path / "d.inter", content)
    assert what in refused(lambda: read_interactions(path, layout=Layout("recbole"))).what


def test_recbole_ready_splits(tmp_path: Path) -> None:
    for part, item in (("train", "a"), ("valid", "b"), ("test", "c")):
        written(tmp_path / f"d.{part}.inter", f"user_id:token\titem_id:token\nu\t{item}\n")
    assert rows(read_split(tmp_path)) == [[("u", "a", 1)], [("u", "b", 1)], [("u", "c", 1)]]
    (tmp_path / "d.valid.inter").unlink()
    assert rows(read_split(tmp_path))[1] is None
    (tmp_path / "d.test.inter").unlink()
    assert "d.test.inter" in str(refused(lambda: read_split(tmp_path)).where)


def test_recbole_items_have_texts_and_vectors(tmp_path: Path) -> None:
    content = "item_id:token\ttitle:token_seq\timage_feat:float_seq\na\tone two\t1 2.5\nb\t\t\nc\tx\t3 4\n"
    table = read_item_table(written(tmp_path / "d.item", content))
    assert table.ids == ["a", "b", "c"] and table.texts == {"title": ["one two", "", "x"]}
    ids, vectors = table.vectors["image_feat"]
    assert ids == ["a", "c"] and vectors.tolist() == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("item_id:token\tv:float_seq\na\t1 2\nb\t1\n", 3, "1 values where"),
        ("item_id:token\tv:float_seq\na\t1 x\n", 2, "no numbers separated by blanks"),
        ("item_id:token\tv:float_seq\na\t1\na\t2\n", 3, "the item 'a' stands twice"),
        ("item_id:token\tv:float_seq\na\n", 2, "1 columns where the header has 2"),
        ("item_id\tv\na\t1\n", 1, "no typed header"),
        ("v:float_seq\n1\n", 1, "no column 'item_id'"),
    ],
)
def test_recbole_item_tables_that_make_no_sense_are_refused(tmp_path: Path, content: str, line: int, what: str) -> None:
    path = written(tmp_path / "d.item", content)
    error = refused(lambda: read_item_table(path))
    assert what in error.what and error.where == f"{path}:{line}"


def tree(root: Path, test_folds: int, validation_folds: int) -> Path:
    for test in range(test_folds):
        write_rows(root / str(test) / "test.tsv", [("u", f"t{test}", 1)])
        for inner in range(validation_folds):
            write_rows(root / str(test) / str(inner) / "train.tsv", [("u", f"r{test}.{inner}", 1)])
            write_rows(root / str(test) / str(inner) / "val.tsv", [("u", f"v{test}.{inner}", 1)])
        if not validation_folds:
            write_rows(root / str(test) / "train.tsv", [("u", f"r{test}", 1)])
    return root


def test_a_tree_of_many_folds_is_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    folds = read_hierarchy(tree(tmp_path, 12, 11))
    assert [len(inner) for inner in folds] == [11] * 12
    for test, inner in enumerate(folds):
        for place, parts in enumerate(inner):
            expected = [f"r{test}.{place}", f"v{test}.{place}", f"t{test}"]
            assert rows(parts) == [[("u", item, 1.0)] for item in expected]


def test_a_tree_may_hold_rows_that_held_out_users_show(tmp_path: Path) -> None:
    root = tree(tmp_path, 2, 1)
    write_rows(root / "1" / "test_input.tsv", [("x", "a", 1)])
    write_rows(root / "1" / "0" / "val_input.tsv", [("y", "b", 1)])
    (bare,), (shown,) = read_hierarchy(root)
    assert bare.test_input is None and bare.validation_input is None
    assert shown.test_input is not None and decoded(shown.test_input) == [("x", "a", 1)]
    assert shown.validation_input is not None and decoded(shown.validation_input) == [("y", "b", 1)]


def test_a_tree_without_validation_folds(tmp_path: Path) -> None:
    assert [rows(parts) for (parts,) in read_hierarchy(tree(tmp_path, 2, 0))] == [
        [[("u", f"r{test}", 1.0)], None, [("u", f"t{test}", 1.0)]] for test in range(2)
    ]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda root: (root / "0" / "test.tsv").unlink(), "no such interaction file"),
        (lambda root: (root / "0" / "0" / "val.tsv").unlink(), "no such interaction file"),
        (lambda root: (root / "fold").mkdir(), "named by its number"),
        (lambda root: write_rows(root / "1" / "train.tsv", [("u", "i")]), "stands beside validation folds"),
    ],
)
def test_a_tree_that_makes_no_sense_is_refused(tmp_path: Path, spoil: Callable[[Path], Any], what: str) -> None:
    spoil(tree(tmp_path / "root", 2, 1))
    assert what in refused(lambda: read_hierarchy(tmp_path / "root")).what


def test_no_tree_at_all_is_refused(tmp_path: Path) -> None:
    assert "no test fold" in refused(lambda: read_hierarchy(tmp_path)).what
    assert "no such folder" in refused(lambda: read_hierarchy(tmp_path / "x")).what


def adjacent(path: Path) -> Interactions:
    return read_interactions(path, layout=Layout("adjacency"))


LISTS = st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 99), max_size=6)), min_size=1, max_size=20)


@given(LISTS, st.sampled_from([" ", "\t", "  "]), st.booleans(), st.integers(1, 40))
def test_adjacency_lists_are_the_rows_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    lists: list[tuple[int, set[int]]],
    blank: str,
    ended: bool,
    block: int,
) -> None:
    lists = list(dict(lists).items())
    text = "\n".join(blank.join(map(str, [user, *items])) for user, items in lists) + ("\n" if ended else "")
    path = written(tmp_path_factory.mktemp("lists") / "train.txt", text)
    expected = [(str(user), str(item), 1.0) for user, items in lists for item in items]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adjacency, "_BLOCK", block)
        if not expected:
            assert "no line has an item" in refused(lambda: adjacent(path)).what
            return
        data = adjacent(path)
    assert decoded(data) == expected
    assert sorted(data.user_ids) == sorted({user for user, _, _ in expected})


def test_adjacency_lists_may_hold_blank_lines_and_any_ids(tmp_path: Path) -> None:
    data = adjacent(written(tmp_path / "t.txt", "\ufeff\nü 007 b\r\n\n  x  c \nalone\n"))
    assert decoded(data) == [("ü", "007", 1), ("ü", "b", 1), ("x", "c", 1)]


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_doubled_item_of_an_adjacency_list_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(adjacency, "_BLOCK", block)
    path = written(tmp_path / "t.txt", "1 2\n\n3 4 5 4\n")
    error = refused(lambda: adjacent(path))
    assert error.where == f"{path}:3" and "lines 3 and 3" in error.what


def test_an_adjacency_list_is_not_guessed_but_named_in_the_refusal(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", "1 2 3\n")
    assert "adjacency" in str(refused(lambda: read_interactions(path)).mend)


@pytest.mark.realdata
def test_gowalla_has_its_published_counts(real_data: Callable[[str], Path]) -> None:
    data = adjacent(real_data("gowalla-lightgcn") / "train.txt")
    assert (len(data), len(data.user_ids), len(data.item_ids)) == (810_128, 29_858, 40_981)


TUPLES = [["u", "007", 4.5, 7], ["v", "b", 1, 8]]


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_cornac_text(tmp_path: Path, separator: str) -> None:
    path = written(tmp_path / "uirt.txt", "".join(separator.join(map(str, entry)) + "\n" for entry in TUPLES))
    data = read_interactions(path, layout=Layout("cornac"))
    assert decoded(data) == [("u", "007", 4.5), ("v", "b", 1)]
    assert data.timestamps is not None and data.timestamps.tolist() == [7, 8]


def test_cornac_lists(tmp_path: Path) -> None:
    data = read_interactions(written(tmp_path / "uirt.json", json.dumps(TUPLES)))
    assert decoded(data) == [("u", "007", 4.5), ("v", "b", 1)]
    assert data.timestamps is not None and data.timestamps.tolist() == [7, 8]


def test_cornac_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 20, 4.5], [2, 30, 1]]))
    assert decoded(read_interactions(tmp_path / "a.npy")) == [("1", "20", 4.5), ("2", "30", 1)]
    np.save(tmp_path / "b.npy", np.array([["u", "007", "4.5"], ["v", "b", "1"]]))
    assert decoded(read_interactions(tmp_path / "b.npy")) == [("u", "007", 4.5), ("v", "b", 1)]


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array([[1, 2, 3]], dtype=object), "not readable as an array"),
        (np.array([1.0, 2.0]), "an array of (T, 2 to 4) is expected"),
        (np.array([[1.5, 2.0]]), "row 1 has an id that is no whole number"),
        (np.array([[1.0, np.nan]]), "row 1 has an id that is no whole number"),
        (np.empty((0, 3)), "no interactions"),
        (np.array([[1.0, 2.0, np.nan]]), "is not a number"),
    ],
)
def test_cornac_arrays_that_make_no_sense_are_refused(tmp_path: Path, array: np.ndarray, what: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert what in refused(lambda: read_interactions(tmp_path / "a.npy")).what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[[1, 2], [1]]", "entry 2 is no list of 2 values"),
        ("[1]", "entry 1 is no list of 2 to 4"),
        ('{"a": 1}', "no list at the top"),
        ("[]", "no interactions"),
        ("[[1, null]]", "neither text nor number"),
        ("[[1, true]]", "neither text nor number"),
        ("[[1, 2]", "broken JSON"),
        ('[["u", "a\\tb"]]', "no TSV can hold"),
        ('[["u", "\\ud800"]]', "no TSV can hold"),
        ('[["u", ""]]', "no TSV can hold"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_cornac_lists_that_make_no_sense_are_refused(tmp_path: Path, content: str, what: str) -> None:
    path = written(tmp_path / "a.json", content)
    assert what in refused(lambda: read_interactions(path)).what


def test_a_map_may_have_commas(tmp_path: Path) -> None:
    assert read_map(written(tmp_path / "m.csv", "asin,itemID\nB,0\n"), "itemID") == {"0": "B"}
