"""Reading the three dumps: records, bad lines, years, products, distinct reviews."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amazon_cases import meta_2014, review_2014, review_2018, review_2023, write_lines
from hypothesis import given
from hypothesis import strategies as st

from bottega.amazon import lines
from bottega.amazon.lines import Quarantine, read_dump
from bottega.amazon.metadata import Product, read_products
from bottega.amazon.reviews import Reviews, as_tsv, distinct, read_reviews
from bottega.amazon.years import find_year
from workbench.errors import UserError


@pytest.fixture
def listed() -> io.StringIO:
    return io.StringIO()


def rows(listed: io.StringIO) -> list[list[str]]:
    return [line.split("\t") for line in listed.getvalue().splitlines()[1:]]


def values(path: Path, stream: io.StringIO) -> list[dict[str, Any]]:
    return list(read_dump(path, lambda record: record.values, Quarantine(stream)))


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_json_and_python_literals_are_read_plain_and_gzipped(tmp_path: Path, listed: io.StringIO, name: str) -> None:
    path = write_lines(tmp_path / name, ['{"a": 1}', "{'a': 'it\\'s \\d', 'b': None}", "", "  ", '{"a": "\\u00e9"}'])
    assert values(path, listed) == [{"a": 1}, {"a": "it's \\d", "b": None}, {"a": "é"}]
    assert rows(listed) == []


def test_a_gzipped_file_is_known_by_its_content(tmp_path: Path, listed: io.StringIO) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert values(path, listed) == [{"a": 1}]


HOSTILE = [
    b"{'a': __import__('os').getcwd()}",
    b"{'a': " + b"-" * 100_000 + b"1}",
    b"{'a': " + b"(" * 100_000,
    b"[" * 200_000,
    b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"a": 1',
    b"[1, 2]",
    b"null",
    b'{"a": "\xff"}',
    b"{'a': '" + b"x" * (lines.LONGEST_LITERAL + 1) + b"'}",
    b"<html>",
]


def test_hostile_lines_are_listed_with_their_number_and_the_rest_is_read(tmp_path: Path, listed: io.StringIO) -> None:
    good = [b'{"a": 1}'] * len(HOSTILE)
    path = write_lines(tmp_path / "a.json", [line for pair in zip(good, HOSTILE, strict=True) for line in pair])
    assert values(path, listed) == [{"a": 1}] * len(HOSTILE)
    assert [int(row[1]) for row in rows(listed)] == list(range(2, 2 * len(HOSTILE) + 1, 2))
    assert all(row[0] == "a.json" and row[2] for row in rows(listed))


def test_an_overlong_line_is_skipped_whole(
    tmp_path: Path, listed: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 50)
    long = json.dumps({"a": "x" * 333})
    path = write_lines(tmp_path / "a.json", ['{"a": 1}', long, '{"a": 2}', '{"a": 3}', long])
    assert [record["a"] for record in values(path, listed)] == [1, 2, 3]
    assert [row[1] for row in rows(listed)] == ["2", "5"]


def test_a_file_of_mostly_bad_lines_is_refused_early(tmp_path: Path, listed: io.StringIO) -> None:
    path = write_lines(tmp_path / "a.json", ['{"a": 1}', "x", "y"])
    with pytest.raises(UserError, match=r"2 of the first 3 lines cannot be used; the first, line 2: not JSON"):
        values(path, listed)
    path = write_lines(tmp_path / "b.json", ["x"] * 5000)
    with pytest.raises(UserError, match=r"1,000 of the first 1,000"):
        values(path, listed)
    (tmp_path / "c.json").write_bytes(b"\n\n")
    with pytest.raises(UserError, match="no records"):
        values(tmp_path / "c.json", listed)
    with pytest.raises(UserError, match="no such file"):
        values(tmp_path / "d.json", listed)


def test_a_truncated_or_corrupted_archive_is_one_sentence(tmp_path: Path, listed: io.StringIO) -> None:
    content = gzip.compress(b"".join(json.dumps({"a": i * 7919}).encode() + b"\n" for i in range(20_000)))
    path = tmp_path / "a.json.gz"
    for broken in (content[: len(content) // 2], content[:500] + b"\x00" * 200 + content[700:]):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="archive is damaged") as caught:
            values(path, listed)
        assert caught.value.mend == "download it again"


def test_the_year_is_told_by_the_keys(tmp_path: Path) -> None:
    reviews = {2014: review_2014, 2018: review_2018, 2023: review_2023}
    metas: dict[int, dict[str, Any]] = {
        2014: meta_2014("i"),
        2018: {"asin": "i", "category": [], "imageURLHighRes": []},
        2023: {"parent_asin": "i", "images": [], "categories": []},
    }
    files = {
        year: (
            write_lines(tmp_path / f"r{year}.json", [make("u", "i")]),
            write_lines(tmp_path / f"m{year}.json", [metas[year]], literal=year == 2014),
        )
        for year, make in reviews.items()
    }
    for year, (review, meta) in files.items():
        assert find_year(review, meta, None) == year
        assert find_year(review, meta, year) == year
        for other in {2014, 2018, 2023} - {year}:
            with pytest.raises(UserError, match=f"of {year}.*--year is of {other}"):
                find_year(review, meta, other)
            with pytest.raises(UserError, match=f"is of {year}.*is of {other}"):
                find_year(review, files[other][1], None)
        with pytest.raises(UserError, match=r"changed places|this is no metadata|are no reviews"):
            find_year(meta, review, None)


def test_the_year_must_be_said_where_nothing_tells(tmp_path: Path) -> None:
    review = write_lines(tmp_path / "r.json", [{"reviewerID": "u", "asin": "i", "overall": 5, "unixReviewTime": 1e9}])
    meta = write_lines(tmp_path / "m.json", [{"asin": "i", "title": "t"}])
    with pytest.raises(UserError, match="do not tell"):
        find_year(review, meta, None)
    assert find_year(review, meta, 2018) == 2018
    with pytest.raises(UserError, match="is no metadata"):
        find_year(review, review, 2018)
    csv = write_lines(tmp_path / "r.csv", ["user_id,parent_asin,rating,timestamp", "u,i,5,1"])
    with pytest.raises(UserError, match="is a record"):
        find_year(csv, meta, None)


@pytest.mark.parametrize(
    ("year", "make", "when"),
    [(2014, review_2014, 10**9), (2018, review_2018, 10**9), (2023, review_2023, 10**12 + 999)],
)
def test_reviews_of_every_year_are_user_item_rating_and_seconds(
    tmp_path: Path, listed: io.StringIO, year: int, make: Any, when: int
) -> None:
    records = [make("u1", "i2", 4.0, when), make("u2", "i1", 1, when), make("u1", "i1", 5.0, when)]
    found = read_reviews(write_lines(tmp_path / "r.json.gz", records), year, Quarantine(listed))
    expected = ["u1\ti2\t4.0\t1000000000", "u2\ti1\t1.0\t1000000000", "u1\ti1\t5.0\t1000000000"]
    assert "".join(as_tsv(found, np.arange(3))).splitlines() == expected
    assert found.lines.tolist() == [1, 2, 3]


def test_reviews_that_make_no_sense_are_listed(tmp_path: Path, listed: io.StringIO) -> None:
    bad = [{**review_2014("u", "i"), "overall": value} for value in (None, "5", True, 6, -1, float("nan"), 10**400)]
    bad += [{**review_2014("u", "i"), "unixReviewTime": value} for value in (None, 5, 10**12, [], float("inf"))]
    bad += [{**review_2014("u", "i"), key: value} for key in ("reviewerID", "asin") for value in ("", " ", 7, "a\tb")]
    records = [review_2014(f"u{number}", "i") for number in range(len(bad))] + bad
    found = read_reviews(write_lines(tmp_path / "r.json", records), 2014, Quarantine(listed))
    assert len(found) == len(bad)
    assert [int(row[1]) for row in rows(listed)] == list(range(len(bad) + 1, 2 * len(bad) + 1))
    assert "no time between 1990 and 2100 in unix seconds" in listed.getvalue()


PAIRS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.0, 3.0, 5.0]), st.integers(0, 3)), max_size=25
)


def arrays(drawn: list[tuple[int, int, float, int]]) -> Reviews:
    users, items, ratings, times = zip(*drawn, strict=True) if drawn else ((), (), (), ())
    return Reviews(
        Path("r.json"),
        np.array(users, dtype=np.int32),
        np.array(items, dtype=np.int32),
        np.array(ratings, dtype=float),
        np.array(times, dtype=np.int64),
        np.arange(1, len(drawn) + 1),
        ["a", "b", "c"],
        ["x", "y", "z"],
    )


@given(PAIRS)
def test_the_row_that_stays_is_the_one_of_a_literal_loop(drawn: list[tuple[int, int, float, int]]) -> None:
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (user, item, _, _) in enumerate(drawn):
        groups.setdefault((user, item), []).append(place)
    chosen = {
        "first": {min(places, key=lambda place: (drawn[place][3], place)) for places in groups.values()},
        "last": {max(places, key=lambda place: (drawn[place][3], place)) for places in groups.values()},
        "max": {max(places, key=lambda place: (drawn[place][2], drawn[place][3], place)) for places in groups.values()},
    }
    found = arrays(drawn)
    for rule, places in chosen.items():
        assert set(np.flatnonzero(distinct(found, rule)).tolist()) == places  # type: ignore[arg-type]
    if len(groups) == len(drawn):
        assert distinct(found, "error").all()
    else:
        with pytest.raises(UserError, match=f"{len(drawn) - len(groups)} rows repeat"):
            distinct(found, "error")


def test_a_refused_repetition_names_both_lines() -> None:
    with pytest.raises(UserError, match=r"r.json:3: user 'a' reviews item 'y' on lines 1 and 3"):
        distinct(arrays([(0, 1, 5.0, 9), (1, 1, 5.0, 1), (0, 1, 5.0, 2)]), "error")


def products(tmp_path: Path, year: int, records: list[Any], listed: io.StringIO) -> list[Product]:
    path = write_lines(tmp_path / "meta.json.gz", records, literal=year == 2014)
    return list(read_products(path, year, Quarantine(listed)))


def test_products_of_2014(tmp_path: Path, listed: io.StringIO) -> None:
    record = meta_2014("i1", "http://h/a.jpg", title="It's &quot;big&quot;", brand="B", description="Soft\nbanana")
    first, second = products(tmp_path, 2014, [record, {"asin": "i2", "salesRank": {}}], listed)
    expected = ("i1", 'It\'s "big"', "B", ["Baby", "Toys", "Gifts"], [], "Soft banana", ["http://h/a.jpg"])
    assert first == Product(*expected)
    assert second == Product("i2", "", "", [], [], "", [])


def test_products_of_2018(tmp_path: Path, listed: io.StringIO) -> None:
    record = {
        "asin": "i1",
        "title": "T",
        "brand": "B",
        "category": ["C", "<span>D</span>"],
        "feature": ["F"],
        "description": ["one", "", "two"],
        "imageURL": ["http://h/small1.jpg", "http://h/small2.jpg"],
        "imageURLHighRes": ["http://h/big1.jpg", "http://h/big2.jpg", "http://h/big3.jpg"],
    }
    (found,) = products(tmp_path, 2018, [record], listed)
    assert (found.categories, found.features, found.description) == (["C", "D"], ["F"], "one two")
    assert [url[9:] for url in found.urls] == ["big1.jpg", "small1.jpg", "big2.jpg", "small2.jpg"]


def test_products_of_2023_with_a_list_of_images_and_with_lists_in_a_mapping(
    tmp_path: Path, listed: io.StringIO
) -> None:
    images = [
        {"thumb": "http://h/t1", "large": "http://h/l1", "hi_res": None, "variant": "PT01"},
        {"thumb": "http://h/t0", "large": "http://h/l0", "hi_res": "http://h/h0", "variant": "MAIN"},
    ]
    lists = {key: [image[key] for image in images] for key in images[0]}
    record = {"parent_asin": "i", "asin": "v", "title": "T", "store": "S", "categories": [], "main_category": "M"}
    for given_ in (images, lists):
        (found,) = products(tmp_path, 2023, [{**record, "images": given_, "description": ["d"]}], listed)
        assert (found.item, found.brand, found.categories, found.description) == ("i", "S", ["M"], "d")
        assert found.urls == ["http://h/l0", "http://h/h0", "http://h/t0", "http://h/l1"]


SHAPES: list[Any] = [None, 7, "x", [], {}, [None], [[]], [{}], {"large": 5}, {"large": "u"}, {"large": [1]}, [["a", 1]]]


@pytest.mark.parametrize("year", [2014, 2018, 2023])
def test_fields_of_any_shape_do_not_stop_the_reading(tmp_path: Path, listed: io.StringIO, year: int) -> None:
    names = ["title", "brand", "store", "categories", "category", "main_category", "description", "feature"]
    names += ["features", "imUrl", "imageURL", "imageURLHighRes", "image", "images"]
    records = [{"asin": "i", "parent_asin": "i"} | dict.fromkeys(names, shape) for shape in SHAPES]
    assert len(products(tmp_path, year, records, listed)) == len(SHAPES)


def test_a_product_without_an_id_is_listed(tmp_path: Path, listed: io.StringIO) -> None:
    found = products(tmp_path, 2018, [{"asin": "i"}, {"title": "t"}], listed)
    assert [product.item for product in found] == ["i"]
    assert rows(listed) == [["meta.json.gz", "2", "no asin"]]
