"""Tables in other layouts: CSV, headers, named columns, gzip, Parquet, doubled pairs by rating, what is printed."""

from __future__ import annotations

import builtins
import gzip
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench_cases import decoded
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.formats import delimited, parquet
from benchmark.data.formats.layout import Columns, Layout
from benchmark.data.interactions import Interactions, read_interactions, write_interactions
from workbench.errors import UserError

AMAZON = Columns("reviewerID", "asin", "overall", "unixReviewTime")


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, content: str | bytes, **layout: Any) -> Interactions:
    return read_interactions(written(path, content), "error", Layout(**layout))


def refusal(path: Path, content: str | bytes, **layout: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        read(path, content, **layout)
    return caught.value


def test_a_csv_without_header_is_told_by_its_suffix(tmp_path: Path) -> None:
    data = read(tmp_path / "r.csv", 'u,"a, b",1,9\n"v ""x""",c,2.5,8\n')
    assert decoded(data) == [("u", "a, b", 1), ('v "x"', "c", 2.5)]
    assert data.timestamps is not None and data.timestamps.tolist() == [9, 8]


def test_a_tsv_that_is_called_csv_stays_a_tsv(tmp_path: Path) -> None:
    assert decoded(read(tmp_path / "r.csv", 'u\t"a\t1\n')) == [("u", '"a', 1)]


def test_named_columns_declare_a_header_and_may_stand_anywhere(tmp_path: Path) -> None:
    content = 'asin,reviewText,overall,x,reviewerID,unixReviewTime\na,"good,\nvery",5.0,,u,100\nb,,3.0,,u,50\n'
    data = read(tmp_path / "r.csv", content, columns=AMAZON)
    assert decoded(data) == [("u", "a", 5), ("u", "b", 3)]
    assert data.timestamps is not None and data.timestamps.tolist() == [100, 50]
    assert data.rating_texts is not None and data.rating_texts.tolist() == ["5.0", "3.0"]


def test_places_declare_no_header(tmp_path: Path) -> None:
    data = read(tmp_path / "r.tsv", "7\tu\tx\ta\n8\tv\tx\tb\n", columns=Columns(user=1, item=3))
    assert decoded(data) == [("u", "a", 1), ("v", "b", 1)]


def test_a_column_that_nobody_names_is_not_read(tmp_path: Path) -> None:
    data = read(tmp_path / "r.csv", "user,item,rating\nu,a,good\n", columns=Columns("user", "item"))
    assert data.rating_texts is None and data.ratings.tolist() == [1]


def test_any_single_character_may_separate(tmp_path: Path) -> None:
    assert decoded(read(tmp_path / "r.dat", "u;a;1\n", separator=";")) == [("u", "a", 1)]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (Columns("reviewerid", "asin"), "no column 'reviewerid'"),
        (Columns("reviewerID", "asin", 9), "no column 9"),
        (Columns("reviewerID", 0), "user and item are one|item and user are one"),
        (Columns("reviewerID", "twice"), "stands twice"),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path: Path, columns: Columns, what: str) -> None:
    error = refusal(tmp_path / "r.csv", "reviewerID,asin,twice,twice\nu,a,1,1\n", columns=columns)
    assert error.where == f"{tmp_path / 'r.csv'}:1"
    assert any(each in error.what for each in what.split("|"))


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("user,item,rating\nu,a,1\nv,b,2,9\n", 3, "4 columns where the first line has 3"),
        ("user,item,rating\nu,a,1\nv,,2\n", 3, "no item"),
        ('user,note,item,rating\nu,"1\n2",a,1\nv,,b,x\n', 4, "the rating 'x' is not a number"),
        ('user,note,item,rating\nu,"1\n2",a,1\nv,b,"x\n', 4, "never closed"),
        ('user,item,rating\nu,"a\n2",1\n', 2, "no TSV can hold"),
        ('user,item,rating\nu,"a\tb",1\n', 2, "no TSV can hold"),
        ("user,item,rating\nu,a,1\nu,b,1\nu,a,1\n", 4, "lines 2 and 4"),
    ],
)
def test_faults_are_named_by_their_line_below_a_header_and_behind_quoted_line_ends(
    tmp_path: Path, content: str, line: int, what: str
) -> None:
    error = refusal(tmp_path / "r.csv", content, columns=Columns("user", "item", "rating"))
    assert error.where == f"{tmp_path / 'r.csv'}:{line}"
    assert what in error.what


