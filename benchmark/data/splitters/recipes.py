"""Published protocols that cut validation and test at once. All draw over rows in canonical order, so the order of the
file is without effect; the sources' own draws are not reproduced, their counts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import Parts, checked
from benchmark.data.splitters.cold import wanted_rows
from benchmark.data.splitters.ordering import drawn_places, number_of, row_counts


@dataclass(frozen=True)
class MMRec:
    """MMRec's random split: each user's n rows are shuffled, the last ones held out.

    3 <= n < 10: the last but one is validation, the last test. n >= 10: with h = floor(.2 n) the last h are held out,
    the first floor(h / 2) of them validation and the others test. n < 3: all stay in training (MMRec's five-core data
    have no such user, and its own program fails on one row).

    Not bit-exact: MMRec shuffles unseeded.
    """

    def parts(self, interactions: Interactions, seed: int) -> Parts:
        counts = row_counts(interactions.users)
        held_out = np.select([counts < 3, counts < 10], [0, 2], counts // 5)
        places = drawn_places(interactions, np.random.default_rng(seed)) - (counts - held_out)  # from 0 if held out
        train, test = places < 0, places >= held_out // 2
        parts = Parts(*(interactions.select(mask) for mask in (train, ~(train | test), test)))
        return checked(parts, interactions, "bring users with three interactions or more (prefiltering: user_k_core)")


@dataclass(frozen=True)
class AlignMacridVAE:
    """Align-MacridVAE's split: a uniform number a row, ranked within the user, rank / n as a percentile.

    Rows up to percentile .4 are held out: m = floor(.4 n). These are drawn for again by a fresh generator of the same
    seed; up to percentile .5, floor(m / 2) rows, they are test, the others validation. Ratings and users are chosen
    before that: `global_threshold` (0 in the published notebook) and `user_k_core` (5) as prefilters.

    Not bit-exact: the source gives its numbers to the rows in file order.
    """

    def parts(self, interactions: Interactions, seed: int) -> Parts:
        counts = row_counts(interactions.users)
        held_out = drawn_places(interactions, np.random.default_rng(seed)) < counts * 2 // 5
        train, rest = interactions.select(~held_out), interactions.select(held_out)
        test = drawn_places(rest, np.random.default_rng(seed)) < row_counts(rest.users) // 2
        parts = Parts(train, rest.select(~test), rest.select(test))
        return checked(parts, interactions, "bring users with five interactions or more (prefiltering: user_k_core)")


@dataclass(frozen=True)
class MultVAE:
    """Mult-VAE's protocol (Liang et al. 2018, section 4.1): strong generalisation.

    The U users are shuffled; with H = floor(held_out_users U), or the number given, the last H are test users, the H
    before them validation users, the rest train. Rows of held-out users on items without training rows are dropped. Of
    what is left, a held-out user with n >= `min_rows` rows has floor((1 - fold_in) n), drawn at random, to be found and
    shows the others; one with fewer shows all and has none to find. Ratings and users are chosen before that by
    prefilters: `global_threshold` 4 and `user_k_core` 5 for the paper's films.

    Not bit-exact: the source shuffles with numpy's legacy generator, over ids sorted as numbers.
    """

    held_out_users: float = 0.1
    fold_in: float = 0.8
    min_rows: int = 5

    def parts(self, interactions: Interactions, seed: int) -> Parts:
        generator = np.random.default_rng(seed)
        shuffled = generator.permutation(np.unique(interactions.users))
        number = number_of(len(shuffled), self.held_out_users)
        groups = np.zeros(len(interactions.user_ids), dtype=np.int8)  # 0 train, 1 validation, 2 test
        groups[shuffled[max(len(shuffled) - 2 * number, 0) :]] = 1
        groups[shuffled[max(len(shuffled) - number, 0) :]] = 2
        group = groups[interactions.users]
        known = np.isin(interactions.items, interactions.items[group == 0])
        if not known.all():
            logger.info("mult_vae: {} rows on items without training rows are dropped", int((~known).sum()))
        left, group = interactions.select(known), group[known]
        wanted = wanted_rows(row_counts(left.users), self.fold_in, self.min_rows)
        target = drawn_places(left, generator) < wanted
        named = [left.select((group == part) & flags) for part in (1, 2) for flags in (target, ~target)]
        validation, validation_input, test, test_input = named
        train = left.select(group == 0)
        remedy = (
            f"hold out more users, or fewer: validation and test each take `held_out_users` of {len(shuffled)} (here "
            f"{self.held_out_users:g}), who need `min_rows` rows (here {self.min_rows}) on items of training users"
        )
        return checked(Parts(train, validation, test, validation_input, test_input), interactions, remedy)
