"""AlignMacridVAE: MacridVAE over the modalities of items, aligned beforehand (Avas et al., ECIR 2024).

First the modalities are mapped into one space by what the items have in them, without interactions: z_r(i) = W_r f_r(i)
+ b_r (`benchmark/models/alignment/`). Then the formulas of `benchmark/models/macrid.py` hold, with one part a modality:

    h_(r,i) = z_r(i) at the start, m_k = the means of k-means among them; both are trained from there

score(u, i) = sum over the modalities r of i of w_ri L_u(r,i), the softmax of L being over the parts of all modalities

An item without a modality has no such part. One that lacks them all has a part of its own in the first, drawn at
random. Of one modality there is nothing to align: z are its principal components.

alignment   `contrastive` (as published), or in closed form `cca`, `procrustes`, `pca`; or a mapping with its settings
tied        h_(r,i) stays W_r f_r(i) + b_r, and W, b are trained: new items get scores by their features, and no item
            that nobody has is pushed down by the softmax of the loss
parts       w_ri: `equal` among the modalities that i has (as published), or `learned`, softmax of one weight a modality
spherical   since only directions count: k-means among vectors of length 1, and vectors that begin as short as drawn
            ones (Xavier: sqrt(2 d / (R I + d))), so that training can turn them; as published, both have any length

`recipe: igui` sets the published program's choices, of the alignment, too. Departures: every count of modalities,
masks, and pairs that count once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark.models.alignment import IGUI, AlignmentParams, align, kept_concept_cores
from benchmark.models.base import MultimodalParams, TrainingData
from benchmark.models.disentanglement import plane
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import unit_rows
from benchmark.models.macrid import MacridParams, MacridRecommender
from benchmark.models.portrait import Portrait


class AlignMacridVAE(MacridRecommender):
    """h: `items` (R I, d), or if they are tied W, b: `maps`, and `drawn` (., d) of items without features.
    Where w is learned, softmax among an item's modalities of `modality_weights` (R,)."""

    class Params(MacridParams, MultimodalParams):
        """See the module."""

        RECIPES = {
            "official": {**MacridParams.RECIPES["official"], "spherical": True},
            "igui": {**MacridParams.RECIPES["igui"], "spherical": False, "alignment": IGUI},
        }

        alignment: AlignmentParams = Field(default_factory=AlignmentParams)
        tied: bool = False
        parts: Literal["equal", "learned"] = "equal"
        spherical: bool = True

    scores_new_items = True  # where they are tied; otherwise by where their vectors began

    params: Params

    def __init__(self, params: Params, data: TrainingData) -> None:
        modalities = data.take_modalities(params.wanted)
        aligned = align(data, modalities, params.dfac, params.alignment, params.seed)
        alone = ~aligned.known.any(dim=0)
        counted = aligned.known.clone()
        counted[0] |= alone
        super().__init__(params, data, counted)
        self.names = tuple(modalities)
        self.aligned, self.alone = aligned, alone.nonzero().flatten()
        vectors = aligned.vectors[aligned.known]
        self.cores = nn.Parameter(kept_concept_cores(data, vectors, params.kfac, params.seed, params.spherical).clone())
        drawn = nn.init.xavier_normal_(torch.empty(data.n_items, params.dfac)).to(data.device)[self.alone]
        if params.tied:
            self.features = [each.values for each in modalities.values()]
            self.maps = nn.ModuleList(nn.Linear(weight.shape[1], params.dfac) for weight in aligned.weights)
            for linear, weight, bias in zip(self.maps, aligned.weights, aligned.biases, strict=True):
                linear.load_state_dict({"weight": weight, "bias": bias})
            self.drawn = nn.Parameter(drawn) if len(self.alone) else None
        else:
            start = aligned.vectors.flatten(0, 1)
            if params.spherical:
                start = unit_rows(start) * (2 * params.dfac / (len(start) + params.dfac)) ** 0.5
            self.items = nn.Parameter(start.index_copy(0, self.alone, drawn))
        if params.parts == "learned":
            self.modality_weights = nn.Parameter(torch.zeros(len(modalities)))

    def table(self) -> Tensor:
        if not self.params.tied:
            return super().table()
        mapped = torch.cat([linear(values) for linear, values in zip(self.maps, self.features, strict=True)])
        return mapped if self.drawn is None else mapped.index_copy(0, self.alone, self.drawn.to(mapped.dtype))

    def part_weights(self) -> Tensor:
        if self.params.parts == "equal":
            return super().part_weights()
        return torch.softmax(self.modality_weights[:, None].where(self.counted, -torch.inf), dim=0)

    def trained_parts(self) -> Tensor:
        if not self.params.tied:
            return self.counted
        return self.counted & (InteractionGraph.of(self.data).item_degrees > 0)

    def places(self) -> dict[str, Tensor]:
        """As they were aligned, before training."""
        vectors = torch.nn.functional.normalize(self.aligned.vectors, dim=2)
        together = vectors.new_full((*self.aligned.known.shape, 2), torch.nan)
        together[self.aligned.known] = plane(vectors[self.aligned.known])
        return {f"{name}, as aligned": placed for name, placed in zip(self.names, together, strict=True)}

    def portrait(self) -> Portrait:
        """With what alignment came to: the loss of its epochs, and how often an item is found by another modality."""
        shown = super().portrait()
        curves = {"alignment loss": self.aligned.losses} if self.aligned.losses else {}
        weights = torch.softmax(self.modality_weights, dim=0).tolist() if self.params.parts == "learned" else []
        told = {f"weight of {name}": weight for name, weight in zip(self.names, weights, strict=False)}
        return replace(shown, numbers={**told, **self.aligned.retrieval, **shown.numbers}, curves=curves)
