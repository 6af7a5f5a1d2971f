"""Lists made elsewhere get the figures that a model with the same lists gets."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from bench_cases import Row, csr, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config import read_experiment_config
from benchmark.config.proxies import ListFile, Order, find_lists, is_proxy, tell_without_effect
from benchmark.data.dataset import Csr, Dataset
from benchmark.evaluation import HeldOut, Ranking, rank
from benchmark.evaluation import proxy as proxy_module
from benchmark.evaluation.candidates import Candidates, draw_negatives
from benchmark.evaluation.ranking import Mask
from benchmark.load import recommendations as module
from benchmark.load.recommendations import rank_list_file, read_recommendations
from workbench.errors import UserError

CPU = torch.device("cpu")
N_USERS, N_ITEMS, K = 30, 25, 6


def shop(seed: int = 0) -> Dataset:
    """Every user has training and test items, some have validation items; item `late` stands only in test."""
    rng = np.random.default_rng(seed)
    parts: list[dict[int, dict[int, float]]] = [{}, {}, {}]
    for user in range(N_USERS):
        order = rng.permutation(N_ITEMS).tolist()
        for part, items in zip(parts, (order[:4], order[4 : 4 + user % 3], order[7:11]), strict=True):
            part[user] = {item: float(rng.integers(1, 6)) for item in items}
        if user % 5 == 0:
            parts[2][user][N_ITEMS] = 5.0
    users, items = [f"u{user}" for user in range(N_USERS)], [f"i{item}" for item in range(N_ITEMS)]
    train, validation, test = (csr(part, N_USERS) for part in parts)
    return Dataset(users, [*items, "late"], N_ITEMS, train, validation, test)


def held(data: Dataset, k: int = K) -> HeldOut:
    return HeldOut(data.test, N_ITEMS + 1, 3.0, k, CPU)


def masked(data: Dataset) -> list[Csr]:
    assert data.validation is not None
    return [data.train, data.validation]


def model_scores(seed: int, levels: int | None = None) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((N_USERS, N_ITEMS)) if levels is None else rng.integers(0, levels, (N_USERS, N_ITEMS))
    return torch.from_numpy(drawn.astype(np.float32))


def ranked(data: Dataset, scores: torch.Tensor, mask: Any = None) -> Ranking:
    return rank(lambda users: scores[users].clone(), held(data), mask or Mask(masked(data), N_ITEMS, CPU), K, N_ITEMS)


def same(first: Ranking, second: Ranking) -> None:
    for field in ("users", "items", "scores", "gains", "relevant", "ideal"):
        assert torch.equal(getattr(first, field), getattr(second, field)), field


def judged(path: Path, data: Dataset, order: Order = "score", k: int = K) -> Ranking:
    return rank_list_file(path, order, data, held(data, k), masked(data))


def lists_of(ranking: Ranking) -> dict[int, list[int]]:
    return dict(zip(ranking.users.tolist(), ranking.items.tolist(), strict=True))


def rows_of(ranking: Ranking, data: Dataset) -> list[Row]:
    """As `save_recs` writes them, with all digits of a score."""
    return [
        (data.user_ids[user], data.item_ids[item], f"{score:.9g}")
        for user, items, scores in zip(
            ranking.users.tolist(), ranking.items.tolist(), ranking.scores.tolist(), strict=True
        )
        for item, score in zip(items, scores, strict=True)
        if item >= 0
    ]


@pytest.mark.parametrize("levels", [None, 4])
def test_the_lists_of_a_model_get_the_figures_of_the_model(tmp_path: Path, levels: int | None, log: list[str]) -> None:
    data = shop()
    ranking = ranked(data, model_scores(1, levels))
    rows = rows_of(ranking, data)
    same(judged(write_rows(tmp_path / "lists.tsv", rows), data), ranking)
    assert not log
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    same(judged(write_rows(tmp_path / "shuffled.tsv", shuffled), data), ranking)
    plain = judged(write_rows(tmp_path / "plain.tsv", [row[:2] for row in rows]), data)
    assert torch.equal(plain.items, ranking.items)
    assert torch.equal(plain.gains, ranking.gains)


def test_full_lists_under_sampled_candidates_get_the_figures_of_the_model(tmp_path: Path) -> None:
    data = shop()
    users = np.arange(N_USERS)
    negatives = draw_negatives(users, [*masked(data), data.test], N_ITEMS, 6, 0, "test")
    candidates, mask = Candidates(data.test, 3.0, negatives, N_ITEMS, CPU), Mask(masked(data), N_ITEMS, CPU)

    class Both:
        def apply(self, scores: torch.Tensor, users: torch.Tensor) -> None:
            mask.apply(scores, users)
            candidates.apply(scores, users)

    scores = model_scores(3, 5)
    rows = [(f"u{user}", f"i{item}", int(scores[user, item])) for user in users for item in range(N_ITEMS)]
    rows += [("u1", "unheard-of", 99)]
    path = write_rows(tmp_path / "lists.tsv", rows)
    same(rank_list_file(path, "score", data, held(data), masked(data), candidates), ranked(data, scores, Both()))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_file_gives_the_lists_of_a_literal_reading(draw: st.DataObject) -> None:
    """Shuffled lines, ties, masked items, unknown users and items, missing lists, several chunks and compactions."""
    import tempfile

    data = shop()
    pairs = st.tuples(st.integers(0, 7), st.integers(0, N_ITEMS + 2))
    listed = draw.draw(st.lists(pairs, unique=True, min_size=1, max_size=60))
    lines = [(user, item, draw.draw(st.integers(0, 3))) for user, item in listed]
    names = ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "stranger"]
    items = [*data.item_ids, "nowhere", "elsewhere"]
    hidden = {user: set[int]() for user in range(8)}
    for part in masked(data):
        for user, item in zip(part.users.tolist(), part.items.tolist(), strict=True):
            if user < 8:
                hidden[user].add(item)
    expected = {}
    for user in held(data).users.tolist():
        own = [(item, score) for owner, item, score in lines if owner == user and user < 7 and item not in hidden[user]]
        own.sort(key=lambda pair: (-pair[1], min(pair[0], N_ITEMS)))
        best = [item if item < N_ITEMS else -1 for item, _ in own][:K]
        expected[user] = best + [-1] * (K - len(best))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LINES", draw.draw(st.sampled_from([3, 1000])))
        patch.setattr(proxy_module, "_HELD", draw.draw(st.sampled_from([2, 10**6])))
        path = write_rows(Path(folder) / "x.tsv", [(names[user], items[item], score) for user, item, score in lines])
        known = [item < N_ITEMS for user, item, _ in lines if user < 7 and user in expected]
        if len(known) > 10 * sum(known):
            with pytest.raises(UserError, match=r"are not in the catalogue|order: file"):
                judged(path, data)
            return
        if not any(user < 7 and user in expected and item not in hidden[user] for user, item, _ in lines):
            with pytest.raises(UserError, match="no list here for any"):
                judged(path, data)
            return
        try:
            found = lists_of(judged(path, data))
        except UserError as error:
            assert "order: file" in error.render()  # the drawn scores happened to count the lines
            return
    assert found == expected


def test_masked_items_leave_before_the_cut_and_unknown_ones_keep_their_place(tmp_path: Path, log: list[str]) -> None:
    train, validation = csr({0: {0: 1}, 1: {0: 1}, 2: {0: 1}}, 3), csr({0: {1: 1}}, 3)
    test = csr({0: {3: 1, 4: 1}, 1: {2: 1}}, 3)
    data = Dataset(["a", "b", "c"], ["v", "w", "x", "y", "late"], 4, train, validation, test)
    rows = [("a", "v", 9), ("a", "w", 8), ("a", "late", 7), ("a", "nowhere", 6), ("a", "y", 5), ("a", "x", 4)]
    rows += [("c", "x", 1), ("z", "x", 1)]
    path = write_rows(tmp_path / "x.tsv", rows)
    held_out = HeldOut(test, 5, 0.0, 3, CPU)
    ranking = rank_list_file(path, "score", data, held_out, [train, validation])
    assert ranking.users.tolist() == [0, 1]
    assert ranking.items.tolist() == [[-1, -1, 3], [-1, -1, -1]]
    assert ranking.hits.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert ranking.scores.tolist()[0] == [7, 6, 5]
    assert [line.split(": ", 1)[1] for line in log] == [
        "1 lines of users who are not in the data set are left out",
        "2 recommended items are masked for their user, and taken out",
        "2 of the judged items are not in the catalogue; they count as misses",
        "1 of 2 judged users have no list; they count as 0",
    ]
    narrow = rank_list_file(path, "score", data, held_out, [train])
    assert narrow.items.tolist()[0] == [1, -1, -1]


def test_the_order_of_the_lines_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    data = shop()
    free = [
        item for item in range(N_ITEMS) if item not in data.train.items[data.train.indptr[0] : data.train.indptr[1]]
    ]
    rows: list[Row] = [("u0", f"i{item}", place) for place, item in enumerate(free[:K][::-1], start=1)]
    path = write_rows(tmp_path / "x.tsv", rows)
    assert lists_of(judged(path, data, "file"))[0] == free[:K][::-1]
    with pytest.raises(UserError, match="as ranks do") as caught:
        judged(path, data)
    assert "order: file" in caught.value.render()
    write_rows(path, [(user, item, -place) for user, item, place in rows])
    assert lists_of(judged(path, data))[0] == free[:K][::-1]


def test_a_compressed_file_and_scores_beyond_single_precision(tmp_path: Path) -> None:
    data = shop()
    free = [
        item for item in range(N_ITEMS) if item not in data.train.items[data.train.indptr[0] : data.train.indptr[1]]
    ]
    rows = [
        ("u0", f"i{free[0]}", "0.12345678901"),
        ("u0", f"i{free[1]}", "0.12345678902"),
        ("u0", f"i{free[2]}", "1e300"),
    ]
    text = "\ufeff" + "".join("\t".join(row) + "\r\n" for row in rows) + "\r\n"
    with gzip.open(tmp_path / "x.tsv.gz", "wt", encoding="utf-8", newline="") as stream:
        stream.write(text)
    ranking = judged(tmp_path / "x.tsv.gz", data)
    assert lists_of(ranking)[0] == [free[2], free[1], free[0], -1, -1, -1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u0\ti1\t3\nu0\ti2\t2\n\nu0\ti1\t1\n", "x.tsv:4: the same user and item stand on line 1"),
        (b"user\titem\tscore\nu0\ti1\t1\n", "x.tsv:1: the score 'score' is not a finite number; is it a header?"),
        (b"u0\ti1\t1\nu0\ti2\tnan\n", "x.tsv:2: the score 'nan' is not a finite number"),
        (b"u0\ti1\t1\nu0\ti2\tinf\n", "x.tsv:2: the score 'inf'"),
        (b"u0\ti1\t1\nu0\ti2\n", "x.tsv:2: no score in this line"),
        (b"u0\ti1\t1\n\ti2\t1\n", "x.tsv:2: no user in this line"),
        (b"u0\ti1\t1\nu0\ti2\t1\t7\n", "x.tsv:2: 4 columns where the first line has 3"),
        (b"u0 i1 1\n", "x.tsv:1: 1 tab-separated columns where 2 or 3"),
        (b"u0\ti1\t1\t7\n", "x.tsv:1: 4 tab-separated columns"),
        (b"u0\ti\xff\t1\n", "x.tsv: not UTF-8"),
        (b"0\ti1\t1\n", "x.tsv: there is no list here for any of the 30 judged users"),
        (b"", "x.tsv: the file is empty"),
        (None, "no such file of recommendations"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "x.tsv").write_bytes(content)
    with pytest.raises(UserError) as caught:
        judged(tmp_path / "x.tsv", shop())
    assert message in caught.value.render()
    assert caught.value.mend


@pytest.mark.parametrize("sampled", [False, True])
def test_right_users_with_items_of_another_catalogue_are_refused(tmp_path: Path, sampled: bool) -> None:
    data = shop()
    users = [f"u{user}" for user in range(N_USERS)]
    negatives = draw_negatives(np.arange(N_USERS), [*masked(data), data.test], N_ITEMS, 6, 0, "test")
    candidates = Candidates(data.test, 3.0, negatives, N_ITEMS, CPU) if sampled else None
    path = write_rows(
        tmp_path / "x.tsv", [*((user, f"film{rank}") for user in users for rank in range(K)), ("u0", "i1")]
    )
    with pytest.raises(UserError, match=r"180 of the 181 items .* are not in the catalogue") as caught:
        rank_list_file(path, "score", data, held(data), masked(data), candidates)
    assert "the ids of the files that the experiment reads" in str(caught.value.mend)


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"u0\ti1\t1\n" * 5000)
    for name, content in (("cut.tsv.gz", whole[: len(whole) // 2]), ("not.tsv.gz", b"u0\ti1\t1\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            list(read_recommendations(tmp_path / name, "score", ["u0"], ["i1"]))


def test_line_numbers_go_on_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINES", 2)
    path = write_rows(tmp_path / "x.tsv", [("u0", "i1", 3), ("u0", "i2", 2), ("u0", "i3", 1), ("u0", "i1", 0)])
    with pytest.raises(UserError, match=r"x\.tsv:4: the same user and item stand on line 1"):
        judged(path, shop())


@pytest.fixture
def entry(tmp_path: Path) -> Callable[[str, dict[str, Any]], Sequence[ListFile]]:
    """The lists behind an entry of `models`."""

    def find(name: str, parameters: dict[str, Any]) -> Sequence[ListFile]:
        content = {
            "dataset": "shop",
            "top_k": 5,
            "data_config": {"strategy": "fixed", "train_path": "a", "test_path": "b"},
            "evaluation": {"simple_metrics": ["Recall"]},
            "models": {name: parameters},
        }
        path = tmp_path / "config" / "x.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({"experiment": content}))
        file = read_experiment_config(path)
        assert is_proxy(file.models[0])
        tell_without_effect(file, file.models[0])
        return find_lists(file, file.models[0])

    return find


def test_one_file_is_one_row(tmp_path: Path, entry: Callable[..., Sequence[ListFile]]) -> None:
    write_rows(tmp_path / "lists.tsv", [("a", "b")])
    (found,) = entry("ProxyRecommender", {"path": "../lists.tsv"})
    assert (found.name, found.validation_path, found.order) == ("ProxyRecommender", None, "score")
    assert found.path.samefile(tmp_path / "lists.tsv")
    given = {"path": "../lists.tsv", "validation_path": "../lists.tsv", "order": "file", "name": "EASE"}
    (found,) = entry("ProxyRecommender", given)
    assert (found.name, found.order) == ("EASE", "file")
    assert found.validation_path is not None and found.validation_path.is_file()


def test_meta_of_ready_lists_has_no_effect_and_says_so(
    tmp_path: Path, entry: Callable[..., Sequence[ListFile]], log: list[str]
) -> None:
    write_rows(tmp_path / "lists.tsv", [("a", "b")])
    (found,) = entry("ProxyRecommender", {"path": "../lists.tsv", "ids": "raw", "meta": {"hyper_max_evals": 3}})
    assert found.ids == "raw"
    (line,) = [line for line in log if "hyper_max_evals" in line]
    assert "x.yml:" in line and "`hyper_max_evals` has no effect" in line


def test_every_list_of_a_folder_is_a_row(tmp_path: Path, entry: Callable[..., Sequence[ListFile]]) -> None:
    for name in ("b.tsv", "a_lr=0.01.tsv.gz", "notes.txt", ".hidden.tsv"):
        write_rows(tmp_path / "recs" / name, [("a", "b")])
    found = entry("RecommendationFolder", {"folder": "../recs"})
    assert {each.ids for each in entry("RecommendationFolder", {"folder": "../recs", "ids": "parts"})} == {"parts"}
    assert [each.name for each in found] == ["a_lr=0.01", "b"]
    write_rows(tmp_path / "recs" / "b.tsv.gz", [("a", "b")])
    with pytest.raises(UserError, match=r"both b\.tsv and b\.tsv\.gz"):
        entry("RecommendationFolder", {"folder": "../recs"})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("ProxyRecommender", {"path": "../no.tsv"}, "no such file of recommendations"),
        ("ProxyRecommender", {"file": "x"}, "unknown key `experiment.models.ProxyRecommender.file`"),
        ("ProxyRecommender", {"path": "../lists.tsv", "order": "rank"}, "legal here: file, score"),
        *(
            ("ProxyRecommender", {"path": "../lists.tsv", "name": name}, "name`")
            for name in ("", "a\tb", "a/b", "a\\b", ".a", "..", "a\nb", " a")
        ),
        ("ProxyRecommender", {"path": "../lists.tsv", "ids": "numbers"}, "legal here: parts, raw"),
        ("RecommendationFolder", {"folder": "../no"}, "no such folder"),
        ("RecommendationFolder", {"folder": "."}, "there are no lists"),
    ],
)
def test_a_wrong_entry_is_refused(
    tmp_path: Path, entry: Callable[..., Sequence[ListFile]], name: str, parameters: dict[str, Any], message: str
) -> None:
    write_rows(tmp_path / "lists.tsv", [("a", "b")])
    with pytest.raises(UserError) as caught:
        entry(name, parameters)
    assert message in caught.value.render()
    assert "x.yml:" in caught.value.render()
