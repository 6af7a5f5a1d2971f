"""What an extraction takes, for each of its models; kept beside the rows, so that an interruption loses none of it.

The models of a source share one pass over it: an item is read once for all of them. What the pass takes is shared out
by the time that each backbone computes; what loading a model takes is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from extractor.backends.base import device_of
from workbench.cost import Cost, Meter

Spent = dict[str, Any]  # of one process: the keys of a `Cost`, `items` encoded and the seconds of `loading` among all
_SUMS = ("seconds", "cpu_seconds", "energy_joules")
_PEAKS = ("peak_memory_mb", "gpu_memory_mb")
_COLUMNS = {  # key -> header, decimals
    "seconds": ("s", 1),
    "cpu_seconds": ("CPU s", 1),
    "peak_memory_mb": ("memory MB", 0),
    "gpu_memory_mb": ("GPU MB", 0),
    "energy_joules": ("J", 0),
    "samples_per_second": ("items/s", 1),
    "parameters": ("parameters", 0),
}


class Account:
    """One model's share: `loading` measures its start, `book` its chunks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.loading = ledger.meter()
        self.computed = 0.0
        self._items = 0

    def book(self, seconds: float, items: int) -> Spent:
        """Add a chunk of `items` for which the backbone computed so long; gives what was spent so far."""
        self.computed += seconds
        self._items += items
        return self.spent()

    def spent(self) -> Spent:
        """What this process has spent on the model so far."""
        loading, share = self.loading.cost(), self._ledger.share(self)
        one, other = loading.record(), share.record()
        return {
            **{name: _sum((one[name], other[name])) for name in _SUMS},
            **{name: _largest((one[name], other[name])) for name in _PEAKS},
            "items": self._items,
            "loading": loading.seconds,
        }


class Ledger:
    """Measures a pass; a `with` around it.

    Parameters
    ----------
    gpu : its number, -1 for the CPU.
    energy : whether the counters of energy count this pass alone.
    """

    def __init__(self, gpu: int, energy: bool) -> None:
        self._device, self._energy = (None if gpu < 0 else device_of(gpu)), energy
        self._accounts: list[Account] = []
        self._pass = self.meter()

    def meter(self) -> Meter:
        """A meter for the device that the models are on."""
        return Meter(self._device, self._energy)

    def open(self) -> Account:
        """An account for a model."""
        self._accounts.append(Account(self))
        return self._accounts[-1]

    def share(self, account: Account) -> Cost:
        """What the pass took so far, times the account's part of the seconds in which backbones computed."""
        total = self._pass.cost()
        computed = sum(each.computed for each in self._accounts)
        part = account.computed / computed if computed else 1 / len(self._accounts)
        energy = None if total.energy_joules is None else part * total.energy_joules
        return Cost(
            part * total.seconds, part * total.cpu_seconds, total.peak_memory_mb, total.gpu_memory_mb, energy, None
        )

    def __enter__(self) -> Ledger:
        self._pass.__enter__()
        return self

    def __exit__(self, *_error: Any) -> None:
        self._pass.__exit__(None, None, None)


def sum_up(parts: Iterable[Mapping[str, Any]], backbone: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the processes that worked on a table spent on its model together, as its manifest has it.

    Times and energy are sums (of the energy None, where a process could not tell), memory is that of the largest
    process, and `samples_per_second` leaves out the loading. None where no process left a record.
    """
    parts = list(parts)
    if not parts:
        return None
    working = sum(part["seconds"] - part["loading"] for part in parts)
    items = sum(part["items"] for part in parts)
    total = {name: _sum(part[name] for part in parts) for name in _SUMS}
    peaks = {name: _largest(part[name] for part in parts) for name in _PEAKS}
    rate = items / working if working > 0 else None
    cost = Cost(**total, **peaks, samples_per_second=rate)  # type: ignore[arg-type]
    return {**cost.record(), "items": items, "parameters": _parameters(backbone)}


def cost_of(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the model of a table took, as its manifest tells it; None where it does not."""
    found = (manifest.get("run") or {}).get("cost")
    return dict(found) if found else None


def cost_columns(costs: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a printed table; what is known of none of them has no column."""
    shown = {name: column for name, column in _COLUMNS.items() if any(cost.get(name) is not None for cost in costs)}
    rows = [[_cell(cost.get(name), digits) for name, (_, digits) in shown.items()] for cost in costs]
    return [header for header, _ in shown.values()], rows


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _parameters(backbone: Mapping[str, Any]) -> int | None:
    """Number of weights of a network, or of the networks of a pair; None for what is no network."""
    own = backbone.get("parameters")
    if own is not None:
        return int(own)
    sides = [_parameters(side) for side in backbone.values() if isinstance(side, dict)]
    known = [side for side in sides if side is not None]
    return sum(known) if known else None


def _sum(values: Iterable[float | None]) -> float | None:
    values = list(values)
    return None if None in values else sum(value for value in values if value is not None)


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
