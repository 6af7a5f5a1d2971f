"""Figures of groups of users and items, against loops over users."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from bench_cases import csr, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.config.slices import ClusterFile, SliceSettings
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.modalities import Modality
from benchmark.evaluation import HeldOut, Ranking, rank
from benchmark.evaluation.ranking import Mask
from benchmark.evaluation.slices import Slice, SliceRow, equal_begins, group_by_count, measure_slices, restrict
from benchmark.experiment.figures import mean_slices
from benchmark.load.slices import build_slices
from benchmark.reports.slices import render_slices, write_slices
from workbench.config import read_yaml, validate
from workbench.errors import UserError

CPU = torch.device("cpu")
K, N_USERS, N_ITEMS, THRESHOLD = 6, 40, 25, 2.0


def shop(seed: int = 0) -> Dataset:
    """Item popularity falls off; items 0 to 2 and the last one have no training rows, the last is no candidate."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, N_ITEMS - 2)
    train: dict[int, dict[int, float]] = {}
    test: dict[int, dict[int, float]] = {}
    for user in range(N_USERS):
        order = 3 + rng.choice(N_ITEMS - 3, 12, replace=False, p=weights / weights.sum())
        cut = int(rng.integers(1, 10))
        train[user] = {int(item): 1.0 for item in order[:cut]}
        test[user] = {int(item): float(rng.integers(1, 6)) for item in order[cut:]}
        if user % 3 == 0:
            test[user] |= {user % 2: 5.0, N_ITEMS: 3.0}
    users, items = [f"u{user}" for user in range(N_USERS)], [f"i{item}" for item in range(N_ITEMS + 1)]
    return Dataset(users, items, N_ITEMS, csr(train, N_USERS), None, csr(test, N_USERS))


def ranked(data: Dataset, seed: int = 0, full: bool = False) -> Ranking:
    scores = torch.from_numpy(np.random.default_rng(seed).integers(0, 50, (N_USERS, N_ITEMS)).astype(np.float32))
    held_out = HeldOut(data.test, len(data.item_ids), THRESHOLD, K, CPU)
    mask = Mask([data.train], N_ITEMS, CPU)
    return rank(lambda users: scores[users].clone(), held_out, mask, K, N_ITEMS, full)


def figures(ranking: Ranking) -> Mapping[str, Tensor]:
    """Recall and graded nDCG at 4, from the fields of a ranking."""
    discount = 1 / torch.log2(torch.arange(2, 6, dtype=torch.float64))
    return {
        "Recall@4": ranking.hits[:, :4].sum(1) / ranking.relevant,
        "nDCG@4": (ranking.gains[:, :4] * discount).sum(1) / (ranking.ideal[:, :4] * discount).sum(1),
    }


def literal(listed: list[int], relevant: Mapping[int, float]) -> tuple[float, float]:
    """The same of one user, by definition."""
    hits = [place for place, item in enumerate(listed[:4]) if item in relevant]
    gain = {item: 2 ** (rating - THRESHOLD + 1) - 1 for item, rating in relevant.items()}
    best = sorted(gain.values(), reverse=True)[:4]
    ideal = sum(value / np.log2(place + 2) for place, value in enumerate(best))
    return len(hits) / len(relevant), sum(gain[listed[place]] / np.log2(place + 2) for place in hits) / ideal


def relevant_of(part: Csr, user: int) -> dict[int, float]:
    rows = slice(part.indptr[user], part.indptr[user + 1])
    pairs = zip(part.items[rows].tolist(), part.values[rows].tolist(), strict=True)
    return {item: rating for item, rating in pairs if rating >= THRESHOLD}


