"""DRAGON (Zhou, Zhou, Zhang and Shen: Enhancing dyadic relations with homogeneous graphs for multimodal
recommendation, ECAI 2023).

For each modality m, on the graph of users and items:

    X_m = rows of [P_m; W_m f_m + b_m] divided by their lengths        H_m = X_m + A X_m + ... + A^L X_m

Modalities are concatenated, users' with weights of their own, w_u = softmax(logits of u):

    g_u = [w_u1 h_u1, .., w_uM h_uM]        g_i = [h_i1, .., h_iM]

On the graphs of users and of items, a_u = softmax over the k users with most items in common of how many these are,
S = sum_m mw_m S_m the frozen nearest-neighbour graphs of the features (as in FREEDOM; Zhou and Shen, MM 2023):

    e_u = g_u + sum_v a_uv g_v        e_i = g_i + (S^n G)_i

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (sum over m of the mean of P_m^2 + mean of logits^2)

Departures from the authors' code: the softmax of the weights is taken where they are used and not once at the start;
one linear map of the features (of unit length) in place of two; co-occurrence is counted in the training part, and a
user with fewer than k such neighbours has those only; natural logarithm.
"""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor

from benchmark.models.base import TrainingData
from benchmark.models.encoders import DualGraphRecommender
from benchmark.models.graphs.item_graph import ItemGraphParams, frozen_item_graph


class DRAGON(DualGraphRecommender):
    """P_m, W_m, b_m and the logits are those of `encoder`; a: `co_occurrence`; S: `item_graph`."""

    class Params(DualGraphRecommender.Params, ItemGraphParams):
        """n_layers: n. n_ui_layers: L. top_k_users: k."""

        n_layers: PositiveInt = 1
        n_ui_layers: PositiveInt = 2
        top_k_users: PositiveInt = 40

    params: Params

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data, params.n_ui_layers, params.top_k_users)
        self.item_graph = frozen_item_graph(data, self.modalities, params)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Both M F wide."""
        users, items = (each.flatten(1) for each in self.encoder())
        similar = items
        for _ in range(self.params.n_layers):
            similar = self.item_graph @ similar
        return users, items + similar
