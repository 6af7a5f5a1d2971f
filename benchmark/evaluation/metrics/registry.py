"""What a metric is, and where it is found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import Tensor

from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.lists import Lists
from benchmark.evaluation.ranking import Ranking
from workbench.config import nearest
from workbench.errors import UserError

Value = Tensor | float | dict[str, float]
Formula = Callable[[Lists, int], Value]
FormulaT = TypeVar("FormulaT", bound=Formula)
Need = Literal["catalogue", "full"]


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    name : as printed, before `@k`.
    formula : (lists, k) -> values (E,) float64, one a judged user; or one number of the whole system; or several, by
        their labels.
    per_user : whether it gives one value a user.
    needs : `catalogue` for training statistics, `full` for the ranks of all relevant items.
    """

    name: str
    formula: Formula
    per_user: bool = True
    needs: frozenset[Need] = frozenset()

    def __call__(self, ranking: Ranking, k: int, catalogue: Catalogue | None = None) -> Value:
        """Value at cutoff k, which is at most the length K of the lists."""
        if not 1 <= k <= ranking.items.shape[1]:
            raise ValueError(f"the cutoff {k} does not fit lists of length {ranking.items.shape[1]}")
        return self.formula(Lists(ranking, catalogue), k)


METRICS: dict[str, Metric] = {}
SMALLER_IS_BETTER = frozenset({"MAE", "MSE", "RMSE", "Gini_coefficient", "PopRSP", "PopREO", "RSP", "REO"})
UNDIRECTED = frozenset(
    {"ARP", "NumRetrieved", "UserCoverage", "UserCoverageAtN", "BiasDisparityBD", "BiasDisparityBR", "BiasDisparityBS"}
)
WITHOUT_CUTOFF = frozenset({"AUC", "GAUC", "MAP_longest", "MAE", "MSE", "RMSE"})  # k changes nothing


def better(column: str) -> Literal["larger", "smaller"] | None:
    """Which of two values of `Metric[arguments]@k` is the better one; None where that is no question of size.

    `RSP[kind]` is the spread over the groups; `RSP[kind=a]`, the share of one of them, is neither good nor bad.
    """
    name, _, arguments = column.partition("@")[0].partition("[")
    name = name.removeprefix("Extended").removeprefix("clustered_")
    if name in UNDIRECTED or "MAD" in name or (name in ("RSP", "REO") and "=" in arguments):
        return None
    return "smaller" if name in SMALLER_IS_BETTER else "larger"


COMPLEX: dict[str, Any] = {}
_OTHER_NAMES = {"nDCGRendle2020": "nDCG_binary", "HitRate": "HR"}


def metric(name: str, per_user: bool = True, needs: tuple[Need, ...] = ()) -> Callable[[FormulaT], FormulaT]:
    """Register a formula as a metric without arguments."""

    def register(formula: FormulaT) -> FormulaT:
        METRICS[name] = Metric(name, formula, per_user, frozenset(needs))
        return formula

    return register


def find_metric(name: str) -> str:
    """The registered name behind a metric's name in any case, or behind another system's name for it.

    Raises
    ------
    UserError : no such metric, and the nearest is named; or one that needs arguments.
    """
    known = {**{each: each for each in METRICS}, **_OTHER_NAMES}
    found = _in_any_case(name, known)
    if found is not None:
        return known[found]
    found = _in_any_case(name, COMPLEX)
    if found is not None:
        raise UserError(f"{found} takes arguments", mend=f"write `- metric: {found}` under `complex_metrics`")
    raise UserError(f"unknown metric {name!r}", mend=nearest(name, known))


def find_complex(name: str) -> str:
    """The registered name of a metric with arguments, given in any case.

    Raises
    ------
    UserError : no such metric, and the nearest is named; or one that takes no arguments.
    """
    found = _in_any_case(name, COMPLEX)
    if found is not None:
        return found
    if _in_any_case(name, {**METRICS, **_OTHER_NAMES}) is not None:
        raise UserError(f"{name} takes no arguments", mend="move it to `simple_metrics`")
    raise UserError(f"unknown metric {name!r}", mend=nearest(name, COMPLEX))


def _in_any_case(name: str, known: Iterable[str]) -> str | None:
    return next((each for each in known if each.casefold() == name.casefold()), None)
