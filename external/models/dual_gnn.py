"""DualGNN (Wang, Wei, Yin, Wu, Song and Nie: Dual graph neural network for multimedia recommendation, TMM 2021).

For each modality m, on the graph of users and items:

    X_m = rows of [P_m; W_m f_m + b_m] divided by their lengths        H_m = X_m + A X_m + ... + A^L X_m

Users mix the modalities by weights of their own, w_u = softmax(logits of u), and then take over what the k users with
most items in common (c_uv of them) have:

    g_u = sum_m w_um h_um        e_u = g_u + sum_v a_uv g_v, a_u = softmax_v(c_uv)        e_i = sum_m h_im

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (sum over m of the mean of P_m^2 + mean of logits^2)

Departures from the authors' code: the softmax of the weights is taken where they are used and not once at the start;
one linear map of the features (of unit length) in place of two; co-occurrence is counted in the training part, and a
user with fewer than k such neighbours has those only; natural logarithm.
"""

from __future__ import annotations

from pydantic import AliasChoices, Field, PositiveInt
from torch import Tensor

from benchmark.models.base import TrainingData
from benchmark.models.encoders import DualGraphRecommender


class DualGNN(DualGraphRecommender):
    """P_m, W_m, b_m and the logits are those of `encoder`; a: `co_occurrence`."""

    class Params(DualGraphRecommender.Params):
        """n_layers: L. top_k_users: k."""

        n_layers: PositiveInt = 2
        top_k_users: PositiveInt = Field(default=40, validation_alias=AliasChoices("top_k_users", "top_k"))

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data, params.n_layers, params.top_k_users)

    def fused(self) -> tuple[Tensor, Tensor]:
        users, items = self.encoder()
        return users.sum(dim=1), items.sum(dim=1)