@pytest.mark.parametrize("name", ["r.tsv.gz", "r.tsv"])
def test_gzip_is_told_by_content(tmp_path: Path, name: str) -> None:
    content = gzip.compress(b"\xef\xbb\xbfu\ta\t1\nv\tb\t2\n")
    assert decoded(read(tmp_path / name, content)) == [("u", "a", 1), ("v", "b", 2)]
    assert "not a number" in refusal(tmp_path / name, gzip.compress(b"u\ta\t1\nv\tb\tx\n")).what
    error = refusal(tmp_path / name, gzip.compress(b"u\ta\t1\nv\tb\tcaff\xe8\n"))
    assert error.where == f"{tmp_path / name}:2"


def test_a_cut_off_archive_is_refused(tmp_path: Path) -> None:
    lines = "".join(f"u{row}\t{random.Random(row).random()}\n" for row in range(5000))
    error = refusal(tmp_path / "r.tsv.gz", gzip.compress(lines.encode())[:-9000])
    assert "not a whole gzip file" in error.what


def test_blocks_join_seamlessly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"u{row % 7}\ti{row}\t{row % 5}\t{1000 + row}" for row in range(50)]
    whole = read(tmp_path / "r.tsv", "\n".join(lines))
    lines.insert(20, "")
    monkeypatch.setattr(delimited, "BLOCK", 6)
    pieces = read(tmp_path / "r.tsv", "\n".join(lines))
    assert decoded(pieces) == decoded(whole)
    np.testing.assert_array_equal(pieces.timestamps, whole.timestamps)
    lines[30] = "u1\ti7"
    lines[40] = "u1\t\t5\t1"
    error = refusal(tmp_path / "r.tsv", "\n".join(lines))
    assert error.where == f"{tmp_path / 'r.tsv'}:31" and "no rating in this row (2 such rows" in error.what
    lines[30], lines[40] = "u1\ti7\t1\tsoon", "u1\ti77\t1\t8"
    error = refusal(tmp_path / "r.tsv", "\n".join(lines))
    assert error.where == f"{tmp_path / 'r.tsv'}:31" and "the timestamp 'soon'" in error.what


@pytest.mark.parametrize("texts", [["1e9", "1000000000.9"], ["1000000000", " 5 "]])
def test_timestamps_are_cut_to_whole_seconds(tmp_path: Path, texts: Sequence[str]) -> None:
    data = read(tmp_path / "r.tsv", "".join(f"u\ti{row}\t1\t{text}\n" for row, text in enumerate(texts)))
    assert data.timestamps is not None and data.timestamps.tolist() == [int(float(text)) for text in texts]


@pytest.mark.parametrize("text", ["1e300", "-1e16", "inf"])
def test_timestamps_beyond_reason_are_refused(tmp_path: Path, text: str) -> None:
    error = refusal(tmp_path / "r.tsv", f"u\ta\t1\t5\nu\tb\t1\t{text}\n")
    assert error.where == f"{tmp_path / 'r.tsv'}:2" and "timestamp" in error.what


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"user_id": ["u", "v", "u"], "item_id": [1, 2, 2], "rating": [1.5, 2, 1.5], "timestamp": [3, 2, 1], **columns}
    )


def test_parquet_is_read_by_names_that_leave_no_doubt(tmp_path: Path) -> None:
    frame(noise=["a", None, "c"]).to_parquet(tmp_path / "r.parquet")
    data = read_interactions(tmp_path / "r.parquet")
    assert decoded(data) == [("u", "1", 1.5), ("v", "2", 2), ("u", "2", 1.5)]
    assert data.timestamps is not None and data.timestamps.tolist() == [3, 2, 1]
    write_interactions(tmp_path / "r.tsv", data, data.user_ids[data.users], data.item_ids[data.items])
    assert (tmp_path / "r.tsv").read_text() == "u\t1\t1.5\t3\nv\t2\t2.0\t2\nu\t2\t1.5\t1\n"


