"""Files under raw ids beside parts under numbers: translated where they tell, refused where they fit both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from bench_cases import csr, write_rows
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import read_experiment_config
from benchmark.config.slices import ClusterFile, SliceSettings
from benchmark.data.dataset import Dataset
from benchmark.data.raw_ids import NO_MAPS, Column, IdMap, RawIds, index_of, numbering_of, read_numbers, read_raw_ids
from benchmark.evaluation.clusters import read_categories, read_clustering
from benchmark.evaluation.metrics import Sources, build_complex, complex_schema
from benchmark.load.negatives import read_negatives
from benchmark.load.raw_ids import raw_ids_of
from benchmark.load.recommendations import read_recommendations
from benchmark.load.slices import build_slices
from workbench.errors import UserError

CPU = torch.device("cpu")
N = 6
NUMBERS = [str(number) for number in range(N)]
FILMS = ["3", "0", "5", "1", "4", "2"]  # raw ids that are numbers: each is another film's, but 4
BOOKS = ["B3", "B0", "B5", "B1", "B4", "B2"]


def maps(folder: Path, users: list[str], items: list[str]) -> RawIds:
    for name, raw in (("users_map.tsv", users), ("items_map.tsv", items)):
        write_rows(folder / name, list(zip(raw, NUMBERS, strict=True)))
    return read_raw_ids(folder)


def data() -> Dataset:
    train = csr({user: {user: 1} for user in range(N)}, N)
    return Dataset(NUMBERS, NUMBERS, N, train, None, csr({user: {(user + 1) % N: 1} for user in range(N)}, N))


def test_maps_say_nothing_where_raw_ids_are_their_own_numbers(tmp_path: Path) -> None:
    assert read_raw_ids(tmp_path) == NO_MAPS
    assert maps(tmp_path, NUMBERS, BOOKS) == RawIds(
        None, IdMap(tmp_path / "items_map.tsv", dict(zip(NUMBERS, BOOKS, strict=True)))
    )


@pytest.mark.parametrize("text", ["a\n", "a\tx\n", "\t1\n", "a\t1\na\t2\n", "a\t1\nb\t1\n", "a\t-1\n", b"\xff\t1\n"])
def test_a_broken_map_is_refused(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "map.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"a raw id and its number|not UTF-8"):
        read_numbers(path)


@given(st.permutations(BOOKS), st.sets(st.sampled_from(range(N)), min_size=1))
def test_whatever_fits_one_way_only_is_taken_so(books: list[str], chosen: set[int]) -> None:
    known = IdMap(Path("map"), dict(zip(NUMBERS, books, strict=True)))
    for way, names in (("raw", books), ("parts", NUMBERS)):
        given_ids = [names[number] for number in chosen]
        assert numbering_of([Column([*given_ids, "stranger"], NUMBERS, known)], "x") == way
        index = index_of(NUMBERS, known, way)  # type: ignore[arg-type]
        assert [index[identifier] for identifier in given_ids] == list(chosen)


def test_the_other_ids_settle_what_a_few_leave_open() -> None:
    many = [str(number) for number in range(30)]
    known = IdMap(Path("map"), {number: f"B{number}" for number in many} | {"7": "9"})
    assert numbering_of([Column(["9", *(f"B{number}" for number in range(20, 30))], many, known)], "x") == "raw"
    assert numbering_of([Column(many, many, known)], "x") == "parts"


def test_groups_under_raw_numbers_are_those_of_the_parts_or_refused(tmp_path: Path) -> None:
    groups = write_rows(tmp_path / "genre.tsv", [(raw, f"g{number}") for number, raw in enumerate(FILMS)])
    raw = maps(tmp_path, FILMS, FILMS)
    for read in (read_clustering, read_categories):
        arguments = (groups, "genre", NUMBERS, CPU) if read is read_clustering else (groups, NUMBERS, CPU)
        with pytest.raises(UserError, match=r"genre\.tsv: its ids may be raw ids \(5 .* numbers .* \(5 ") as caught:
            read(*arguments, raw.items)  # type: ignore[arg-type]
        assert str(tmp_path / "items_map.tsv") in caught.value.what
        assert "ids: raw" in str(caught.value.mend) and "without `_indexed`" in str(caught.value.mend)
    assert read_clustering(groups, None, NUMBERS, CPU, raw.items, "raw").of.tolist() == [0, 1, 2, 3, 4, 5]
    assert read_clustering(groups, None, NUMBERS, CPU, raw.items, "parts").of.tolist() == [1, 3, 5, 0, 4, 2]
    assert read_categories(groups, NUMBERS, CPU, raw.items, "raw").values.tolist() == [0, 1, 2, 3, 4, 5]
    books = write_rows(tmp_path / "books.tsv", [(raw, f"g{number}") for number, raw in enumerate(BOOKS)])
    raw = maps(tmp_path, BOOKS, BOOKS)
    assert read_clustering(books, None, NUMBERS, CPU, raw.items).of.tolist() == [0, 1, 2, 3, 4, 5]
    numbers = write_rows(tmp_path / "numbers.tsv", [(number, f"g{number}") for number in NUMBERS])
    assert read_clustering(numbers, None, NUMBERS, CPU, raw.items).of.tolist() == [0, 1, 2, 3, 4, 5]


def test_slices_and_metrics_read_their_files_through_the_maps(tmp_path: Path) -> None:
    groups = write_rows(tmp_path / "genre.tsv", [(raw, f"g{number % 2}") for number, raw in enumerate(FILMS)])
    raw = maps(tmp_path, FILMS, FILMS)
    cluster = {"file": str(groups), "ids": "raw"}
    asked = SliceSettings(users=[ClusterFile(**cluster)], items=[ClusterFile(**cluster, name="films")])  # type: ignore[arg-type]
    for each in build_slices(asked, data(), [], Path, raw):
        assert each.codes.tolist() == [0, 1] * 3
    with pytest.raises(UserError, match="may be raw ids"):
        build_slices(SliceSettings(users=[ClusterFile(file=str(groups))]), data(), [], Path, raw)
    sources = Sources(NUMBERS, NUMBERS, CPU, Path, raw)
    for entry in (
        {"metric": "RSP", "clustering_file": str(groups)},
        {"metric": "UserMADranking", "clustering_file": str(groups)},
        {"metric": "SRecall", "feature_data": str(groups)},
        {"metric": "BiasDisparityBR", "user_clustering_file": str(groups), "item_clustering_file": str(groups)},
        {"metric": "clustered_nDCG", "user_clustering_file": str(groups)},
    ):
        with pytest.raises(UserError, match="may be raw ids"):
            build_complex(complex_schema(entry)(**entry), sources)
        build_complex(complex_schema(entry)(**entry, ids="raw"), sources)


def test_lists_are_under_either(tmp_path: Path) -> None:
    def read(users: list[str], items: list[str], raw: RawIds, ids: str | None = None) -> list[list[int]]:
        path = write_rows(tmp_path / "lists.tsv", list(zip(users, items, strict=True)))
        (block,) = read_recommendations(path, "score", NUMBERS, NUMBERS, raw, ids)  # type: ignore[arg-type]
        return [block.users.tolist(), block.items.tolist()]

    raw = maps(tmp_path, NUMBERS, BOOKS)
    expected = [list(range(N)), list(range(N))]
    assert read(NUMBERS, BOOKS, raw) == read(NUMBERS, NUMBERS, raw) == expected
    assert read(["8", "1"], ["B3", "B8"], raw) == [[-1, 1], [0, -1]]
    raw = maps(tmp_path, FILMS, FILMS)
    with pytest.raises(UserError, match="may be raw ids") as caught:
        read(NUMBERS, NUMBERS, raw)
    assert "users_map.tsv and" in caught.value.what
    assert read(NUMBERS, NUMBERS, raw, "parts") == read(FILMS, FILMS, raw, "raw") == expected


def test_negatives_are_under_either(tmp_path: Path) -> None:
    def read(users: list[str], items: list[str], raw: RawIds, ids: str | None = None) -> np.ndarray:
        lines = [(f"({user},)", *(items[(place + step) % N] for step in (2, 3))) for place, user in enumerate(users)]
        path = write_rows(tmp_path / "negative.tsv", lines)
        one = data()
        return read_negatives(path, one, np.arange(N), [one.train, one.test], raw, ids).items  # type: ignore[arg-type]

    expected = sorted([user, (user + step) % N] for user in range(N) for step in (2, 3))
    items = [item for _, item in expected]
    raw = maps(tmp_path, FILMS, BOOKS)
    assert read(FILMS, BOOKS, raw).tolist() == read(NUMBERS, NUMBERS, raw, "parts").tolist() == items
    raw = maps(tmp_path, FILMS, FILMS)
    with pytest.raises(UserError, match="may be raw ids"):
        read(FILMS, FILMS, raw)
    assert read(FILMS, FILMS, raw, "raw").tolist() == read(NUMBERS, NUMBERS, raw, "parts").tolist() == items


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"strategy": "fixed", "train_path": "../d/train_indexed.tsv", "test_path": "x"}, True),
        ({"strategy": "fixed", "train_path": "../d/train.tsv", "test_path": "x"}, False),
        ({"strategy": "hierarchy", "root_folder": "../d/folds_indexed"}, True),
        ({"strategy": "hierarchy", "root_folder": "../d/folds"}, False),
        ({"strategy": "mmrec", "dataset_path": "../d"}, False),
    ],
)
def test_only_indexed_parts_have_raw_ids_behind_them(tmp_path: Path, parts: dict[str, str], found: bool) -> None:
    maps(tmp_path / "d", FILMS, BOOKS)
    content = {
        "dataset": "d",
        "top_k": 5,
        "data_config": parts,
        "evaluation": {"simple_metrics": ["Recall"]},
        "models": {"MostPop": None},
    }
    path = tmp_path / "config" / "x.yml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"experiment": content}))
    raw = raw_ids_of(read_experiment_config(path))
    assert (raw.users is not None and raw.items is not None) == found
