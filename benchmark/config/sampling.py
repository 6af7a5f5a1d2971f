"""Elliot's `negative_sampling` block: each user's relevant items are ranked among some others, not among all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from benchmark.data.raw_ids import Numbering
from workbench.config import Settings, as_list


class NegativeSampling(Settings):
    """Where a user's negatives come from.

    strategy : `random` draws `num_items` of them a user; `fixed` reads `files`: the test part's, then the validation
        part's; one file serves both.
    ids : whether the files are under the ids of the parts or under the raw ids behind `*_indexed.tsv`, where their ids
        do not tell.
    """

    strategy: Literal["random", "fixed"]
    num_items: PositiveInt | None = None
    files: Annotated[Annotated[list[str], Field(min_length=1, max_length=2)] | None, BeforeValidator(as_list)] = None
    ids: Numbering | None = None

    @model_validator(mode="after")
    def _own_key(self) -> NegativeSampling:
        own = {"random": "num_items", "fixed": "files"}[self.strategy]
        given = [key for key in ("num_items", "files") if getattr(self, key) is not None]
        if given != [own]:
            raise ValueError(f"{self.strategy} takes {own}, given: {', '.join(given) or 'none'}")
        if self.ids is not None and self.files is None:
            raise ValueError("`ids` says under which ids `files` are, and random reads none")
        return self

    def file_for(self, part: Literal["validation", "test"]) -> str:
        """The file of the strategy `fixed` that holds the negatives of a part."""
        assert self.files is not None
        return self.files[0] if part == "test" else self.files[-1]

    def label(self, seeds: Sequence[int], fewest: int | None = None) -> str:
        """What every table and record says of the candidates; `fewest`: what a user has at least, where known."""
        if self.strategy == "random":
            short = "" if fewest is None or fewest >= (self.num_items or 0) else f" (fewest: {fewest})"
            drawn = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
            return f"sampled candidates: {self.num_items} random negatives a user{short}, {drawn}"
        assert self.files is not None
        return f"sampled candidates: negatives of {' and '.join(self.files)}"

    @property
    def suffix(self) -> str:
        """What follows a metric's name in a heading, so that no sampled figure passes for one of the full ranking."""
        return f"({self.num_items} neg.)" if self.strategy == "random" else "(fixed neg.)"
