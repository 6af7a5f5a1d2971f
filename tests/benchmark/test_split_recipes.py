"""Published protocols against loops that follow their descriptions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_cases import drawn_interactions, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from test_random_splitters import literal_places

from benchmark.data.interactions import Interactions, read_interactions
from benchmark.data.splitters import AlignMacridVAE, MMRec, MultVAE, Parts
from workbench.errors import UserError

SEEDS = st.integers(0, 1000)
Pairs = set[tuple[int, int]]


def pairs(part: Interactions | None) -> Pairs:
    assert part is not None
    return set(zip(part.users.tolist(), part.items.tolist(), strict=True))


def counts_of(parts: Parts) -> dict[int, tuple[int, int, int]]:
    """Training, validation and test rows of each user."""
    made = [Counter(part.users.tolist()) for part in (parts.train, parts.validation, parts.test) if part is not None]
    return {user: (made[0][user], made[1][user], made[2][user]) for user in set().union(*made)}


def mmrec_counts(n: int) -> tuple[int, int, int]:
    if n < 3:
        return n, 0, 0
    if n < 10:
        return n - 2, 1, 1
    held_out = int(0.2 * n)
    return n - held_out, held_out // 2, held_out - held_out // 2


@settings(max_examples=20, deadline=None)
@given(data=SEEDS, seed=SEEDS)
def test_mmrec_cuts_the_end_of_a_shuffle(data: int, seed: int) -> None:
    rows = drawn_interactions(data, n_users=10)
    users, items = rows.users.tolist(), rows.items.tolist()
    places = literal_places(users, items, np.random.default_rng(seed).random(len(rows)).tolist())
    expected: tuple[Pairs, Pairs, Pairs] = (set(), set(), set())
    for user, item, place in zip(users, items, places, strict=True):
        train, validation, _ = mmrec_counts(users.count(user))
        expected[0 if place < train else 1 if place < train + validation else 2].add((user, item))
    parts = MMRec().parts(rows, seed)
    assert (pairs(parts.train), pairs(parts.validation), pairs(parts.test)) == expected


@pytest.mark.realdata
def test_mmrec_has_the_counts_of_the_published_baby_split(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """This copy of Baby, from DiffMM, has the larger half of an odd number in validation, MMRec's program in test."""
    lines = read_rows(real_data("amazon-baby-mmrec") / "baby.inter")[1:]
    (tmp_path / "baby.tsv").write_text("".join(f"{user}\t{item}\t{rating}\n" for user, item, rating, *_ in lines))
    published = [Counter(row[0] for row in lines if row[4] == label) for label in "021"]
    rows = read_interactions(tmp_path / "baby.tsv")
    made = counts_of(MMRec().parts(rows, 1))
    assert {rows.user_ids[user]: counts for user, counts in made.items()} == {
        user: tuple(part[user] for part in published) for user in published[0]
    }


@settings(max_examples=20, deadline=None)
@given(data=SEEDS, seed=SEEDS)
def test_align_macridvae_ranks_uniform_numbers_twice_with_one_seed(data: int, seed: int) -> None:
    rows = drawn_interactions(data, n_users=10)

    def low(users: list[int], items: list[int], share: float) -> list[bool]:
        keys = np.random.default_rng(seed).random(len(users)).tolist()
        places = literal_places(users, items, keys)
        return [(place + 1) / users.count(user) <= share for place, user in zip(places, users, strict=True)]

    users, items = rows.users.tolist(), rows.items.tolist()
    chosen = [pair for pair, flag in zip(zip(users, items, strict=True), low(users, items, 0.4), strict=True) if flag]
    flags = low([user for user, _ in chosen], [item for _, item in chosen], 0.5)
    parts = AlignMacridVAE().parts(rows, seed)
    assert pairs(parts.test) == {pair for pair, flag in zip(chosen, flags, strict=True) if flag}
    assert pairs(parts.validation) == {pair for pair, flag in zip(chosen, flags, strict=True) if not flag}
    assert pairs(parts.train) == set(zip(users, items, strict=True)) - set(chosen)