def test_parquet_by_named_columns_categories_and_dates(tmp_path: Path) -> None:
    when = pd.to_datetime([3.5, 86400, -86400], unit="s")
    table = frame(timestamp=when, user_id=pd.Categorical(["u", "v", "u"]))
    table.rename(columns={"user_id": "who"}).to_parquet(tmp_path / "r.pq")
    data = read_interactions(tmp_path / "r.pq", layout=Layout(columns=Columns("who", 1, timestamp="timestamp")))
    assert decoded(data) == [("u", "1", 1), ("v", "2", 1), ("u", "2", 1)]
    assert data.timestamps is not None and data.timestamps.tolist() == [3, 86400, -86400]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (frame().rename(columns={"user_id": "who"}), "nothing says which columns"),
        (frame(user_id=[1.0, 2.0, 3.0]), "holds double"),
        (frame(user_id=["u", None, "v"]), "no user in row 2"),
        (frame(rating=[1.0, None, 2.0]), "no rating in row 2"),
        (frame(rating=["a", "b", "c"]), "(rating) holds"),
        (frame(rating=[1.0, np.inf, 2.0]), "is not a number"),
        (frame(user_id=["u", "u", "u"], item_id=[1, 1, 2]), "lines 1 and 2"),
        (frame().iloc[:0], "no interactions"),
    ],
)
def test_parquet_that_makes_no_sense_is_refused(tmp_path: Path, table: pd.DataFrame, what: str) -> None:
    table.to_parquet(tmp_path / "r.parquet")
    with pytest.raises(UserError) as caught:
        read_interactions(tmp_path / "r.parquet")
    assert what in caught.value.what


def test_parquet_batches_join_seamlessly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BATCH", 2)
    frame().to_parquet(tmp_path / "r.parquet")
    assert decoded(read_interactions(tmp_path / "r.parquet")) == [("u", "1", 1.5), ("v", "2", 2), ("u", "2", 1.5)]
    frame(user_id=["u", "v", None]).to_parquet(tmp_path / "r.parquet")
    with pytest.raises(UserError, match="no user in row 3"):
        read_interactions(tmp_path / "r.parquet")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    assert "not readable as Parquet" in refusal(tmp_path / "r.parquet", "u\ta\n").what


def test_without_pyarrow_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refusal(tmp_path / "r.parquet", "PAR1").mend == "pip install 'bottega[parquet]'"


ROWS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.sampled_from([1, 2, 2.5, 5])), min_size=1, max_size=40
)


@given(ROWS)
def test_of_doubled_rows_the_highest_rating_stays_the_first_among_equals(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]]
) -> None:
    path = tmp_path_factory.mktemp("max") / "r.tsv"
    written(path, "".join(f"{user}\t{item}\t{rating}\n" for user, item, rating in rows))
    best: dict[tuple[str, str], int] = {}
    for place, (user, item, rating) in enumerate(rows):
        if (user, item) not in best or rating > rows[best[user, item]][2]:
            best[user, item] = place
    assert decoded(read_interactions(path, "max")) == [rows[place] for place in sorted(best.values())]


def test_what_was_read_is_counted_in_one_line(tmp_path: Path, log: list[str]) -> None:
    path = written(tmp_path / "r.tsv", "u\ta\t1\t0\nu\ta\t4.5\t86400\nv\ta\t2\t864000\n")
    read_interactions(path, "last")
    expected = "2 rows, 2 users, 1 items, 1 rows of doubled pairs dropped (kept: last), ratings 2 to 4.5, "
    assert log == [f"INFO {path}: {expected}1970-01-02 to 1970-01-11"]


def test_times_without_ratings_keep_their_column(tmp_path: Path) -> None:
    columns = Columns("user", "item", timestamp="time")
    data = read(tmp_path / "r.csv", "user,item,time\nu,a,5\nv,a,6\n", columns=columns)
    write_interactions(tmp_path / "w.tsv", data, data.user_ids[data.users], data.item_ids[data.items])
    again = read_interactions(tmp_path / "w.tsv")
    assert again.timestamps is not None and again.timestamps.tolist() == [5, 6]
