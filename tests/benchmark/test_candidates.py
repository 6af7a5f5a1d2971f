"""Sampled candidates: who is drawn, who is ranked, and the files that hold the draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config.sampling import NegativeSampling
from benchmark.data.dataset import Csr, Dataset
from benchmark.evaluation import HeldOut, Ranking, rank
from benchmark.evaluation import candidates as module
from benchmark.evaluation import ranking as ranking_module
from benchmark.evaluation.candidates import Candidates, Negatives, draw_negatives
from benchmark.evaluation.ranking import Mask
from benchmark.load.negatives import load_negatives, read_negatives, write_negatives
from workbench.config import read_yaml, validate
from workbench.errors import UserError

CPU = torch.device("cpu")


def shop(seed: int = 0, n_users: int = 40, n_items: int = 30) -> Dataset:
    """Users with anything from three known items to all but one; one test item stands in no other part."""
    rng = np.random.default_rng(seed)
    parts: list[dict[int, dict[int, float]]] = [{}, {}, {}]
    for user in range(n_users):
        order = rng.permutation(n_items)[: 3 + user % (n_items - 3)].tolist()
        for place, item in enumerate(order):
            part = place if place < 3 else int(rng.integers(0, 3))
            parts[part].setdefault(user, {})[item] = float(rng.integers(1, 6))
    parts[2][0][n_items] = 5.0
    train, validation, test = (csr(part, n_users) for part in parts)
    ids = [f"i{item}" for item in range(n_items + 1)]
    return Dataset([f"u{user}" for user in range(n_users)], ids, n_items, train, validation, test)


def known_of(data: Dataset) -> list[set[int]]:
    """Items of each user in any part, by loops."""
    known: list[set[int]] = [set() for _ in range(data.n_users)]
    for part in (data.train, data.validation, data.test):
        assert part is not None
        for user, item in zip(part.users.tolist(), part.items.tolist(), strict=True):
            known[user].add(item)
    return known


def parts_of(data: Dataset) -> list[Csr]:
    assert data.validation is not None
    return [data.train, data.validation, data.test]


def lists_of(negatives: Negatives) -> dict[int, list[int]]:
    ends = negatives.indptr.tolist()
    return {
        user: negatives.items[ends[row] : ends[row + 1]].tolist() for row, user in enumerate(negatives.users.tolist())
    }


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 40))
def test_negatives_are_distinct_strangers_as_many_as_asked_for_or_all(seed: int, count: int) -> None:
    data = shop(seed)
    drawn = lists_of(draw_negatives(np.arange(data.n_users), parts_of(data), data.n_items, count, seed, "test"))
    for user, known in enumerate(known_of(data)):
        free = set(range(data.n_items)) - known
        assert drawn[user] == sorted(set(drawn[user]))
        assert set(drawn[user]) <= free
        assert len(drawn[user]) == min(count, len(free))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_set_of_negatives_is_as_likely_as_any_other(count: int) -> None:
    """Six free items, so sparse draws up to three of them and dense ones above."""
    from itertools import combinations

    n_users, known = 6000, [0, 3, 4, 9]
    part = csr({user: dict.fromkeys(known, 1.0) for user in range(n_users)}, n_users)
    drawn = lists_of(draw_negatives(np.arange(n_users), [part], 10, count, 5, "test"))
    sets = list(combinations([1, 2, 5, 6, 7, 8], count))
    seen = np.array([sum(tuple(each) == one for each in drawn.values()) for one in sets])
    expected = n_users / len(sets)
    assert ((seen - expected) ** 2 / expected).sum() < len(sets) - 1 + 4 * (2 * (len(sets) - 1)) ** 0.5


def test_draws_follow_the_seed_and_differ_between_validation_and_test() -> None:
    data = shop()
    users = np.arange(data.n_users)

    def draw(seed: int, part: Any) -> Negatives:
        return draw_negatives(users, parts_of(data), data.n_items, 5, seed, part)

    assert draw(1, "test").digest == draw(1, "test").digest
    assert draw(1, "test").digest != draw(1, "validation").digest
    assert draw(1, "test").digest != draw(2, "test").digest
    assert draw(-1, "test").digest != draw(1, "test").digest


def test_many_blocks_of_draws_keep_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 50)
    data = shop()
    users = np.arange(3, data.n_users)
    drawn = lists_of(draw_negatives(users, parts_of(data), data.n_items, 7, 0, "test"))
    assert list(drawn) == users.tolist()
    for user, known in enumerate(known_of(data)[3:], start=3):
        assert not known & set(drawn[user])
        assert len(drawn[user]) == min(7, data.n_items - len(known - {data.n_items}))


class Both:
    """A mask and candidates in a given order, in the place of the mask."""

    def __init__(self, *rules: Any) -> None:
        self._rules = rules

    def apply(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        for rule in self._rules:
            rule.apply(scores, users)


def ranking(scores: np.ndarray, data: Dataset, *rules: Any, k: int = 10, threshold: float = 2.0) -> Ranking:
    held_out = HeldOut(data.test, len(data.item_ids), threshold, k, CPU)
    table = torch.from_numpy(scores.astype(np.float32))
    return rank(lambda users: table[users].clone(), held_out, Both(*rules), k, data.n_items)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mask_first", [True, False])
def test_lists_are_those_of_a_loop_over_candidates(
    seed: int, mask_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shop(seed)
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 9, (data.n_users, data.n_items)) / 4
    negatives = draw_negatives(np.arange(data.n_users), parts_of(data), data.n_items, 8, seed, "test")
    candidates = Candidates(data.test, 2.0, negatives, data.n_items, CPU)
    masks = [Mask([data.train], data.n_items, CPU), candidates]
    result = ranking(scores, data, *(masks if mask_first else masks[::-1]))
    drawn = lists_of(negatives)
    trained = known_of(Dataset([""] * data.n_users, [], 0, data.train, data.train, data.train))
    for user, listed in zip(result.users.tolist(), result.items.tolist(), strict=True):
        rows = slice(data.test.indptr[user], data.test.indptr[user + 1])
        relevant = data.test.items[rows][data.test.values[rows] >= 2.0].tolist()
        allowed = {item for item in (*drawn[user], *relevant) if item < data.n_items} - trained[user]
        expected = sorted(sorted(allowed), key=lambda item: -scores[user, item])[:10]
        assert listed == expected + [-1] * (10 - len(expected))
    monkeypatch.setattr(ranking_module, "BLOCK_BYTES", 4 * data.n_items * 3)
    again = ranking(scores, data, *masks)
    assert torch.equal(result.items, again.items)


def test_a_random_scorer_gets_its_expectation() -> None:
    """With one relevant item among n negatives, every rank of it is as likely: recall at k is k / (n + 1)."""
    n_users, n_items, count = 4000, 200, 19
    rng = np.random.default_rng(0)
    train = csr({user: {user % n_items: 1.0} for user in range(n_users)}, n_users)
    test = csr({user: {(user + 1 + user % 7) % n_items: 1.0} for user in range(n_users)}, n_users)
    data = Dataset([""] * n_users, [""] * n_items, n_items, train, None, test)
    negatives = draw_negatives(np.arange(n_users), [train, test], n_items, count, 0, "test")
    candidates = Candidates(test, 0.0, negatives, n_items, CPU)
    result = ranking(rng.random((n_users, n_items)), data, Mask([train], n_items, CPU), candidates, k=20, threshold=0)
    for k in (1, 5, 10, 20):
        share = k / (count + 1)
        assert float(result.hits[:, :k].sum(1).mean()) == pytest.approx(
            share, abs=4 * (share * (1 - share) / n_users) ** 0.5 + 1e-12
        )


def test_the_drawn_negatives_come_back_from_their_file(tmp_path: Path, log: list[str]) -> None:
    data = shop()
    users = np.arange(data.n_users)
    drawn = draw_negatives(users, parts_of(data), data.n_items, 8, 0, "test")
    write_negatives(tmp_path / "negative.tsv", drawn, data)
    lines = (tmp_path / "negative.tsv").read_text().splitlines()
    assert lines[1] == "\t".join(["(u1,)", *(f"i{item}" for item in lists_of(drawn)[1])])
    again = read_negatives(tmp_path / "negative.tsv", data, users, parts_of(data))
    assert again.digest == drawn.digest
    assert not log


def test_what_a_file_should_not_hold_is_left_out_and_counted(tmp_path: Path, log: list[str]) -> None:
    train, test = csr({0: {0: 1}, 1: {0: 1}}, 2), csr({0: {1: 1, 4: 1}}, 2)
    data = Dataset(["a", "b"], ["v", "w", "x", "y", "late"], 4, train, None, test)
    path = tmp_path / "n.tsv"
    path.write_text("('a',)\tx\ty\tx\tlate\tnowhere\tv\tw\n\nstranger\tx\nb\ty\n", encoding="utf-8-sig")
    read = read_negatives(path, data, np.array([0]), [train, test])
    assert lists_of(read) == {0: [2, 3]}
    assert [line.split(": ", 1)[1] for line in log] == [
        "1 lines of unknown users are left out",
        "2 items outside the catalogue are left out",
        "2 items that stand in a part of the split with their user are left out",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a\tx\nb x\n", "n.tsv:2: this line is no user with negatives"),
        (b"a\tx\n\ty\n", "n.tsv:2: this line is no user"),
        (b"(,)\tx\n", "n.tsv:1: this line is no user"),
        (b"a\tx\t\ty\n", "n.tsv:1: this line is no user"),
        (b"a\tx\nb\ty\na\ty\n", "n.tsv:3: the user 'a' has a line already, line 1"),
        (b"a\tx\nb\t\xff\n", "n.tsv:2: not UTF-8"),
        (b"b\tx\n", "1 of 1 judged users have no line, among them 'a'"),
        (b"", "1 of 1 judged users have no line"),
        (b"a\tx\t7\t8\n", "2 of 3 items are not in the catalogue"),
        (b"a\tv\tw\n", "no judged user has a negative left"),
        (b"(a,)\n", "no judged user has a negative left"),
        (None, "no such file of negatives"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, text: bytes | None, message: str) -> None:
    train, test = csr({0: {0: 1}, 1: {0: 1}}, 2), csr({0: {1: 1}}, 2)
    data = Dataset(["a", "b"], ["v", "w", "x", "y"], 4, train, None, test)
    if text is not None:
        (tmp_path / "n.tsv").write_bytes(text)
    with pytest.raises(UserError) as caught:
        read_negatives(tmp_path / "n.tsv", data, np.array([0]), [train, test])
    assert message in caught.value.render()
    assert caught.value.mend


def test_users_with_few_negatives_or_none_are_counted(tmp_path: Path, log: list[str]) -> None:
    data = shop()
    drawn = load_negatives(NegativeSampling(strategy="random", num_items=20), data, "test", 0.0, 7, Path)
    short = [count for count in np.diff(drawn.indptr).tolist() if count < 20]
    assert drawn.fewest == min(short)
    told = f"have fewer than 20 negatives (fewest: {min(short)})"
    assert any(f"test: {len(short)} of {len(drawn.users)} users {told}" in line for line in log)
    train, test = csr({0: {0: 1}, 1: {0: 1}}, 2), csr({0: {1: 1}, 1: {1: 1}}, 2)
    small = Dataset(["a", "b"], ["v", "w", "x", "y"], 4, train, None, test)
    (tmp_path / "n.tsv").write_text("a\tx\ty\n(b,)\n")
    assert lists_of(read_negatives(tmp_path / "n.tsv", small, np.arange(2), [train, test])) == {0: [2, 3], 1: []}
    assert log[-1].endswith("n.tsv: 1 of 2 judged users have no negatives")


def test_the_block_draws_or_reads_for_the_users_who_are_judged(tmp_path: Path) -> None:
    data = shop()
    drawing = NegativeSampling(strategy="random", num_items=4)

    def path(given: str) -> Path:
        return tmp_path / given

    drawn = load_negatives(drawing, data, "test", 4.0, 7, path)
    judged = sorted({user for user, value in zip(data.test.users, data.test.values, strict=True) if value >= 4})
    assert drawn.users.tolist() == judged
    write_negatives(tmp_path / "n.tsv", drawn, data)
    read = load_negatives(NegativeSampling(strategy="fixed", files=["n.tsv"]), data, "test", 4.0, 0, path)
    assert read.digest == drawn.digest


def test_figures_are_labelled() -> None:
    drawn = NegativeSampling(strategy="random", num_items=99)
    assert drawn.label([42]) == "sampled candidates: 99 random negatives a user, seed 42"
    assert drawn.label([42], 99) == drawn.label([42])
    assert drawn.label([42], 7) == "sampled candidates: 99 random negatives a user (fewest: 7), seed 42"
    assert drawn.label([42, 7]) == "sampled candidates: 99 random negatives a user, seeds 42, 7"
    assert drawn.suffix == "(99 neg.)"
    read = NegativeSampling(strategy="fixed", files=["t.tsv", "v.tsv"])
    assert read.label([42]) == "sampled candidates: negatives of t.tsv and v.tsv"
    assert read.suffix == "(fixed neg.)"
    assert (read.file_for("test"), read.file_for("validation")) == ("t.tsv", "v.tsv")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"strategy": "random"}, "random takes num_items, given: none"),
        ({"strategy": "fixed", "num_items": 9}, "fixed takes files, given: num_items"),
        ({"strategy": "random", "num_items": 0}, "greater than 0"),
        ({"strategy": "random", "files": "x"}, "random takes num_items, given: files"),
        ({"strategy": "fixed", "files": []}, "at least 1 item"),
        ({"strategy": "random", "num_items": 9, "ids": "raw"}, "random reads none"),
        ({"strategy": "rnd"}, "did you mean 'random'"),
        ({"strategy": "random", "num_item": 9}, "did you mean 'num_items'"),
    ],
)
def test_a_wrong_block_is_refused(tmp_path: Path, block: dict[str, Any], message: str) -> None:
    (tmp_path / "x.yml").write_text(yaml.safe_dump(block))
    document = read_yaml(tmp_path / "x.yml")
    with pytest.raises(UserError) as caught:
        validate(NegativeSampling, document.data, document)
    assert message in caught.value.render()