def expected(data: Dataset, ranking: Ranking, each: Slice) -> list[SliceRow]:
    """The rows of a slice, user by user."""
    lists = dict(zip(ranking.users.tolist(), ranking.items.tolist(), strict=True))
    rows = []
    for code, group in enumerate(each.groups):
        values = []
        for user, listed in lists.items():
            relevant = relevant_of(data.test, user)
            if each.of == "users" and each.codes[user] != code:
                continue
            if each.of == "items":
                relevant = {item: rating for item, rating in relevant.items() if each.codes[item] == code}
            if relevant:
                values.append(literal(listed, relevant))
        means = dict(zip(("Recall@4", "nDCG@4"), np.mean(values, axis=0).tolist(), strict=True)) if values else {}
        rows.append(SliceRow(each.name, group, len(values), means))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_every_group_has_the_figures_of_a_loop_over_users(seed: int, tmp_path: Path) -> None:
    data = shop(seed)
    rng = np.random.default_rng(seed)
    sides = write_rows(tmp_path / "side.tsv", [(f"u{user}", f"side{user % 3}") for user in range(0, N_USERS, 2)])
    kinds = write_rows(tmp_path / "kind.tsv", [(f"i{item}", "ab"[item % 2]) for item in range(N_ITEMS + 1)])
    asked = SliceSettings(
        user_activity=3,
        item_popularity=[1, 10],
        new_items=True,
        modality_coverage=True,
        users=[ClusterFile(file=str(sides))],
        items=[ClusterFile(name="shelf", file=str(kinds))],
    )
    modalities = [
        Modality(name, np.zeros((N_ITEMS, 1), np.float32), rng.random(N_ITEMS) < 0.6, "", "") for name in ("v", "t")
    ]
    slices = build_slices(asked, data, modalities, Path)
    assert [each.name for each in slices] == [
        "user_activity",
        "item_popularity",
        "new_items",
        "modality_coverage",
        "side",
        "shelf",
    ]
    ranking = ranked(data, seed)
    overall, *rows = measure_slices(ranking, figures, slices, THRESHOLD)
    assert (overall.slice, overall.users) == ("all", len(ranking.users))
    assert overall.values["Recall@4"] == pytest.approx(float(figures(ranking)["Recall@4"].mean()))
    wanted = [row for each in slices for row in expected(data, ranking, each)]
    assert len(rows) == len(wanted)
    for row, literally in zip(rows, wanted, strict=True):
        assert (row.slice, row.group, row.users) == (literally.slice, literally.group, literally.users)
        assert row.values == pytest.approx(literally.values, abs=1e-12)


def test_a_slice_of_everything_changes_nothing() -> None:
    data = shop()
    ranking = ranked(data, full=True)
    same = restrict(ranking, np.ones(N_ITEMS + 1, dtype=bool), THRESHOLD)
    for field in ("users", "items", "scores", "gains", "relevant", "ideal"):
        assert torch.equal(getattr(same, field), getattr(ranking, field)), field
    assert same.rows is not None and ranking.rows is not None
    assert same.full is not None and ranking.full is not None
    assert torch.equal(same.rows.items, ranking.rows.items)
    assert torch.equal(same.rows.places, ranking.rows.places)
    assert torch.equal(same.full.ranks, ranking.full.ranks)
    assert torch.equal(same.full.candidates, ranking.full.candidates)


def test_ranks_of_all_relevant_items_follow_their_rows() -> None:
    data = shop()
    ranking = ranked(data, full=True)
    inside = np.arange(N_ITEMS + 1) % 3 == 0
    part = restrict(ranking, inside, THRESHOLD)
    assert ranking.rows is not None and ranking.full is not None and part.rows is not None and part.full is not None

    def ranks(of: Ranking) -> dict[tuple[int, int], int]:
        assert of.rows is not None and of.full is not None
        users = of.users[of.rows.places].tolist()
        pairs = zip(users, of.rows.items.tolist(), strict=True)
        return dict(zip(pairs, of.full.ranks.tolist(), strict=True))

    assert ranks(part) == {pair: value for pair, value in ranks(ranking).items() if inside[pair[1]]}
    assert len(part.full.candidates) == len(part.users)


def test_a_group_without_users_is_stated(tmp_path: Path) -> None:
    data = shop()
    codes = np.full(N_ITEMS + 1, 1)
    nobody = Slice("kind", "items", ("none", "all"), codes)
    quiet = Slice("side", "users", ("left", "right"), np.zeros(N_USERS, dtype=np.int64))
    rows = measure_slices(ranked(data), figures, [nobody, quiet], THRESHOLD)
    assert [(row.group, row.users > 0) for row in rows] == [
        ("all", True),
        ("none", False),
        ("all", True),
        ("left", True),
        ("right", False),
    ]
    write_slices(tmp_path / "slices.tsv", {"A": rows, "B": rows}, ["nDCG@4", "Recall@4"])
    lines = [line.split("\t") for line in (tmp_path / "slices.tsv").read_text().splitlines()]
    assert lines[0] == ["model", "slice", "group", "users", "nDCG@4", "Recall@4"]
    assert lines[2] == ["A", "kind", "none", "0", "", ""]
    assert lines[1][3:] == [str(rows[0].users), f"{rows[0].values['nDCG@4']:.6f}", f"{rows[0].values['Recall@4']:.6f}"]
    assert len(lines) == 1 + 2 * len(rows)
    shown = render_slices({"A": rows, "B": rows}, "nDCG@4")
    assert shown.startswith("nDCG@4 by groups\n")
    assert any(
        line.split("|")[1:-1] == [" kind  ", " none  ", "     0 ", "      - ", "      - "]
        for line in shown.splitlines()
    )


