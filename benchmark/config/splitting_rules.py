"""One rule of the `splitting` block, and the recipes that may stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from benchmark.data.splitters import (
    AlignMacridVAE,
    FixedTimestamp,
    GlobalTime,
    ItemColdStart,
    LeaveOneOut,
    MMRec,
    MultVAE,
    RandomCrossValidation,
    RandomHoldOut,
    RandomKFold,
    RandomSubsampling,
    Recipe,
    Splitter,
    TemporalHoldOut,
    UserColdStart,
)
from workbench.config import Settings

COLD_START = ("user_cold_start", "item_cold_start")


class _Keys(NamedTuple):
    """What a strategy builds, the keys that it needs (one set of several), and those that it may have."""

    build: Callable[..., Any]
    needed: Sequence[set[str]]
    optional: set[str] = set()


_STRATEGIES = {
    "random_subsampling": _Keys(RandomSubsampling, ({"test_ratio"}, {"leave_n_out"}), {"folds"}),
    "random_hold_out": _Keys(RandomHoldOut, ({"test_ratio"}, {"leave_n_out"}), {"folds"}),
    "random_cross_validation": _Keys(RandomCrossValidation, ({"folds"},)),
    "random_k_fold": _Keys(RandomKFold, ({"folds"},)),
    "temporal_hold_out": _Keys(TemporalHoldOut, ({"test_ratio"}, {"leave_n_out"})),
    "leave_one_out": _Keys(LeaveOneOut, (set(),)),
    "global_time": _Keys(GlobalTime, ({"test_ratio"},)),
    "fixed_timestamp": _Keys(FixedTimestamp, ({"timestamp"},), {"min_below", "min_over"}),
    "user_cold_start": _Keys(UserColdStart, ({"users"},), {"fold_in", "min_rows"}),
    "item_cold_start": _Keys(ItemColdStart, ({"items"},), {"strata"}),
}
_RECIPES = {
    "mmrec": _Keys(MMRec, (set(),)),
    "align_macridvae": _Keys(AlignMacridVAE, (set(),)),
    "mult_vae": _Keys(MultVAE, (set(),), {"held_out_users", "fold_in", "min_rows"}),
}

Share = Annotated[float, Field(gt=0, lt=1)]
ShareOrNumber = Annotated[float, Field(gt=0)]


class _Rule(Settings):
    """A strategy and its keys, checked against a table and handed on as they were given."""

    def _given(self) -> dict[str, Any]:
        values = {key: getattr(self, key) for key in type(self).model_fields if key != "strategy"}
        return {key: value for key, value in values.items() if value is not None}

    def _check(self, strategy: str, table: dict[str, _Keys]) -> None:
        keys, given = table[strategy], set(self._given())
        if given - keys.optional in keys.needed:
            return
        takes = ", or ".join(" and ".join(sorted(needed)) for needed in keys.needed if needed)
        also = f"optional: {', '.join(sorted(keys.optional))}" if keys.optional else ""
        legal = f"{takes} ({also})" if takes and also else takes or also or "no further key"
        raise ValueError(f"{strategy} takes {legal}; given: {', '.join(sorted(given)) or 'none'}")


def _whole_from_one(value: float | None) -> float | None:
    if value is not None and value >= 1 and value != int(value):
        raise ValueError("should be a share below 1 or a whole number")
    return value


class SplittingRule(_Rule):
    """How one part is held out.

    random_subsampling : `test_ratio` (a share of each user's rows) or `leave_n_out` (a number), `folds` repetitions.
    random_hold_out : the same, whatever the order of the file.
    random_cross_validation, random_k_fold : `folds`.
    temporal_hold_out : `test_ratio` or `leave_n_out`.
    leave_one_out : no key.
    global_time : `test_ratio`, a share of all rows.
    fixed_timestamp : `timestamp`, unix seconds or `best` (then also `min_below` and `min_over` rows a user).
    user_cold_start : `users`, a share or a number, `fold_in` (.8), `min_rows` (5).
    item_cold_start : `items`, a share, `strata` (10).
    """

    strategy: Literal[
        "random_subsampling",
        "random_hold_out",
        "random_cross_validation",
        "random_k_fold",
        "temporal_hold_out",
        "leave_one_out",
        "global_time",
        "fixed_timestamp",
        "user_cold_start",
        "item_cold_start",
    ]
    test_ratio: Share | None = None
    leave_n_out: PositiveInt | None = None
    folds: PositiveInt | None = None
    timestamp: int | Literal["best"] | None = None
    min_below: PositiveInt | None = None
    min_over: PositiveInt | None = None
    users: ShareOrNumber | None = None
    fold_in: Share | None = None
    min_rows: PositiveInt | None = None
    items: Share | None = None
    strata: PositiveInt | None = None

    _users = field_validator("users")(_whole_from_one)

    @model_validator(mode="after")
    def _own_keys(self) -> SplittingRule:
        self._check(self.strategy, _STRATEGIES)
        if (self.min_below or self.min_over) and self.timestamp != "best":
            raise ValueError("min_below and min_over go with `timestamp: best`")
        if self.strategy in ("random_cross_validation", "random_k_fold") and self.folds == 1:
            raise ValueError(f"{self.strategy} takes at least 2 folds")
        return self

    def build(self) -> Splitter:
        """The splitter that this rule describes."""
        splitter: Splitter = _STRATEGIES[self.strategy].build(**self._given())
        return splitter


class RecipeSettings(_Rule):
    """A published protocol in the place of both rules.

    mmrec, align_macridvae : no key.
    mult_vae : `held_out_users` (.1), a share or a number of users for each of test and validation, `fold_in` (.8),
        `min_rows` (5).
    """

    strategy: Literal["mmrec", "align_macridvae", "mult_vae"]
    held_out_users: ShareOrNumber | None = None
    fold_in: Share | None = None
    min_rows: PositiveInt | None = None

    _users = field_validator("held_out_users")(_whole_from_one)

    @model_validator(mode="after")
    def _own_keys(self) -> RecipeSettings:
        self._check(self.strategy, _RECIPES)
        return self

    def build(self) -> Recipe:
        """The recipe that these settings describe."""
        recipe: Recipe = _RECIPES[self.strategy].build(**self._given())
        return recipe


def _named(value: Any) -> Any:
    return {"strategy": value} if isinstance(value, str) else value


NamedRecipe = Annotated[RecipeSettings, BeforeValidator(_named)]
