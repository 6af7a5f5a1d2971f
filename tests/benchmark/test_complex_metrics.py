"""Metrics with arguments: settings, files of groups, and each figure against its definition."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from metric_cases import Case, gini, group_probabilities, mean_difference, novelty, spread
from test_metrics import CPU, literal
from test_system_metrics import cases, judged

from benchmark.evaluation import COMPLEX, METRICS, Metric, Sources, build_complex, complex_schema
from benchmark.evaluation.clusters import read_categories, read_clustering
from benchmark.evaluation.lists import Lists
from workbench.errors import UserError

USERS = [f"u{number}" for number in range(6)]
ITEMS = [f"i{number}" for number in range(9)]
GENDER = {"u0": "0", "u1": "1", "u2": "0", "u3": "1"}  # u4 has none
GENRE = {"i0": "10", "i1": "9", "i2": "10", "i3": "9", "i5": "drama", "i6": "10", "unheard": "opera"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    (folder / "gender.tsv").write_text("".join(f"{user}\t{group}\n" for user, group in GENDER.items()))
    (folder / "genre.tsv").write_text("".join(f"{item}\t{group}\n" for item, group in GENRE.items()))
    (folder / "topics.tsv").write_text("i0\ta\tb\ni1\tb\ni2\t\ni4\tc\ta\ta\nunheard\tz\n")
    return folder


def built(folder: Path, n_items: int = 9, **entry: Any) -> Metric:
    settings_ = complex_schema(entry).model_validate(entry)
    sources = Sources(USERS, ITEMS[:n_items], CPU, lambda path: folder / path)
    return build_complex(settings_, sources)


def figures(metric: Metric, case: Case, k: int) -> dict[str, float]:
    value = metric.formula(Lists(*judged(case)), k)
    assert isinstance(value, torch.Tensor) is metric.per_user
    if isinstance(value, torch.Tensor):
        return {metric.name: float(value.mean())}
    return value if isinstance(value, dict) else {metric.name: value}


def item_groups(case: Case) -> dict[str, set[int]]:
    groups: dict[str, set[int]] = {"9": set(), "10": set(), "drama": set()}
    for number, item in enumerate(ITEMS[: case.n_items]):
        if item in GENRE:
            groups[GENRE[item]].add(number)
    return {label: members for label, members in groups.items() if members}


def by_gender(values: dict[int, float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {"0": [], "1": []}
    for user, value in values.items():
        if f"u{user}" in GENDER:
            groups[GENDER[f"u{user}"]].append(value)
    return groups


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert list(found) == list(expected)
    for label, value in expected.items():
        assert found[label] == pytest.approx(value, abs=1e-12, nan_ok=True), label


QUIET = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(cases())
def test_novelty_and_popularity_with_arguments(folder: Path, case: Case) -> None:
    for name in ("EPC", "EFD"):
        for relevance in ("binary", "discounted"):
            metric = built(folder, metric=f"Extended{name}", relevance=relevance)
            expected = novelty(case, 3, name, relevance == "discounted")
            same(figures(metric, case, 3), {f"Extended{name}[{relevance}]": expected})
    for name in ("PopRSP", "PopREO"):
        metric = built(folder, metric=f"Extended{name}", pop_ratio=0.4)
        tail = case.tail(0.4)
        groups = [set(range(case.n_items)) - tail, tail]
        expected = spread(group_probabilities(case, 3, groups, name == "PopREO"))
        same(figures(metric, case, 3), {f"Extended{name}[pop_ratio=0.4]": expected})


@QUIET
@given(cases())
def test_parity_and_opportunity_of_item_groups(folder: Path, case: Case) -> None:
    groups = item_groups(case)
    for name in ("RSP", "REO"):
        entry = {"metric": name, "clustering_file": "genre.tsv", "clustering_name": "type"}
        if len(groups) < 2:
            with pytest.raises(UserError, match="there is one only"):
                built(folder, case.n_items, **entry)
            continue
        values = group_probabilities(case, 4, list(groups.values()), name == "REO")
        expected = {f"{name}[type]": spread(values)}
        expected |= {f"{name}[type={label}]": value for label, value in zip(groups, values, strict=True)}
        same(figures(built(folder, case.n_items, **entry), case, 4), expected)


@QUIET
@given(cases())
def test_mean_differences_of_user_groups(folder: Path, case: Case) -> None:
    k = 4
    scores = {user: fmean(6 - place for place in range(len(listed))) for user, listed in case.at(k).items() if listed}
    ndcg = {user: literal("nDCG", listed, case.relevant[user], k, 1.0) for user, listed in case.lists.items()}
    for name, values in (("UserMADrating", scores), ("UserMADranking", ndcg)):
        metric = built(folder, metric=name, clustering_file="gender.tsv")
        same(figures(metric, case, k), {f"{name}[gender]": mean_difference(by_gender(values))})


@QUIET
@given(cases())
def test_mean_differences_of_item_groups(folder: Path, case: Case) -> None:
    groups = item_groups(case)
    if len(groups) < 2:
        return
    for name in ("ItemMADrating", "ItemMADranking"):
        gains: dict[int, list[float]] = {}
        for user, listed in case.at(4).items():
            for place, item in enumerate(listed):
                score = 6.0 - place if item in case.relevant[user] else 0.0
                gains.setdefault(item, []).append(score if name == "ItemMADrating" else case.gain(user, item))
        values = {label: [fmean(gains[item]) for item in sorted(group & set(gains))] for label, group in groups.items()}
        metric = built(folder, case.n_items, metric=name, clustering_file="genre.tsv")
        same(figures(metric, case, 4), {f"{name}[genre]": mean_difference(values)})


@QUIET
@given(cases())
def test_bias_disparity(folder: Path, case: Case) -> None:
    groups = item_groups(case)
    grouped = set().union(*groups.values())
    bias: dict[str, dict[str, float]] = {"BR": {}, "BS": {}, "BD": {}}
    for gender in ("0", "1"):
        for label, group in groups.items():
            for name, rows in (("BR", case.at(4)), ("BS", case.train)):
                own = [item for user in rows if GENDER.get(f"u{user}") == gender for item in rows[user]]
                own = [item for item in own if item in grouped]
                share = sum(item in group for item in own) / len(own) if own else math.nan
                bias[name][f"{gender}{label}"] = share / (len(group) / len(grouped))
            before, after = bias["BS"][f"{gender}{label}"], bias["BR"][f"{gender}{label}"]
            bias["BD"][f"{gender}{label}"] = (after - before) / before if before else math.nan
    files = {"user_clustering_file": "gender.tsv", "item_clustering_file": "genre.tsv", "item_clustering_name": "type"}
    for name, values in bias.items():
        metric = built(folder, case.n_items, metric=f"BiasDisparity{name}", **files)
        expected = {f"BiasDisparity{name}[gender={key[0]},type={key[1:]}]": value for key, value in values.items()}
        same(figures(metric, case, 4), expected)


@QUIET
@given(cases())
def test_metrics_of_each_group(folder: Path, case: Case) -> None:
    tail, count = case.tail(), case.popularity
    per_user = {
        "nDCG": {user: literal("nDCG", listed, case.relevant[user], 4, 1.0) for user, listed in case.lists.items()},
        "Recall": {user: literal("Recall", listed, case.relevant[user], 4, 1.0) for user, listed in case.lists.items()},
        "ARP": {u: sum(count[item] for item in listed) / max(len(listed), 1) for u, listed in case.at(4).items()},
        "APLT": {u: len(set(listed) & tail) / max(len(listed), 1) for u, listed in case.at(4).items()},
        "ACLT": {u: float(len(set(listed) & tail)) for u, listed in case.at(4).items()},
    }
    for name, values in per_user.items():
        metric = built(folder, metric=f"clustered_{name}", user_clustering_file="gender.tsv")
        expected = {
            f"clustered_{name}[gender={label}]": fmean(group) if group else math.nan
            for label, group in by_gender(values).items()
        }
        same(figures(metric, case, 4), expected)
    metric = built(folder, metric="clustered_GiniIndex", user_clustering_file="gender.tsv")
    for label in ("0", "1"):
        users = [user for user in case.lists if GENDER.get(f"u{user}") == label]
        found = figures(metric, case, 4)[f"clustered_GiniIndex[gender={label}]"]
        assert found == pytest.approx(gini(case, 4, users), nan_ok=True)


@QUIET
@given(cases())
def test_subtopic_recall(folder: Path, case: Case) -> None:
    topics = {0: {"a", "b"}, 1: {"b"}, 4: {"a", "c"}}
    topics = {item: given_ for item, given_ in topics.items() if item < case.n_items}
    values = []
    for user, listed in case.at(4).items():
        seen = set().union(*(topics.get(item, set()) for item in listed if item in case.relevant[user]))
        values.append(len(seen) / len(set().union(*topics.values())))
    metric = built(folder, case.n_items, metric="SRecall", feature_data="topics.tsv")
    same(figures(metric, case, 4), {"SRecall": fmean(values)})


@QUIET
@given(cases())
def test_combinations_of_two_metrics(folder: Path, case: Case) -> None:
    def both(one: str, other: str, beta: float) -> float:
        values = []
        for user, listed in case.lists.items():
            x, y = (literal(name, listed, case.relevant[user], 4, 1.0) for name in (one, other))
            values.append((1 + beta**2) * x * y / (beta**2 * x + y) if x + y else 0.0)
        return fmean(values)

    same(
        figures(built(folder, metric="DSC"), case, 4), {"DSC[Precision,Recall,beta=1]": both("Precision", "Recall", 1)}
    )
    metric = built(folder, metric="DSC", beta=2, metric_1="mrr")
    same(figures(metric, case, 4), {"DSC[Precision,MRR,beta=2]": both("Precision", "MRR", 2)})
    metric = built(folder, metric="extendedf1", metric_0="nDCG", metric_1="Recall")
    same(figures(metric, case, 4), {"ExtendedF1[nDCG,Recall]": both("nDCG", "Recall", 1)})


def test_a_combination_needs_what_its_metrics_need(folder: Path) -> None:
    assert built(folder, metric="DSC", metric_0="GAUC", metric_1="EPC").needs == {"full", "catalogue"}
    with pytest.raises(UserError, match="Gini has no value for a single user"):
        built(folder, metric="DSC", metric_0="Gini")


def test_without_a_file_all_users_are_one_group(folder: Path) -> None:
    case = Case({0: [0], 1: [1]}, {0: {0: 1.0}, 1: {3: 1.0}}, {0: {2: 1.0}, 1: {2: 1.0}}, 2, 4, 1.0)
    metric = built(folder, 4, metric="BiasDisparityBR", item_clustering_file="genre.tsv")
    same(figures(metric, case, 1), {"BiasDisparityBR[genre=9]": 1.0, "BiasDisparityBR[genre=10]": 1.0})
    with pytest.raises(UserError, match="compares groups, and none are given"):
        built(folder, metric="BiasDisparityBS")


def test_groups_are_numbered_as_people_count_and_only_those_with_members(folder: Path) -> None:
    clusters = read_clustering(folder / "genre.tsv", None, ITEMS, CPU)
    assert (clusters.name, clusters.labels) == ("genre", ["9", "10", "drama"])
    assert clusters.of.tolist() == [1, 0, 1, 0, -1, 2, 1, -1, -1]
    categories = read_categories(folder / "topics.tsv", ITEMS[:5], CPU)
    assert categories.indptr.tolist() == [0, 2, 3, 3, 3, 5]
    assert (categories.values.tolist(), categories.n) == ([0, 1, 1, 0, 2], 3)


def test_what_a_file_lacks_is_counted_in_the_log(folder: Path, log: list[str]) -> None:
    read_clustering(folder / "genre.tsv", None, ITEMS, CPU)
    assert any("6 of 9 ids; 1 lines of other ids skipped" in line for line in log)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"i0\ta\ni1\n", "not an id and a group", ":2"),
        (b"i0\ta\n\ni1\ta\tb\n", "not an id and a group", ":3"),
        (b"i0 a\n", "not an id and a group", ":1"),
        (b"i0\t \n", "not an id and a group", ":1"),
        (b"i0\ta\ni0\tb\n", "'i0' stands in two groups", ":2"),
        (b"x\ta\n", "none of its ids is one of the training part", ""),
        (b"", "the file is empty", ""),
        (b"\n\n", "the file is empty", ""),
        (b"i0\t\xff\n", "not UTF-8 text", ""),
    ],
)
def test_a_broken_file_of_groups_is_named_with_its_line(
    tmp_path: Path, content: bytes, message: str, line: str
) -> None:
    path = tmp_path / "groups.tsv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_clustering(path, None, ITEMS, CPU)
    assert caught.value.where == f"{path}{line}"
    assert caught.value.mend


def test_a_line_given_twice_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "groups.tsv"
    path.write_bytes(b"\xef\xbb\xbfi0\ta\r\ni0\ta\r\ni1\tb\r\n")
    assert read_clustering(path, None, ITEMS[:2], CPU).of.tolist() == [0, 1]


def test_an_absent_file_is_answered_with_the_nearest(folder: Path) -> None:
    (folder / "up").mkdir()
    with pytest.raises(UserError, match="no such file of groups") as caught:
        built(folder, metric="RSP", clustering_file="up/../gendre.tsv")
    assert (caught.value.where, caught.value.mend) == (str(folder / "gendre.tsv"), "did you mean genre.tsv?")
    for far in ("groups.tsv", "no/genre.tsv"):
        with pytest.raises(UserError) as caught:
            built(folder, metric="RSP", clustering_file=far)
        assert caught.value.mend == "check the path"


def test_categories_on_two_lines_and_without_any_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "topics.tsv"
    path.write_text("i0\ta\ni0\tb\n")
    with pytest.raises(UserError, match="'i0' stands on two lines"):
        read_categories(path, ITEMS, CPU)
    path.write_text("i0\t\n")
    with pytest.raises(UserError, match="none of its ids"):
        read_categories(path, ITEMS, CPU)


@pytest.mark.parametrize(
    ("entry", "message", "mend"),
    [
        ({"metric": "REOO"}, "unknown metric 'REOO'", "did you mean 'REO'?"),
        ({"metric": "Recall"}, "Recall takes no arguments", "move it to `simple_metrics`"),
        ({"clustering_file": "a.tsv"}, "without a `metric`", "write `- metric: NAME`"),
        ("RSP", "without a `metric`", "write `- metric: NAME`"),
    ],
)
def test_an_entry_without_a_known_metric_is_refused(entry: Any, message: str, mend: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        complex_schema(entry)
    assert caught.value.mend == mend


@pytest.mark.parametrize(
    "entry",
    [
        {"metric": "RSP"},
        {"metric": "ExtendedPopRSP", "pop_ratio": 1.0},
        {"metric": "DSC", "beta": 0},
        {"metric": "ExtendedEPC", "relevance": "graded"},
        {"metric": "clustered_nDCG", "clustering_file": "gender.tsv"},
    ],
)
def test_settings_are_closed_and_typed(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        complex_schema(entry).model_validate(entry)


def test_elliots_whole_inventory_has_a_place() -> None:
    elliot = {
        *("nDCG", "nDCG_binary", "Precision", "Recall", "HR", "MRR", "MAP", "MAR", "F1", "LAUC", "GAUC", "AUC"),
        *("MAE", "MSE", "RMSE", "ItemCoverage", "UserCoverage", "UserCoverageAtN", "NumRetrieved", "Gini", "SEntropy"),
        *("EFD", "EPC", "ARP", "APLT", "ACLT", "PopRSP", "PopREO"),
    }
    assert not elliot - set(METRICS)
    assert set(COMPLEX) == {
        *("ExtendedF1", "DSC", "SRecall", "ExtendedEFD", "ExtendedEPC", "ExtendedPopRSP", "ExtendedPopREO"),
        *("UserMADrating", "ItemMADrating", "UserMADranking", "ItemMADranking", "RSP", "REO"),
        *("BiasDisparityBR", "BiasDisparityBS", "BiasDisparityBD", "clustered_nDCG", "clustered_Recall"),
        *("clustered_GiniIndex", "clustered_APLT", "clustered_ACLT", "clustered_ARP"),
    }
