"""UserKNN: what users like this one have (Herlocker et al., SIGIR 1999).

score(u, i) = sum over v in N(u) that have i of sim(u, v)

N(u): the `neighbors` users nearest to u by the items that they have in common; equal similarities: the lower number.
Similarities, weighting and shrink: benchmark/models/similarities.py.

Departure from the paper: the sum is not divided by that of all similarities of N(u), as usual for binary data.
"""

from __future__ import annotations

from benchmark.models.base import Histories, Recommender, Scorer, TrainingData
from benchmark.models.profiles import interactions, linear_scorer
from benchmark.models.similarities import WITHOUT_EFFECT, Neighbourhood, NeighbourParams


class UserKNN(Recommender):
    """`neighbours` (U, U) sparse: entry (u, v) is sim(u, v) for v in N(u)."""

    Params = NeighbourParams
    without_effect = WITHOUT_EFFECT

    def __init__(self, params: NeighbourParams, data: TrainingData) -> None:
        super().__init__()
        self.params = params
        self.data = data
        self._interactions = interactions(data, data.n_items)
        self._users = Neighbourhood(self._interactions, params)
        self.neighbours = self._users.nearest()

    def scorer(self) -> Scorer:
        return linear_scorer(self.neighbours, self._interactions, self.data.device)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        """The neighbours of users without training rows are training users."""
        neighbours = self._users.nearest(interactions(histories, self.data.n_items))
        return linear_scorer(neighbours, self._interactions, self.data.device)
