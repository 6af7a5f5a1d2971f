"""Random configurations, none of them twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, repeat

import numpy as np
from loguru import logger

from benchmark.search.grid import MOST_COMBINATIONS
from benchmark.search.space import Configuration, Space
from workbench.errors import UserError
from workbench.files import fingerprint

Point = list[float]
_PATIENCE = 1000  # draws in a row that give nothing new


def generator(space: Space, seed: int) -> np.random.Generator:
    """The random numbers of a model's search."""
    return np.random.default_rng(int(fingerprint([space.name, seed]), 16))


def random_configurations(space: Space, most: int, seed: int) -> list[Configuration]:
    """Up to `most` different configurations; fewer where there are no more. A longer list begins like a shorter one.

    Raises
    ------
    UserError : the model refuses whatever is drawn.
    """
    drawn = [space.point(units) for units in islice(fresh(space, generator(space, seed), set()), most)]
    if len(drawn) < most and space.drawn:
        logger.info("{}: there are no more than {} different configurations to draw", space.name, len(drawn))
    return drawn


def fresh(space: Space, random: np.random.Generator, seen: set[str]) -> Iterator[Point]:
    """Random points of the unit cube whose configurations are not in `seen`, and add them to it.

    Configurations that the model refuses are drawn again. Lists are drawn from without repetition; where distributions
    give nothing new any more and there is an end of their values, the values that are left follow.

    Raises
    ------
    UserError : nothing that is drawn is accepted.
    """
    countable = space.size is not None and space.size <= MOST_COMBINATIONS
    if space.drawn or not countable:
        points = (random.random(len(space.varied)).tolist() for _ in repeat(None))
        yield from _unseen(space, points, seen, _PATIENCE)
    if countable:
        assert space.size is not None
        places = random.permutation(space.size)
        yield from _unseen(space, (space.units(int(place)) for place in places), seen, space.size)


def _unseen(space: Space, points: Iterable[Point], seen: set[str], patience: int) -> Iterator[Point]:
    """Those of the points that are new and accepted, until `patience` ones in a row are not."""
    missed, refusal = 0, None
    for units in points:
        try:
            identity = space.identity(space.point(units))
        except UserError as error:
            identity, refusal = None, error
        if identity is not None and identity not in seen:
            seen.add(identity)
            missed = 0
            yield units
            continue
        missed += 1
        if missed >= patience:
            break
    if refusal is not None and not seen:
        raise refusal
