"""What a parameter can be: a list of alternatives, or a number that is drawn from one of hyperopt's distributions.

Every axis maps the unit interval to values, so that all search algorithms work on points of the unit cube: a uniform
unit gives a value as often as the axis says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import NormalDist
from typing import Any

from workbench.config import literal
from workbench.errors import UserError

NAMES = (
    "choice",
    "randint",
    "uniform",
    "quniform",
    "loguniform",
    "qloguniform",
    "normal",
    "qnormal",
    "lognormal",
    "qlognormal",
)
_MOST_VALUES = 10_000  # a quantised distribution with more values is treated like a continuous one
_INSIDE = 1e-12  # normal distributions are cut at their quantiles 1e-12 and 1 - 1e-12, 7 deviations from the mean


@dataclass(frozen=True)
class Choices:
    """Alternatives of equal weight.

    Attributes
    ----------
    values : at least one.
    drawn : whether a distribution made them (`randint`), which no grid goes through.
    """

    values: Sequence[Any]
    drawn: bool = False

    @property
    def varies(self) -> bool:
        return len(self.values) > 1

    @property
    def telling(self) -> tuple[float, ...]:
        """Units of the first and the last value."""
        return (0.0, 1.0)

    def at(self, unit: float) -> Any:
        """The value at `unit`, from 0 to 1."""
        return self.values[self.index(unit)]

    def index(self, unit: float) -> int:
        """The place of the value at `unit`."""
        return min(int(unit * len(self.values)), len(self.values) - 1)

    def unit(self, index: int) -> float:
        """The middle of the units that give the value at a place."""
        return (index + 0.5) / len(self.values)


@dataclass(frozen=True)
class Distribution:
    """A number; what is drawn is uniform or normal, or the logarithm is.

    Attributes
    ----------
    normal : mean and deviation, or None where the distribution is uniform.
    low, high : bounds of a uniform distribution, infinite otherwise; of the logarithm if `log`.
    step : values are multiples of it, None for no such grid. With bounds, they lie between them.
    whole : the parameter is an integer.
    """

    low: float
    high: float
    normal: NormalDist | None = None
    log: bool = False
    step: float | None = None
    whole: bool = False
    drawn = True
    varies = True

    def at(self, unit: float) -> float | int:
        """The value at the quantile `unit`, from 0 to 1."""
        if self.normal is None:
            inner = min(max(self.low + unit * (self.high - self.low), self.low), self.high)
        else:
            inner = self.normal.inv_cdf(min(max(unit, _INSIDE), 1 - _INSIDE))
        value = math.exp(inner) if self.log else inner
        if self.step is None:
            return value
        least, most = self._multiples
        return self._multiple(round(min(max(value / self.step, least), most)))

    @cached_property
    def values(self) -> Sequence[float | int] | None:
        """All values in order, None where there is no end of them."""
        least, most = self._multiples
        if self.step is None or not most - least < _MOST_VALUES:
            return None
        return [self._multiple(number) for number in range(int(least), int(most) + 1)]

    def unit(self, index: int) -> float:
        """A unit that gives the value at a place of `values`."""
        assert self.values is not None
        value = self.values[index]
        inner = math.log(value) if self.log else value
        return min(max((inner - self.low) / (self.high - self.low), 0.0), 1.0)

    @property
    def telling(self) -> tuple[float, ...]:
        """Units whose values show a fault of the arguments: the middle and, where there are bounds, both ends.

        A bound itself is drawn from a continuous distribution with probability zero, so that `lr` may begin at 0.
        """
        return (0.5,) if self.normal else (0.5, 1e-9, 1 - 1e-9)

    @cached_property
    def _multiples(self) -> tuple[float, float]:
        """How many steps the least and the largest value are."""
        if self.step is None or self.normal:
            return -math.inf, math.inf
        low, high = (math.exp(self.low), math.exp(self.high)) if self.log else (self.low, self.high)
        # a bound that is a multiple itself may miss by a rounding error
        return math.ceil(low / self.step - 1e-9), math.floor(high / self.step + 1e-9)

    def _multiple(self, number: int) -> float | int:
        value = Decimal(repr(self.step)) * number  # 3 * 0.1 is 0.3
        return int(value) if self.whole else float(value)


Axis = Choices | Distribution


def read_distribution(name: str, arguments: Sequence[Any], whole: bool) -> Axis:
    """The distribution that a list such as `[quniform, 8, 32, 1]` spells.

    Parameters
    ----------
    name : one of `NAMES`.
    arguments : what follows it, numbers possibly as text.
    whole : the parameter is an integer: values are rounded, as if `q` were 1.

    Raises
    ------
    UserError : without a place: wrong number of arguments, no number, empty range, `q` that is not positive, or bounds
        of a log-uniform distribution that may be values or logarithms.
    """
    if name == "choice":
        return Choices(_options(arguments))
    if name == "randint":
        return _randint(arguments)
    quantised, log, normal = name[0] == "q", "log" in name, name.endswith("normal")
    arguments, word = _scale(arguments) if log and not normal else (arguments, None)
    labels = ("mu", "sigma") if normal else ("low", "high")
    first, second, *rest = _numbers(name, arguments, (*labels, "q") if quantised else labels)
    step = rest[0] if rest else (1.0 if whole else None)
    if step is not None and step <= 0:
        raise UserError(f"q is {step:g}, and should be larger than 0", mend="give the distance between two values")
    if step is not None and whole and step != int(step):
        raise UserError(f"q is {step:g}, and the parameter takes whole numbers", mend="give a whole number as q")
    if normal:
        if second <= 0:
            raise UserError(f"sigma is {second:g}, and should be larger than 0", mend="give a standard deviation")
        made = Distribution(-math.inf, math.inf, NormalDist(first, second), log, step, whole)
    else:
        if first >= second:
            raise UserError(f"low {first:g} is not below high {second:g}", mend=f"write [{name}, low, high, ...]")
        low, high = _logarithms(name, first, second, rest, word) if log else (first, second)
        made = Distribution(low, high, None, log, step, whole)
    return _checked(made)


def _checked(made: Distribution) -> Distribution:
    try:
        least, most = made.at(0.0), made.at(1.0)
    except OverflowError:
        least, most = math.inf, math.inf
    if not (math.isfinite(least) and math.isfinite(most)):
        raise UserError("the values are too large", mend="the arguments are natural logarithms: -10 means 0.000045")
    fewest, largest = made._multiples
    if fewest > largest:
        raise UserError(
            f"no multiple of {made.step:g} lies between the bounds", mend="take a smaller q, or other bounds"
        )
    return made


def _options(arguments: Sequence[Any]) -> Sequence[Any]:
    # hyperopt's choice takes one list; its entries written out one by one are as clear
    only = literal(arguments[0]) if len(arguments) == 1 else None
    options = only if isinstance(only, (list, tuple)) else arguments
    if not options:
        raise UserError("choice has nothing to choose from", mend="write [choice, [first, second, ...]]")
    return list(options)


def _randint(arguments: Sequence[Any]) -> Choices:
    bounds = _numbers("randint", arguments, ("upper",) if len(arguments) == 1 else ("low", "high"))
    if any(bound != int(bound) for bound in bounds):
        raise UserError("randint takes whole numbers", mend="write [randint, low, high]; high itself is not drawn")
    low, high = (0, *map(int, bounds))[-2:]
    if low >= high:
        raise UserError(f"randint from {low} to below {high} has no numbers", mend="write [randint, low, high]")
    return Choices(range(low, high), drawn=True)


def _numbers(name: str, arguments: Sequence[Any], labels: Sequence[str]) -> list[float]:
    form = f"[{', '.join((name, *labels))}]"
    if len(arguments) != len(labels):
        raise UserError(f"{name} takes {len(labels)} arguments, not {len(arguments)}", mend=f"write {form}")
    numbers = []
    for label, argument in zip(labels, arguments, strict=True):
        number = as_number(argument)
        if number is None:
            raise UserError(f"{label} of {name} should be a number, not {argument!r}", mend=f"write {form}")
        numbers.append(number)
    return numbers


def as_number(value: Any) -> float | None:
    """A finite number, possibly written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _scale(arguments: Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    """The numbers, and the last word where it says what the bounds are."""
    if arguments and arguments[-1] in ("values", "logs"):
        return arguments[:-1], str(arguments[-1])
    return arguments, None


def _logarithms(name: str, low: float, high: float, rest: Sequence[float], word: str | None) -> tuple[float, float]:
    """The bounds as natural logarithms, which is what they are in hyperopt and Elliot.

    Two positive bounds are what a learning rate from 1e-5 to 1e-2 would be in other systems, so they need a word.
    """
    q = "".join(f", {step:g}" for step in rest)
    if word == "values" and low <= 0:
        raise UserError(f"low is {low:g}, and a value that has a logarithm is larger than 0", mend="write a larger low")
    if word is None and low > 0:
        as_logs = "a number too large" if high > 700 else f"{math.exp(high):.4g}"
        raise UserError(
            f"are {low:g} and {high:g} the bounds themselves, or, as in Elliot, their natural logarithms "
            f"(values up to {as_logs})?",
            mend=f"write [{name}, {low:g}, {high:g}{q}, values] for the bounds themselves "
            f"(in Elliot [{name}, {math.log(low):.4g}, {math.log(high):.4g}{q}]), or "
            f"[{name}, {low:g}, {high:g}{q}, logs]",
        )
    return (math.log(low), math.log(high)) if word == "values" else (low, high)
