"""`significance.tsv`, the per-user files behind it, daggers and the sentence below the table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.evaluation.significance import TESTS, Comparison, compare, compare_systems
from benchmark.reports import significance as report
from workbench.errors import UserError

GENERATOR = np.random.default_rng(7)
USERS = np.array([f"u{place}" for place in range(60)])
BASE = GENERATOR.random(60)


def noisy(lift: float, seeds: int = 3, spread: float = 0.0, noise: float = 0.05) -> np.ndarray:
    """(S, E)."""
    generator = np.random.default_rng(abs(int(1000 * lift)) + seeds)
    shifts = np.resize([spread, -spread], seeds)[:, None] if seeds > 1 else 0
    return BASE + lift + shifts + generator.normal(0, noise, size=(seeds, 60))


def saved(folder: Path, name: str, users: np.ndarray = USERS, **arrays: np.ndarray) -> Path:
    path = folder / "per_user" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, users=users, **{key.replace("_at_", "@"): array for key, array in arrays.items()})
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def compare_and_write(
    folder: Path,
    names: Sequence[str],
    tests: Sequence[str],
    system: dict[str, dict[str, list[float]]] | None = None,
    seed: int = 0,
    suffix: str = "",
) -> list[Comparison]:
    rows: Any = [SimpleNamespace(row=name, stem=name, system=(system or {}).get(name, {})) for name in names]
    found = report.compare_results(folder, rows, tests, seed)
    report.write_comparisons(folder / "significance.tsv", found, suffix)
    return found


def compared(seed: int = 0, **values: np.ndarray) -> list[Comparison]:
    return compare({name: array[..., None] for name, array in values.items()}, ["Recall@20"], TESTS, seed, 500)


# the file


def test_the_file_has_every_figure_under_its_name(tmp_path: Path) -> None:
    values = {"a": noisy(0.02), "MostPop": BASE, "c": noisy(0.01, seeds=2)}
    for name, array in values.items():
        saved(tmp_path, name, Recall_at_20=array, HR_at_20=np.round(array))
    systems = {name: {"Gini@20": [0.5 + 0.01 * seed for seed in range(np.atleast_2d(array).shape[0])]}
               for name, array in values.items()}  # fmt: skip
    found = compare_and_write(tmp_path, list(values), TESTS, systems, seed=3)
    rows = rows_of(tmp_path / "significance.tsv")
    assert [(row["metric"], row["first"], row["second"]) for row in rows] == [
        (metric, *names)
        for metric in ("Recall@20", "HR@20", "Gini@20")
        for names in (("a", "MostPop"), ("a", "c"), ("MostPop", "c"))
    ]
    users, seeds = found[1].over_users, found[1].over_seeds
    assert users and seeds and seeds.interval and seeds.welch
    expected: dict[str, float | None] = {
        "users": 60,
        "seeds_first": 3,
        "seeds_second": 2,
        "difference": values["a"].mean() - values["c"].mean(),
        "se_users": users.error,
        "low": users.interval.low,
        "high": users.interval.high,
        "bca_low": users.bca.low,
        "bca_high": users.bca.high,
        "cohens_d": users.effect,
        "cohens_d_low": users.effect_interval.low,
        "cohens_d_high": users.effect_interval.high,
        "rank_biserial": users.rank_biserial,
        **{f"p_{test}": users.p[test] for test in TESTS},
        **{f"holm_{test}": users.adjusted[test] for test in TESTS},
        "sd_seeds_first": values["a"].mean(axis=1).std(ddof=1),
        "sd_seeds_second": values["c"].mean(axis=1).std(ddof=1),
        "se_seeds": seeds.error,
        "users_seeds_low": seeds.interval.low,
        "users_seeds_high": seeds.interval.high,
        "welch_low": seeds.welch.low,
        "welch_high": seeds.welch.high,
        "p_welch_seeds": seeds.p,
        "holm_welch_seeds": seeds.adjusted,
    }
    assert {key: float(rows[1][key]) for key in expected} == pytest.approx(expected, rel=1e-5)
    assert set(rows[1]) == {"metric", "first", "second", *expected}
    assert rows[0]["p_welch_seeds"] == ""  # MostPop has one replicate
    assert rows[7]["users"] == rows[7]["low"] == ""  # Gini has no users
    assert rows[7]["p_welch_seeds"]


def test_columns_that_nothing_fills_are_left_out(tmp_path: Path) -> None:
    saved(tmp_path, "a", Recall_at_20=noisy(0.02, seeds=1))
    saved(tmp_path, "b", Recall_at_20=BASE)
    compare_and_write(tmp_path, "ab", ["paired_ttest"])
    (row,) = rows_of(tmp_path / "significance.tsv")
    assert list(row) == [
        "metric", "first", "second", "users", "seeds_first", "seeds_second", "difference", "se_users", "low", "high",
        "bca_low", "bca_high", "cohens_d", "cohens_d_low", "cohens_d_high", "p_paired_ttest", "holm_paired_ttest",
    ]  # fmt: skip


def test_nothing_is_compared_without_a_test_or_a_second_model(tmp_path: Path) -> None:
    assert compare_and_write(tmp_path, "ab", []) == []
    assert compare_and_write(tmp_path, "a", TESTS) == []


def test_reading_a_few_metrics_at_a_time_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {f"M{place}_at_5": noisy(0.01 * place) for place in range(5)}
    files = {name: saved(tmp_path, name, **{key: array + lift for key, array in arrays.items()})
             for name, lift in (("a", 0.0), ("b", 0.01 * BASE))}  # fmt: skip
    whole = report.compare_files(files, ["bootstrap_test", "permutation_test"])
    monkeypatch.setattr(report, "_HELD", 2 * 2 * 180)  # two metrics of two models
    for one, other in zip(whole, report.compare_files(files, ["bootstrap_test", "permutation_test"]), strict=True):
        assert (one.metric, one.over_users and one.over_users.p) == (
            other.metric,
            other.over_users and one.over_users.p,
        )
        assert one.over_users and other.over_users
        assert one.over_users.interval == pytest.approx(other.over_users.interval, abs=1e-12)


def test_a_user_counts_once_with_the_mean_over_the_test_folds(tmp_path: Path) -> None:
    """Ids may hold a slash; one user is in both folds with another place, one in a single fold only."""
    users, folds = np.array(["1/u", "u", "1", "u", "1/u"]), np.array([0, 0, 0, 1, 1])
    values = {name: GENERATOR.random((3, 5)) for name in "ab"}
    files = {name: saved(tmp_path, name, users, folds=folds, Recall_at_20=array) for name, array in values.items()}
    merged = {
        name: np.stack([[row[2], (row[0] + row[4]) / 2, (row[1] + row[3]) / 2] for row in array])[..., None]
        for name, array in values.items()
    }
    (found,), (expected,) = report.compare_files(files, TESTS), compare(merged, ["Recall@20"], TESTS)
    assert found.metric == "Recall@20"
    assert found.users == 3
    assert found.difference == pytest.approx(expected.difference)
    assert found.over_users and expected.over_users
    assert found.over_users.p == pytest.approx(expected.over_users.p)
    assert found.over_users.interval == pytest.approx(expected.over_users.interval)


def test_users_that_come_back_in_every_fold_are_no_further_evidence(tmp_path: Path) -> None:
    """Of two equally good models one in twenty is called better, however often the users are judged."""
    generator = np.random.default_rng(4)
    found = []
    for _ in range(12):
        files = {}
        for name in "ab":
            taste = generator.normal(size=(60, 40))  # of 40 experiments; the same in all four folds
            values = np.concatenate([taste + 0.1 * generator.normal(size=(60, 40)) for _ in range(4)])
            arrays = {f"M{place}_at_5": values[:, place] for place in range(40)}
            files[name] = saved(tmp_path, name, np.tile(USERS, 4), folds=np.repeat(np.arange(4), 60), **arrays)
        found += report.compare_files(files, ["paired_ttest"])
    assert 0.02 <= np.mean([each.over_users.p["paired_ttest"] < 0.05 for each in found if each.over_users]) <= 0.08


def test_other_folds_are_not_comparable(tmp_path: Path) -> None:
    files = {"a": saved(tmp_path, "a", folds=np.zeros(60), Recall_at_20=BASE)}
    files["b"] = saved(tmp_path, "b", folds=np.ones(60), Recall_at_20=BASE)
    with pytest.raises(UserError, match="not the users of"):
        report.compare_files(files, TESTS)
    files["b"] = saved(tmp_path, "b", Recall_at_20=BASE)
    with pytest.raises(UserError, match="folds stands in only one of"):
        report.compare_files(files, TESTS)


# what is undefined, and what is labelled


def test_undefined_system_values_leave_empty_cells(tmp_path: Path, log: list[str]) -> None:
    for name, lift in (("a", 0.1), ("b", 0.0)):
        saved(tmp_path, name, Recall_at_20=noisy(lift))
    system = {"a": {"AUC@20": [0.5, 0.6, 0.7]}, "b": {"AUC@20": [0.5, np.nan, 0.4]}}
    compare_and_write(tmp_path, "ab", ["paired_ttest"], system, suffix=" (5 neg.)")
    recall, auc = rows_of(tmp_path / "significance.tsv")
    assert (recall["metric"], auc["metric"]) == ("Recall@20 (5 neg.)", "AUC@20 (5 neg.)")
    assert recall["difference"] and recall["p_welch_seeds"]
    assert {key: cell for key, cell in auc.items() if cell} == {
        "metric": "AUC@20 (5 neg.)", "first": "a", "second": "b", "seeds_first": "3", "seeds_second": "3",
    }  # fmt: skip


def test_undefined_values_of_users_are_an_error_in_the_log_that_names_the_metric(
    tmp_path: Path, log: list[str]
) -> None:
    saved(tmp_path, "a", Recall_at_20=BASE)
    saved(tmp_path, "b", Recall_at_20=np.where(np.arange(60) == 5, np.nan, BASE))
    assert compare_and_write(tmp_path, "ab", ["paired_ttest"]) == []
    assert any("1 of 60 values of Recall@20" in line and "leave Recall out of the metrics" in line for line in log)
    system = {name: {"Gini@20": [0.5, 0.6]} for name in "ab"}
    (found,) = compare_and_write(tmp_path, "ab", ["paired_ttest"], system)
    assert found.metric == "Gini@20"


# files that do not fit


@pytest.mark.parametrize("users", [USERS[::-1], USERS[:-1], np.array([f"x{place}" for place in range(60)])])
def test_other_users_or_another_order_are_refused_with_both_names(tmp_path: Path, users: np.ndarray) -> None:
    files = {"a": saved(tmp_path, "a", Recall_at_20=BASE)}
    files["b"] = saved(tmp_path, "b", users, Recall_at_20=BASE[: len(users)])
    with pytest.raises(UserError) as caught:
        report.compare_files(files, TESTS)
    assert str(files["a"]) in caught.value.what
    assert caught.value.where == str(files["b"])
    assert "same order" in caught.value.what


def test_other_metrics_are_refused_by_name(tmp_path: Path) -> None:
    files = {"a": saved(tmp_path, "a", Recall_at_20=BASE), "b": saved(tmp_path, "b", HR_at_20=BASE)}
    with pytest.raises(UserError, match=r"b\.npz: HR@20, Recall@20 stands in only one of this and .*a\.npz"):
        report.compare_files(files, TESTS)


def test_of_files_with_different_metrics_those_that_are_named_are_compared(tmp_path: Path) -> None:
    files = {"a": saved(tmp_path, "a", Recall_at_20=BASE, HR_at_20=BASE), "b": saved(tmp_path, "b", HR_at_20=BASE / 2)}
    (found,) = report.compare_files(files, ["paired_ttest"], metrics=["HR@20"])
    assert (found.metric, found.difference) == ("HR@20", pytest.approx(BASE.mean() / 2))
    with pytest.raises(UserError, match="Recall@20 stands in only one"):
        report.compare_files(files, ["paired_ttest"], metrics=["HR@20", "Recall@20"])


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.where(np.arange(60) == 5, np.nan, BASE), "1 of 60 values of Recall@20 are not finite"),
        (BASE[:50], r"Recall@20 has shape \(1, 50\) for 60 users"),
        (np.zeros((2, 3, 60)), r"Recall@20 has shape \(2, 3, 60\)"),
        (USERS, "Recall@20 holds no numbers"),
    ],
)
def test_values_that_cannot_be_compared_are_refused_with_their_file(
    tmp_path: Path, array: np.ndarray, what: str
) -> None:
    files = {"a": saved(tmp_path, "a", Recall_at_20=BASE), "b": saved(tmp_path, "b", Recall_at_20=array)}
    with pytest.raises(UserError, match=what) as caught:
        report.compare_files(files, TESTS)
    assert caught.value.where == str(files["b"])
    assert caught.value.mend


@pytest.mark.parametrize("content", [None, b"", b"no zip at all", "cut", "npy"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, content: Any) -> None:
    files = {name: saved(tmp_path, name, Recall_at_20=BASE) for name in "ab"}
    whole = files["b"].read_bytes()
    files["b"].unlink()
    if content == "npy":
        with files["b"].open("wb") as stream:
            np.save(stream, BASE)
    elif content is not None:
        files["b"].write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    with pytest.raises(UserError, match="not a readable file of per-user values") as caught:
        report.compare_files(files, TESTS)
    assert caught.value.where == str(files["b"])


# daggers


def leaders(test: str = "paired_ttest", **values: np.ndarray) -> set[str]:
    return {name for name, _ in report.clear_leaders(compared(**values), test)}


@pytest.mark.parametrize("test", TESTS)
def test_a_clear_lead_over_users_and_seeds_gets_a_dagger(test: str) -> None:
    assert leaders(test, weak=BASE, strong=noisy(0.1), middle=noisy(0.02)) == {"strong"}


def test_a_lead_that_the_seeds_may_explain_gets_none() -> None:
    lucky = noisy(0.03, seeds=2, spread=0.1)
    assert leaders(lucky=lucky.mean(axis=0), other=BASE) == {"lucky"}  # users only
    assert leaders(lucky=lucky, other=noisy(0.0, seeds=2)) == set()
    assert leaders(lucky=lucky, other=BASE) == set()  # the seeds of one side are enough to doubt


def test_where_less_is_better_the_smaller_one_leads() -> None:
    found = compared(small=noisy(-0.1), large=BASE)
    assert report.clear_leaders(found, "paired_ttest") == {("large", "Recall@20")}
    assert report.clear_leaders(found, "paired_ttest", ["Recall@20"]) == {("small", "Recall@20")}


def test_a_metric_without_users_leads_by_its_seeds() -> None:
    values = {"a": np.array([[0.5], [0.51], [0.52]]), "b": np.array([[0.3], [0.31], [0.32]])}
    assert report.clear_leaders(compare_systems(values, ["Gini"]), "paired_ttest") == {("a", "Gini")}
    alone = {name: array[:1] for name, array in values.items()}
    assert report.clear_leaders(compare_systems(alone, ["Gini"]), "paired_ttest") == set()


# the sentence


def test_the_sentence_names_test_family_correction_and_level() -> None:
    single = report.footer(compared(a=BASE, b=noisy(0.1, seeds=1), c=noisy(0.2, seeds=1)), "wilcoxon_test")
    assert single == (
        "† better than every other row: two-sided Wilcoxon signed-rank test over 60 users, p < 0.05 after Holm's "
        "correction over 3 pairs of rows for each metric; with one replicate a row this speaks of users only, not of "
        "seeds"
    )
    several = report.footer(compared(a=noisy(0.0), b=noisy(0.1)), "bootstrap_test")
    assert several == (
        "† better than every other row: two-sided paired bootstrap test over 60 users, p < 0.05 after Holm's "
        "correction over 1 pair of rows for each metric, and the 95 % bootstrap interval over users and "
        "replicates excludes 0"
    )
    mixed = report.footer(compared(MostPop=BASE, b=noisy(0.1)), "paired_ttest")
    assert mixed.endswith("excludes 0; one replicate only, taken as it is: MostPop")
    folded = report.footer(compared(a=BASE, b=noisy(0.1, seeds=1)), "paired_ttest", folds=2)
    assert "over 60 users, 2 folds (a user counts once), p < 0.05" in folded
    assert report.footer([], "paired_ttest") == ""
