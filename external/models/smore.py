"""SMORE: modalities denoised and fused in the frequency domain (Ong and Khong, WSDM 2025).

Spectra            X_m = F_m W1_m + b1_m             Z_m = rFFT(X_m), over the F numbers of an item, orthonormal
                   Y_m = irFFT(C_m * Z_m)            Y_f = irFFT(C_f * prod_m Z_m)
Purifier           Y'_k = E_I * sigmoid(Y_k W2_k + b2_k)        k = every m, and f
User-item view     B = mean of E, A E, .. A^L E      E = [E_U; E_I]
Item-item view     V_k = S_k^K Y'_k                  H_k = [R V_k; V_k]
Preference         a_m = softmax over the F numbers of W5_m tanh(W4_m H_f + b4_m)
                   P_k = dropout(sigmoid(B W3_k + b3_k))
                   H = 1 / (|M| + 1) (sum_m P_m * a_m * H_m  +  P_f * H_f)

score(u, i) = (b_u + h_u) . (b_i + h_i)

C_k: complex filters of F // 2 + 1 numbers, N(0, 1) at first. A = D^-1/2 [[0, R'], [R'^T, 0]] D^-1/2, R' the training
part, and R its block of users and items. S_m joins an item to itself and its top_k - 1 nearest by the cosine of F_m,
which is the edge's weight, D^-1/2 . D^-1/2; S_f is the element-wise maximum of the S_m. The loss is that of
`benchmark.models.views.ViewRecommender`: BPR, squared norms, and InfoNCE between h and b of users and of items.

Any number of modalities: the product is over those that an item has (of one: its spectrum); where there is none h = 0.

Departure from the authors' code: features are frozen.

Cost an epoch: for every batch L products with A, |M| + 1 times K with an item graph and one with R, and as many back;
the projections of all items, since their users and neighbours read them, I D F a modality, which outweigh the rest for
thousands of dimensions; transforms of 2 |M| + 1 times I rows of F numbers; the two InfoNCE have B x B logits.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, fft, nn

from benchmark.models.base import TrainingData
from benchmark.models.graphs import neighbour_graph
from benchmark.models.graphs.sparse import maximum
from benchmark.models.layers import Projections
from benchmark.models.spelling import Spelled, one_a_modality
from benchmark.models.views import PurifiedViews, ViewRecommender


class SMORE(ViewRecommender):
    """E: `user_embeddings`, `item_embeddings`; W1, b1: `projections`; C: `filters` (|M| + 1, F // 2 + 1, 2), real and
    imaginary parts, the fused one last as everywhere; W2, b2: `views`; W4, b4, W5: `attention`; W3, b3: `preferences`.
    """

    class Params(ViewRecommender.Params):
        """top_k: items in a row of S_m, the item itself among them; one number, or one a modality in their order. drop:
        share of the preferences P that training leaves out."""

        n_ui_layers: PositiveInt = 4
        top_k: Annotated[PositiveInt | tuple[PositiveInt, ...], Spelled] = 10
        drop: Annotated[float, Field(ge=0, lt=1)] = 0.0

        def check_modalities(self, names: tuple[str, ...]) -> None:
            neighbourhood_sizes(names, self.top_k)

    params: Params

    def __init__(self, params: Params, data: TrainingData) -> None:
        modalities, size = data.take_modalities(params.wanted), params.factors
        super().__init__(params, data, [each.known for each in modalities.values()])
        self.projections = Projections(modalities, size)
        self.filters = nn.Parameter(torch.randn(len(modalities) + 1, size // 2 + 1, 2))
        sizes = neighbourhood_sizes(tuple(modalities), params.top_k)
        graphs = [neighbour_graph(data, each, k, "cosine") for each, k in zip(modalities.values(), sizes, strict=True)]
        self.views = PurifiedViews([*graphs, maximum(graphs)], self.interactions, size, params.n_layers)
        self.attention = nn.ModuleList(
            nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size, bias=False)) for _ in modalities
        )
        self.preferences = nn.ModuleList(nn.Linear(size, size) for _ in [*modalities, "fused"])
        self.dropout = nn.Dropout(params.drop)

    def side_views(self) -> list[Tensor]:
        return self.views(self.item_embeddings, self.denoised(self.projections()))

    def denoised(self, projected: list[Tensor]) -> list[Tensor]:
        """Y_m, then Y_f, each (I, F), of the X_m (I, F)."""
        spectra = [fft.rfft(each, norm="ortho") for each in projected]
        fused = torch.ones_like(spectra[0])
        for spectrum, known in zip(spectra, self.projections.known, strict=True):
            fused = fused * spectrum.where(known[:, None], 1)
        filters = torch.view_as_complex(self.filters)
        filtered = [row * spectrum for row, spectrum in zip(filters, [*spectra, fused], strict=True)]
        return [fft.irfft(each, n=self.params.factors, norm="ortho") for each in filtered]

    def fuse(self, behaviour: Tensor, views: list[Tensor], known: Tensor) -> Tensor:
        *single, fused = views
        weighted = [view * query(fused).softmax(-1) for query, view in zip(self.attention, single, strict=True)]
        preferences = [self.dropout(linear(behaviour).sigmoid()) for linear in self.preferences]
        return torch.stack([p * view for p, view in zip(preferences, [*weighted, fused], strict=True)]).mean(0)


def neighbourhood_sizes(names: tuple[str, ...], top_k: int | tuple[int, ...]) -> tuple[int, ...]:
    """Items in a row of each modality's graph.

    Raises
    ------
    UserError : there are more or fewer sizes than modalities.
    """
    sizes = (top_k,) * len(names) if isinstance(top_k, int) else top_k
    one_a_modality(names, "top_k", sizes, "sizes")
    return sizes
