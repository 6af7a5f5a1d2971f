"""ItemKNN: items like those that the user has (Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004).

score(u, i) = sum over j in N(i) that u has of sim(i, j)

N(i): the `neighbors` items nearest to i by the users that they have in common; equal similarities: the lower number.
Similarities, weighting and shrink: benchmark/models/similarities.py. The user's own items count 1 each, however the
similarities are weighted.

Departure from the papers: the sum is not divided by that of all similarities of N(i), as usual for binary data.
"""

from __future__ import annotations

from benchmark.models.base import TrainingData
from benchmark.models.profiles import ItemWeights
from benchmark.models.similarities import WITHOUT_EFFECT, Neighbourhood, NeighbourParams


class ItemKNN(ItemWeights):
    """`weights` (I, I) sparse: entry (j, i) is sim(i, j) for j in N(i)."""

    Params = NeighbourParams
    without_effect = WITHOUT_EFFECT

    def __init__(self, params: NeighbourParams, data: TrainingData) -> None:
        super().__init__(params, data)
        self.weights = Neighbourhood(self.interactions.T.tocsr(), params).nearest().T.tocsr()
