"""MGCN: purified item views beside the user-item view, fused by behaviour (Yu et al., ACM Multimedia 2023).

Purifier           X_m = F_m W1_m + b1_m             X'_m = E_I * sigmoid(X_m W2_m + b2_m)
User-item view     B = mean of E, A E, .. A^L E      E = [E_U; E_I]
Item-item view     V_m = S_m^K X'_m                  H_m = [R V_m; V_m]
Fuser              a_m = softmax over m of q . tanh(H_m W4 + b4)        H_s = sum_m a_m H_m
                   P_m = sigmoid(B W3_m + b3_m)      H = H_s + 1/|M| sum_m P_m * (H_m - H_s)

score(u, i) = (b_u + h_u) . (b_i + h_i)

A = D^-1/2 [[0, R'], [R'^T, 0]] D^-1/2, R' the training part, and R its block of users and items. S_m joins an item to
itself and its top_k - 1 nearest by the cosine of F_m, which is the edge's weight, D^-1/2 . D^-1/2. The loss is that of
`benchmark.models.views.ViewRecommender`: BPR, squared norms, and InfoNCE between h and b of users and of items.

Any number of modalities: sums over m are of those that an item has, or some item of a user; where there is none h = 0.
Of a single modality H = H_s = H_m, and q, W3, W4 do not exist.

Departures from the authors' code: features are frozen; H is divided as above, where all of it is divided by |M| + 1.

Cost an epoch: for every batch L products with A, K a modality with S_m and one with R, and as many back; the
projections of all items, since their users and neighbours read them, I D F a modality, which outweigh the rest for
thousands of dimensions; the two InfoNCE have B x B logits.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from benchmark.models.base import TrainingData
from benchmark.models.graphs import neighbour_graph
from benchmark.models.layers import Projections
from benchmark.models.views import PurifiedViews, ViewRecommender


class MGCN(ViewRecommender):
    """E: `user_embeddings`, `item_embeddings`; W1, b1: `projections`; W2, b2: `views`; q, W4, b4: `attention`; W3, b3:
    `preferences`."""

    class Params(ViewRecommender.Params):
        """top_k: items in a row of S_m, the item itself among them."""

        top_k: PositiveInt = 10

    def __init__(self, params: Params, data: TrainingData) -> None:
        modalities, size = data.take_modalities(params.wanted), params.factors
        super().__init__(params, data, [each.known for each in modalities.values()])
        self.projections = Projections(modalities, size)
        graphs = [neighbour_graph(data, each, params.top_k, "cosine") for each in modalities.values()]
        self.views = PurifiedViews(graphs, self.interactions, size, params.n_layers)
        if len(modalities) > 1:
            self.attention = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
            self.preferences = nn.ModuleList(nn.Linear(size, size) for _ in modalities)

    def side_views(self) -> list[Tensor]:
        return self.views(self.item_embeddings, self.projections())

    def fuse(self, behaviour: Tensor, views: list[Tensor], known: Tensor) -> Tensor:
        if len(views) == 1:
            return views[0]
        view = torch.stack(views, dim=1)
        attention = self.attention(view).squeeze(-1)
        weights = attention.masked_fill(~known, torch.finfo(attention.dtype).min).softmax(dim=1)
        shared = (weights[:, :, None] * view).sum(1)
        specific = (view - shared[:, None]) * known[:, :, None]
        preferences = torch.stack([linear(behaviour).sigmoid() for linear in self.preferences], dim=1)
        return shared + (preferences * specific).mean(1)
