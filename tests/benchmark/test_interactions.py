"""Reading interaction files: what is kept as it stands, and what is refused with its line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from bench_cases import decoded, interactions, write_rows
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.interactions import read_interactions, write_interactions
from workbench.errors import UserError


def refusal(path: Path, content: str | bytes) -> UserError:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        read_interactions(path)
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reviews.tsv"


def test_rows_are_read_in_file_order_with_ids_in_lexicographic_order(path: Path) -> None:
    write_rows(path, [("u2", "b", 5, 30), ("u10", "a", 3.5, 20), ("u2", "a", 1, 10)])
    data = read_interactions(path)
    assert decoded(data) == [("u2", "b", 5), ("u10", "a", 3.5), ("u2", "a", 1)]
    assert data.user_ids.tolist() == ["u10", "u2"]
    assert data.item_ids.tolist() == ["a", "b"]
    assert data.timestamps is not None and data.timestamps.tolist() == [30, 20, 10]
    assert data.rating_texts is not None and data.rating_texts.tolist() == ["5", "3.5", "1"]
    assert len(data) == 3


def test_two_columns_mean_a_rating_of_one_for_every_row(path: Path) -> None:
    write_rows(path, [("u", "a"), ("u", "b")])
    data = read_interactions(path)
    assert data.ratings.tolist() == [1, 1]
    assert data.rating_texts is None and data.timestamps is None


@pytest.mark.parametrize(
    "identifier", ["007", "7", "nan", "NaN", "NA", "null", "None", "1e5", "True", " a ", '"x"', "'", "#"]
)
def test_ids_stay_the_text_that_they_are(path: Path, identifier: str) -> None:
    write_rows(path, [(identifier, "a", 1), ("u", identifier, 2)])
    assert decoded(read_interactions(path)) == [(identifier, "a", 1), ("u", identifier, 2)]


def test_a_stray_quotation_mark_swallows_nothing(path: Path) -> None:
    write_rows(path, [('"u', "a", 1), ("v", 'b"', 2), ("w", '"c"', 3)])
    assert decoded(read_interactions(path)) == [('"u', "a", 1), ("v", 'b"', 2), ("w", '"c"', 3)]


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_the_ids(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfu\ta\t1\r\nv\tb\t2\r\n")
    assert decoded(read_interactions(path)) == [("u", "a", 1), ("v", "b", 2)]


def test_blank_lines_are_skipped_and_lines_are_still_counted_as_in_the_file(path: Path) -> None:
    path.write_text("u\ta\t1\n\n\nv\tb\t2\n\n")
    assert decoded(read_interactions(path)) == [("u", "a", 1), ("v", "b", 2)]
    assert refusal(path, "u\ta\t1\n\nv\tb\tx\n").where == f"{path}:3"


def test_a_last_line_without_its_end_is_read(path: Path) -> None:
    path.write_text("u\ta\t1\nv\tb\t2")
    assert len(read_interactions(path)) == 2


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("u\ta\t1\nv\tb\t2\t9\n", 2, "4 columns where the first line has 3"),
        ("u\ta\t1\nv\tb\n", 2, "no rating in this row"),
        ("u\ta\t1\nv\n", 2, "no item in this row"),
        ("u\ta\t1\n\tb\t2\n", 2, "no user in this row"),
        ("u\ta\t1\nv\t\t2\nw\t\t2\n", 2, r"no item in this row \(2 such rows in all\)"),
        ("u\ta\t1\nv\tb\t\n", 2, "no rating in this row"),
        ("u\ta\t1\nv\tb\tgood\nw\tb\tbad\n", 2, r"the rating 'good' is not a number \(2 such rows in all\)"),
        ("u\ta\t1\nv\tb\tnan\n", 2, "the rating 'nan' is not a number"),
        ("u\ta\t1\nv\tb\tinf\n", 2, "the rating 'inf' is not a number"),
        ("u\ta\t1\nv\tb\tTrue\n", 2, "the rating 'True' is not a number"),
        ("reviewerID\tasin\toverall\nu\ta\t1\n", 1, "the rating 'overall' is not a number; is it a header"),
        ("user\titem\trating\nu\ta\t1\n", 1, r"looks like a header \(user, item, rating\) and nothing declares one"),
        ("user_id\titem_id\nu\ta\n", 1, r"looks like a header \(user_id, item_id\)"),
        ("u\ta\t1\t5\nv\tb\t2\tnever\n", 2, "the timestamp 'never' is not a number"),
        ("u\ta\t1\t5\nv\tb\t2\t\n", 2, "the timestamp '' is not a number"),
        ("u,a,1\n", 1, "1 tab-separated columns where 2 to 4 are expected"),
        ("u\ta\t1\t5\t6\n", 1, "5 tab-separated columns"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_by_its_line(path: Path, content: str, line: int, what: str) -> None:
    error = refusal(path, content)
    assert error.where == f"{path}:{line}"
    assert re.search(what, error.what)


@pytest.mark.parametrize("content", ["", "\n", "\n\n"])
def test_an_empty_file_is_refused(path: Path, content: str) -> None:
    assert str(path) in str(refusal(path, content).where)


def test_text_that_is_not_utf8_is_refused(path: Path) -> None:
    error = refusal(path, "u\ta\t1\ncaffè\tb\t2\n".encode("latin-1"))
    assert "not UTF-8" in error.what and error.where == f"{path}:2"


def test_text_that_is_not_utf8_far_down_in_the_file_is_refused(path: Path) -> None:
    content = "".join(f"u{row}\ta\t1\n" for row in range(40_000)).encode() + "caffè\tb\t2\n".encode("latin-1")
    assert "not UTF-8" in refusal(path, content).what


@pytest.mark.parametrize("rating", ["1e300", "-4e38"])
def test_ratings_that_no_float32_can_hold_are_refused(path: Path, rating: str) -> None:
    error = refusal(path, f"u\ta\t3.4e38\nu\tb\t{rating}\n")
    assert "is out of range (1 such rows in all)" in error.what and error.where == f"{path}:2"
    assert error.mend == "give ratings from -3.4e+38 to 3.4e+38"


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match="no such interaction file"):
        read_interactions(path)


DOUBLED = [("u", "a", 1), ("v", "a", 2), ("u", "a", 3), ("u", "b", 4), ("v", "a", 5), ("u", "a", 6)]


def test_a_pair_that_stands_twice_is_refused_with_both_lines(path: Path) -> None:
    write_rows(path, DOUBLED)
    with pytest.raises(UserError) as caught:
        read_interactions(path)
    assert "user 'u' and item 'a' stand together on lines 1 and 3 (3 rows repeat a pair)" in caught.value.what
    assert caught.value.where == f"{path}:3"
    assert "duplicates: first" in str(caught.value.mend)


def test_blank_lines_do_not_shift_the_lines_of_a_doubled_pair(path: Path) -> None:
    error = refusal(path, "u\ta\t1\n\nu\ta\t2\n")
    assert "lines 1 and 3" in error.what


def test_the_first_or_the_last_of_doubled_rows_is_kept_on_demand(path: Path) -> None:
    write_rows(path, DOUBLED)
    assert decoded(read_interactions(path, "first")) == [("u", "a", 1), ("v", "a", 2), ("u", "b", 4)]
    assert decoded(read_interactions(path, "last")) == [("u", "b", 4), ("v", "a", 5), ("u", "a", 6)]


PAIRS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(1, 5)), min_size=1, max_size=30)


@given(PAIRS, st.sampled_from(["first", "last"]))
def test_the_rule_for_doubled_rows_is_that_of_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]], rule: str
) -> None:
    path = write_rows(tmp_path_factory.mktemp("pairs") / "rows.tsv", rows)
    kept: dict[tuple[str, str], int] = {}
    for place, (user, item, _) in enumerate(rows):
        if rule == "last" or (user, item) not in kept:
            kept[user, item] = place
    expected = [rows[place] for place in sorted(kept.values())]
    assert decoded(read_interactions(path, rule)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_what_was_read_is_written_back_byte_for_byte(path: Path, tmp_path: Path, columns: int) -> None:
    rows = [('"u', "nan", "4.50", 7), ("ü🎬", "007", "3", 5), ("x y", "'", "1e0", 6)]
    write_rows(path, [row[:columns] for row in rows])
    data = read_interactions(path)
    write_interactions(tmp_path / "again.tsv", data, data.user_ids[data.users], data.item_ids[data.items])
    assert (tmp_path / "again.tsv").read_bytes() == path.read_bytes()


def test_selecting_rows_keeps_the_ids_and_their_codes(tmp_path: Path) -> None:
    data = interactions(tmp_path, [("u", "a", 1, 9), ("v", "b", 2, 8), ("w", "a", 3, 7)])
    some = data.select(np.array([False, True, True]))
    assert decoded(some) == [("v", "b", 2), ("w", "a", 3)]
    assert some.user_ids is data.user_ids
    assert some.timestamps is not None and some.timestamps.tolist() == [8, 7]
