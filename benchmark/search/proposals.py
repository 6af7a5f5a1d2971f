"""Which configurations of a model are tried, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from benchmark.config.meta import Meta
from benchmark.search.grid import MOST_COMBINATIONS, exhaustive, refuse_too_many
from benchmark.search.optuna_search import TreeParzen
from benchmark.search.random_search import fresh, generator, random_configurations
from benchmark.search.space import Configuration, Space
from workbench.config import located
from workbench.errors import UserError

_IN_PLACE_OF = {
    "atpe": "TPE that estimates all parameters jointly runs in the place of adaptive TPE",
    "anneal": "TPE runs in the place of simulated annealing",
    "mix": "TPE runs in the place of the mixture",
}


class Proposals(Protocol):
    """Batches of configurations, each of which may depend on the values of those before."""

    def batch(self) -> list[Configuration]:
        """The next configurations to try, the same until their values are told; none at the end."""

    def tell(self, results: Sequence[float | None]) -> None:
        """The values of the last batch, in its order; larger is better, None for a failed trial."""


class Listed:
    """Configurations that are known up front: one batch."""

    def __init__(self, configurations: list[Configuration]) -> None:
        self._left = configurations

    def batch(self) -> list[Configuration]:
        return self._left

    def tell(self, results: Sequence[float | None]) -> None:
        if len(results) != len(self._left):
            raise ValueError(f"{len(results)} values for {len(self._left)} configurations")
        self._left = []


def make_proposals(space: Space, meta: Meta, seed: int) -> Proposals:
    """What a model's `meta` asks for.

    Parameters
    ----------
    seed : the experiment's; with the model's name it decides what is drawn.

    Raises
    ------
    UserError : a distribution in a grid, distributions without `hyper_max_evals`, far too many combinations, refused
        combinations, or Optuna is not installed.
    """
    most = _most(space, meta)
    if _goes_through_lists(space, meta):
        return Listed(exhaustive(space, meta.hyper_max_evals))
    if meta.hyper_opt_alg == "rand":
        return Listed(random_configurations(space, most, seed))
    if space.size is not None and space.size <= most:
        return Listed(random_configurations(space, most, seed))
    with located(space.document, (*space.at, "meta", "hyper_opt_alg")):
        return TreeParzen(space, most, seed, multivariate=meta.hyper_opt_alg == "atpe")


def search_notice(space: Space, meta: Meta) -> str | None:
    """What there is to say where the search is not the one that was asked for."""
    algorithm = meta.hyper_opt_alg
    if _goes_through_lists(space, meta) or algorithm == "rand":
        return None
    if space.size is not None and space.size <= _most(space, meta):
        return f"all {space.size} configurations are tried, {algorithm} has no choice"
    note = _IN_PLACE_OF.get(algorithm)
    return note and f"`hyper_opt_alg: {algorithm}`: {note}"


def count(space: Space, meta: Meta) -> int:
    """How many configurations will be tried.

    Raises
    ------
    UserError : as `make_proposals`.
    """
    most = _most(space, meta)
    if _goes_through_lists(space, meta):
        return len(exhaustive(space, meta.hyper_max_evals))
    if space.size is None or space.size > MOST_COMBINATIONS:
        return most
    return sum(1 for _ in islice(fresh(space, generator(space, 0), set()), most))


def _goes_through_lists(space: Space, meta: Meta) -> bool:
    return meta.hyper_opt_alg == "grid" or not space.varied


def _most(space: Space, meta: Meta) -> int:
    """`hyper_max_evals`, by default the number of combinations."""
    if meta.hyper_max_evals is not None:
        return meta.hyper_max_evals
    if space.drawn and meta.hyper_opt_alg != "grid":
        raise UserError(
            f"`hyper_max_evals` is missing: `{space.drawn[0]}` is drawn from a distribution, which has no end",
            where=space.where("meta"),
            mend="say how many configurations to try, such as `hyper_max_evals: 20`",
        )
    refuse_too_many(space, None)
    return space.size or 0