def group(name: str, users: int, value: float = 0.0, of: str = "user_activity") -> SliceRow:
    return SliceRow(of, name, users, {"Recall@5": value} if users else {})


def test_groups_of_several_splits_are_joined_by_their_place() -> None:
    first = [group("all", 20, 0.5, "all"), group("1-4 rows", 10, 0.25), group("5 rows or more", 10, 0.75)]
    second = [group("all", 22, 0.25, "all"), group("1-2 rows", 12, 0.5), group("3 rows or more", 0)]
    assert mean_slices([first, second]) == [
        group("all", 21, pytest.approx((20 * 0.5 + 22 * 0.25) / 42), "all"),
        group("group 1 of 2 (about 1-4 rows)", 11, pytest.approx((10 * 0.25 + 12 * 0.5) / 22)),
        group("group 2 of 2 (about 5 rows or more)", 5, 0.75),
    ]
    assert mean_slices([first, first]) == first


def test_where_splits_have_different_numbers_of_groups_their_names_say_so() -> None:
    first = [group("1-4 rows", 10, 0.25), group("5 rows or more", 10, 0.75)]
    second = [group("1-4 rows", 12, 0.5), group("5-6 rows", 4, 0.5), group("7 rows or more", 4, 0.5)]
    assert [(row.group, row.users) for row in mean_slices([first, second])] == [
        ("1-4 rows", 11),
        ("5 rows or more (in 1 of 2 replicates)", 10),
        ("5-6 rows (in 1 of 2 replicates)", 4),
        ("7 rows or more (in 1 of 2 replicates)", 4),
    ]
    named = [
        [group("f", 3, 0.5, "side"), group("m", 3, 0.5, "side")],
        [group("m", 5, 1, "side"), group("x", 5, 1, "side")],
    ]
    assert [row.group for row in mean_slices(named)] == [
        *("f (in 1 of 2 replicates)", "m", "x (in 1 of 2 replicates)"),
    ]


def test_slices_are_labelled_show_a_range_of_users_and_fit_the_terminal(tmp_path: Path) -> None:
    results = {f"model number {place}": [group("1-4 rows", 1_000 + place, 0.5)] for place in range(9)}
    results["another"] = [group("1-4 rows", 1_000, 0.5), group("5 rows or more", 7, 0.25)]
    write_slices(tmp_path / "slices.tsv", results, ["Recall@5"], " (5 neg.)")
    header, *_ = (tmp_path / "slices.tsv").read_text().splitlines()
    assert header.split("\t") == ["model", "slice", "group", "users", "Recall@5 (5 neg.)"]
    heading, *lines = render_slices(results, "Recall@5", " (5 neg.)").splitlines()
    assert heading == "Recall@5 (5 neg.) by groups"
    assert max(map(len, lines)) <= 100
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert sum(row[:3] == ["user_activity", "1-4 rows", "1,000 to 1,008"] for row in cells) > 1
    assert sum(row[:3] == ["user_activity", "5 rows or more", "7"] for row in cells) > 1
    assert cells[-2][-1] == "0.2500" and cells[-2][-2] == "-"


@settings(max_examples=100)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 5))
def test_equal_groups_cover_everyone_and_keep_equal_numbers_together(values: list[int], n_groups: int) -> None:
    counts = np.array(values)
    begins = equal_begins(counts, np.ones_like(counts), n_groups)
    assert begins == sorted(set(begins))
    assert len(begins) < n_groups
    codes, names = group_by_count(counts, begins, int(counts.min()))
    assert len(names) == len(begins) + 1
    assert set(codes.tolist()) == set(range(len(names)))  # no group is empty
    for code, value in zip(codes.tolist(), values, strict=True):
        assert code == sum(value >= begin for begin in begins)
    if len(set(values)) == len(values):  # without equal numbers the groups differ by at most one
        sizes = np.bincount(codes)
        assert sizes.max() - sizes.min() <= 1


def test_groups_of_equal_weight() -> None:
    counts = np.array([1, 1, 1, 1, 1, 1, 2, 4, 5, 8])  # 25 rows
    begins = equal_begins(counts, counts, 3)
    codes, names = group_by_count(counts, begins, 1)
    assert names == ("1-4 rows", "5-7 rows", "8 rows or more")
    assert [int(counts[codes == code].sum()) for code in range(3)] == [12, 5, 8]
    assert group_by_count(np.array([0, 1, 3, 9]), [1, 4])[1] == ("0 rows", "1-3 rows", "4 rows or more")
    assert group_by_count(np.array([0, 5]), [], 1)[0].tolist() == [-1, 0]
    assert equal_begins(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 3) == []


