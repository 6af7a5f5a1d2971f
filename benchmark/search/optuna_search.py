"""Tree-structured Parzen estimators (Bergstra et al., NeurIPS 2011), by Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, TypeGuard

from benchmark.search.distributions import Axis, Choices
from benchmark.search.random_search import Point, fresh, generator
from benchmark.search.space import Configuration, Space
from workbench.errors import UserError

ROUND = 4  # configurations a round, whatever the executor: more workers than that wait
_STARTUP = 8  # random configurations before the first estimate
_ATTEMPTS = 20  # proposals that were tried before, until a random one takes their place


class TreeParzen:
    """Proposals in rounds of `ROUND`; within one, those that are pending count as bad (constant liar).

    What is proposed depends on the seed and on the values told, on nothing else: an interrupted search that is told the
    same values again proposes the same configurations again. A failed trial counts like the worst one so far.
    """

    def __init__(self, space: Space, most: int, seed: int, multivariate: bool) -> None:
        """
        Parameters
        ----------
        most : how many configurations are proposed altogether.
        multivariate : estimate all parameters jointly, not each on its own.

        Raises
        ------
        UserError : Optuna is not installed.
        """
        self._optuna = _import_optuna()
        self._space, self._left = space, most
        random = generator(space, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            sampler = self._optuna.samplers.TPESampler(
                n_startup_trials=_STARTUP,
                multivariate=multivariate,
                constant_liar=True,
                seed=int(random.integers(2**32)),
            )
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions = {key: self._distribution(key) for key in space.varied}
        self._seen: set[str] = set()
        self._random = fresh(space, random, self._seen)
        self._pending: list[tuple[Any, Configuration]] = []
        self._worst: float | None = None

    def batch(self) -> list[Configuration]:
        """The configurations of the next round, the same until their values are told; none at the end."""
        while not self._pending_is_full():
            proposed = self._propose() or self._propose_at_random()
            if proposed is None:
                self._left = len(self._pending)
                break
            self._pending.append(proposed)
        return [configuration for _, configuration in self._pending]

    def tell(self, results: Sequence[float | None]) -> None:
        """The values of the last batch, in its order; None for a failed trial."""
        if len(results) != len(self._pending):
            raise ValueError(f"{len(results)} values for {len(self._pending)} configurations")
        values = [None if value is None or not math.isfinite(value) else float(value) for value in results]
        known = [value for value in (*values, self._worst) if value is not None]
        self._worst = min(known, default=None)
        failed = self._optuna.trial.TrialState.FAIL
        for (trial, _), value in zip(self._pending, values, strict=True):
            value = self._worst if value is None else value
            self._study.tell(trial, value, state=failed if value is None else None)
        self._left -= len(self._pending)
        self._pending = []

    def _pending_is_full(self) -> bool:
        return len(self._pending) >= min(ROUND, self._left)

    def _propose(self) -> tuple[Any, Configuration] | None:
        """What the sampler proposes, None where it proposes nothing but what was tried or is refused."""
        for _ in range(_ATTEMPTS):
            trial = self._study.ask(self._distributions)
            configuration = self._space.point(self._units(trial.params))
            try:
                identity = self._space.identity(configuration)
            except UserError:
                identity = None
            if identity is not None and identity not in self._seen:
                self._seen.add(identity)
                return trial, configuration
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return None

    def _propose_at_random(self) -> tuple[Any, Configuration] | None:
        units = next(self._random, None)
        if units is None:
            return None
        self._study.enqueue_trial(self._coordinates(units))
        return self._study.ask(self._distributions), self._space.point(units)

    def _distribution(self, key: str) -> Any:
        axis = self._space.axes[key]
        if _is_category(axis):
            return self._optuna.distributions.CategoricalDistribution(list(range(len(axis.values))))
        return self._optuna.distributions.FloatDistribution(0.0, 1.0)

    def _units(self, coordinates: dict[str, Any]) -> Point:
        """The point of the unit cube behind what Optuna knows of a trial."""
        axes = [(self._space.axes[key], coordinates[key]) for key in self._space.varied]
        return [axis.unit(coordinate) if _is_category(axis) else coordinate for axis, coordinate in axes]

    def _coordinates(self, units: Point) -> dict[str, Any]:
        """The way back."""
        axes = [(key, self._space.axes[key]) for key in self._space.varied]
        return {
            key: axis.index(unit) if _is_category(axis) else unit for (key, axis), unit in zip(axes, units, strict=True)
        }


def _is_category(axis: Axis) -> TypeGuard[Choices]:
    """Lists are categories, as in hyperopt; anything else is searched along its quantiles."""
    return isinstance(axis, Choices) and not axis.drawn


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "this `hyper_opt_alg` needs Optuna, which is not installed",
            mend="pip install 'bottega[optuna]', or take `hyper_opt_alg: rand`",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
