"""Every combination of lists, in order."""

from __future__ import annotations

from benchmark.search.space import Configuration, Space
from workbench.errors import UserError

MOST_COMBINATIONS = 100_000


def exhaustive(space: Space, most: int | None) -> list[Configuration]:
    """Every combination of the lists once, the last parameter fastest; the first `most` of them.

    Raises
    ------
    UserError : a parameter is drawn from a distribution, a combination is refused, or there are far too many.
    """
    for key in space.drawn:
        raise UserError(
            f"`{key}` is drawn from a distribution, and a grid goes through lists",
            where=space.where(key),
            mend="put `hyper_opt_alg: tpe` (or rand) and `hyper_max_evals` into `meta`, or list the values",
        )
    assert space.size is not None
    refuse_too_many(space, most)
    found: dict[str, Configuration] = {}
    for place in range(space.size):
        if len(found) == most:
            break
        configuration = space.point(space.units(place))
        found.setdefault(space.identity(configuration), configuration)
    return list(found.values())


def refuse_too_many(space: Space, most: int | None) -> None:
    """Raise UserError where all combinations are asked for, and there are more than anyone can try."""
    if most is None and space.size is not None and space.size > MOST_COMBINATIONS:
        raise UserError(
            f"{space.name}: the lists have {space.size:,} combinations",
            where=space.where(),
            mend="put `hyper_max_evals` and `hyper_opt_alg: rand` (or tpe) into `meta`, or shorten the lists",
        )
