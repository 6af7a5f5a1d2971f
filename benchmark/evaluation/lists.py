"""What several metrics need of one ranking, computed once."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.full_ranks import FullRanks
from benchmark.evaluation.held_out import RelevantRows
from benchmark.evaluation.ranking import Ranking
from workbench.errors import UserError


class Lists:
    """A ranking (E, K) as metrics look at it.

    Parameters
    ----------
    ranking : the lists.
    catalogue : training statistics, for the metrics that need them.
    """

    def __init__(self, ranking: Ranking, catalogue: Catalogue | None = None) -> None:
        self.ranking = ranking
        self._catalogue = catalogue
        self._counts: dict[int, Tensor] = {}

    @property
    def catalogue(self) -> Catalogue:
        if self._catalogue is None:
            raise ValueError("this metric needs a catalogue")
        return self._catalogue

    @property
    def rows(self) -> RelevantRows:
        """The relevant rows."""
        if self.ranking.rows is None:
            raise ValueError("this metric needs the relevant rows")
        return self.ranking.rows

    @property
    def full(self) -> FullRanks:
        """Ranks and scores of the relevant rows.

        Raises
        ------
        UserError : there are only lists.
        """
        if self.ranking.full is None:
            raise UserError(
                "AUC, GAUC, LAUC, MAP_longest, MAE, MSE and RMSE need the scores of all candidates, and there are only "
                "lists",
                mend="leave these metrics out",
            )
        return self.ranking.full

    @property
    def relevant(self) -> Tensor:
        """(E,) int64: |R_u|."""
        return self.ranking.relevant

    @property
    def hits(self) -> Tensor:
        """(E, K) float64, 1 at hits."""
        return self.ranking.hits

    @cached_property
    def found(self) -> Tensor:
        """(E, K) float64: hits up to each rank."""
        return self.hits.long().cumsum(1).double()

    @cached_property
    def precisions(self) -> Tensor:
        """(E, K) float64: precision at each rank."""
        return self.found / self.positions

    @cached_property
    def positions(self) -> Tensor:
        """(K,) float64: 1, 2, ..."""
        return torch.arange(1, self.ranking.items.shape[1] + 1, device=self.hits.device, dtype=torch.float64)

    @cached_property
    def discounts(self) -> Tensor:
        """(K,) float64: d_r = 1 / log2(r + 1)."""
        return 1 / torch.log2(self.positions + 1)

    @cached_property
    def discounted_hits(self) -> Tensor:
        """(E, K) float64: rel_r d_r."""
        return self.hits * self.discounts

    @cached_property
    def discounted_gains(self) -> Tensor:
        """(E, K) float64: g d_r."""
        return self.gains * self.discounts

    @cached_property
    def ideal_hits(self) -> Tensor:
        """(E, K) float64: d_r up to |R_u|."""
        return (self.ranking.ideal > 0) * self.discounts

    @cached_property
    def ideal_gains(self) -> Tensor:
        """(E, K) float64: g d_r of the best possible list."""
        self._refuse_infinite()
        return self.ranking.ideal * self.discounts

    @cached_property
    def gains(self) -> Tensor:
        """(E, K) float64: g = 2^(rating - threshold + 1) - 1 at hits.

        Raises
        ------
        UserError : one is too large to be a number.
        """
        self._refuse_infinite()
        return self.ranking.gains

    def _refuse_infinite(self) -> None:
        if not self.ranking.ideal.isfinite().all():
            raise UserError(
                "the ratings are too large for graded gains, which are 2^(rating - threshold + 1) - 1",
                mend="take nDCG_binary in the place of nDCG, or say `binarize: true`",
            )

    @cached_property
    def listed(self) -> Tensor:
        """(E, K) bool: False behind the end of a list."""
        return self.ranking.items >= 0

    def lengths(self, k: int) -> Tensor:
        """(E,) int64: items of the list up to k."""
        return self.listed[:, :k].sum(1)

    @cached_property
    def items(self) -> Tensor:
        """(E, K) int64: listed items, 0 behind the end of a list."""
        return self.ranking.items.clamp(min=0)

    @cached_property
    def popularity(self) -> Tensor:
        """(E, K) float64: training rows of the listed items, 0 behind the end of a list."""
        return (self.catalogue.popularity[self.items] * self.listed).double()

    @cached_property
    def tail(self) -> Tensor:
        """(E, K) bool: items of the long tail."""
        return self.catalogue.long_tail[self.items] & self.listed

    def counts(self, k: int) -> Tensor:
        """(I,) int64: how many users have the item among their first k."""
        if k not in self._counts:
            items = self.ranking.items[:, :k][self.listed[:, :k]]
            self._counts[k] = torch.bincount(items, minlength=self.catalogue.n_items)
        return self._counts[k]

    @cached_property
    def trained(self) -> Tensor:
        """(I,) int64: how many judged users have the item in training."""
        judged = torch.zeros(self.catalogue.n_users, dtype=torch.bool, device=self.hits.device)
        judged[self.ranking.users] = True
        items = self.catalogue.items[judged[self.catalogue.users]]
        return torch.bincount(items, minlength=self.catalogue.n_items)