@pytest.mark.parametrize("n", range(5, 21))
def test_align_macridvae_has_the_published_counts(n: int) -> None:
    held_out = math.floor(0.4 * n)
    test = math.floor(held_out / 2)
    made = counts_of(AlignMacridVAE().parts(drawn_interactions(n, least=n, most=n), 20230219))
    assert set(made.values()) == {(n - held_out, held_out - test, test)}


def test_align_macridvae_has_the_examples_of_the_source() -> None:
    rows = drawn_interactions(0, n_users=3, least=10, most=10)
    for n, counts in ((5, (3, 1, 1)), (8, (5, 2, 1)), (10, (6, 2, 2))):
        first = rows.select(np.concatenate([np.flatnonzero(rows.users == user)[:n] for user in range(3)]))
        assert set(counts_of(AlignMacridVAE().parts(first, 1)).values()) == {counts}


@settings(max_examples=25, deadline=None)
@given(data=SEEDS, seed=SEEDS, share=st.sampled_from([0.1, 0.2, 4.0]), min_rows=st.sampled_from([1, 5, 9]))
def test_mult_vae_follows_its_protocol(data: int, seed: int, share: float, min_rows: int) -> None:
    rows = drawn_interactions(data)
    generator = np.random.default_rng(seed)
    users = sorted(set(rows.users.tolist()))
    users = [users[place] for place in generator.permutation(len(users))]
    number = int(share * len(users)) if share < 1 else int(share)
    groups = users[: len(users) - 2 * number], users[-2 * number : -number], users[-number:]
    known = {item for user, item in pairs(rows) if user in groups[0]}
    left = [pair for pair in zip(rows.users.tolist(), rows.items.tolist(), strict=True) if pair[1] in known]
    columns = [user for user, _ in left], [item for _, item in left]
    places = literal_places(*columns, generator.random(len(left)).tolist())
    counts = Counter(columns[0])

    def found(group: list[int], flag: bool) -> Pairs:
        return {
            pair
            for pair, place in zip(left, places, strict=True)
            if pair[0] in group and (counts[pair[0]] >= min_rows and place < int(0.2 * counts[pair[0]])) == flag
        }

    if not (found(groups[1], True) and found(groups[2], True)):
        with pytest.raises(UserError, match="split came out empty"):
            MultVAE(share, min_rows=min_rows).parts(rows, seed)
        return
    parts = MultVAE(share, min_rows=min_rows).parts(rows, seed)
    assert pairs(parts.train) == {pair for pair in left if pair[0] in groups[0]}
    assert pairs(parts.validation) == found(groups[1], True)
    assert pairs(parts.validation_input) == found(groups[1], False)
    assert pairs(parts.test) == found(groups[2], True)
    assert pairs(parts.test_input) == found(groups[2], False)


def test_mult_vae_says_how_many_rows_it_drops(log: list[str]) -> None:
    rows = drawn_interactions(1, n_users=12, n_items=30)
    parts = MultVAE(3).parts(rows, 0)
    trained = set(parts.train.items.tolist())
    lost = sum(item not in trained for item in rows.items.tolist())
    assert lost > 0
    assert any(f"mult_vae: {lost} rows on items without training rows are dropped" in line for line in log)


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(MultVAE(0.01), "validation"), (MultVAE(13), "training"), (MultVAE(99), "training"), (MMRec(), "validation")],
)
def test_data_that_a_recipe_cannot_cut_are_refused(recipe: MultVAE | MMRec, name: str) -> None:
    rows = drawn_interactions(0, most=2 if isinstance(recipe, MMRec) else 25)
    with pytest.raises(UserError, match=f"the {name} split came out empty"):
        recipe.parts(rows, 0)