def test_new_items_and_coverage_look_at_training_rows_and_present_features() -> None:
    data = shop()
    present = np.zeros(N_ITEMS, dtype=bool)
    present[:5] = True
    visual = Modality("visual", np.zeros((N_ITEMS, 1), np.float32), present, "", "")
    textual = Modality("textual", np.zeros((N_ITEMS, 1), np.float32), np.roll(present, 2), "", "")
    new, coverage = build_slices(SliceSettings(new_items=True, modality_coverage=True), data, [visual, textual], Path)
    trained = set(data.train.items.tolist())
    for item, code in enumerate(new.codes.tolist()):
        assert new.groups[code] == ("others" if item in trained else "new")
    words = [coverage.groups[code] if code >= 0 else "-" for code in coverage.codes.tolist()]
    assert words == ["some"] * 2 + ["all"] * 3 + ["some"] * 2 + ["none"] * (N_ITEMS - 7) + ["-"]


def test_popularity_by_equal_rows_leaves_items_without_rows_out() -> None:
    data = shop()
    (each,) = build_slices(SliceSettings(item_popularity=3), data, [], Path)
    rows = np.bincount(data.train.items, minlength=N_ITEMS + 1)
    assert ((each.codes < 0) == (rows == 0)).all()
    shares = [rows[each.codes == code].sum() / rows.sum() for code in range(3)]
    assert all(0.15 < share < 0.55 for share in shares)


def test_activity_counts_rows_that_are_only_shown_at_test() -> None:
    train, test = csr({0: {0: 1, 1: 1}, 1: {0: 1}, 2: {1: 1}}, 4), csr({1: {2: 1}, 2: {2: 1}, 3: {2: 1}}, 4)
    shown = csr({3: {0: 1, 1: 1, 4: 1}}, 4)
    data = Dataset(list("abcd"), list("vwxyz"), 5, train, None, test, None, shown)
    (each,) = build_slices(SliceSettings(user_activity=[2, 3]), data, [], Path)
    assert [each.groups[code] for code in each.codes] == ["2 rows", "0-1 rows", "0-1 rows", "3 rows or more"]
    (each,) = build_slices(SliceSettings(user_activity=2), data, [], Path)
    assert each.groups == ("1-2 rows", "3 rows or more")


def test_fewer_groups_than_asked_for_are_told(log: list[str]) -> None:
    train, test = csr({0: {0: 1}, 1: {1: 1}}, 2), csr({0: {1: 1}, 1: {0: 1}}, 2)
    data = Dataset(["a", "b"], ["x", "y"], 2, train, None, test)
    (each,) = build_slices(SliceSettings(user_activity=3), data, [], Path)
    assert each.groups == ("1 rows or more",)
    assert any("user_activity: 1 groups instead of 3" in line for line in log)


def test_coverage_without_features_is_refused() -> None:
    with pytest.raises(UserError, match="groups items by their features, and none are loaded"):
        build_slices(SliceSettings(modality_coverage=True), shop(), [], Path)


def test_files_are_given_as_paths_or_with_a_name() -> None:
    read = SliceSettings.model_validate({"users": "a/sides.tsv", "items": ["k.tsv", {"file": "k.tsv", "name": "kind"}]})
    assert [each.label for each in (*read.users, *read.items)] == ["sides", "k", "kind"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"user_activity": 1}, "there should be at least 2 groups"),
        ({"user_activity": [5, 3]}, "at least 1, and ascend"),
        ({"item_popularity": []}, "at least 1, and ascend"),
        ({"item_popularity": [0, 3]}, "at least 1, and ascend"),
        ({"item_popularity": "many"}, "`item_popularity`: input should be a valid integer"),
        ({}, "it asks for no groups: give user_activity, item_popularity"),
        ({"new_items": False, "users": []}, "it asks for no groups"),
        ({"user_activty": 3}, "did you mean 'user_activity'"),
        ({"users": ["a.tsv", "b/a.tsv"]}, "two slices are called 'a'"),
        ({"items": {"file": "x.tsv", "name": "new_items"}}, "two slices are called 'new_items'"),
        ({"users": {"name": "x"}}, "users.0.file` is missing"),
    ],
)
def test_a_wrong_block_is_refused(tmp_path: Path, block: dict[str, Any], message: str) -> None:
    (tmp_path / "x.yml").write_text(yaml.safe_dump(block))
    document = read_yaml(tmp_path / "x.yml")
    with pytest.raises(UserError) as caught:
        validate(SliceSettings, document.data, document)
    assert message in caught.value.render()
