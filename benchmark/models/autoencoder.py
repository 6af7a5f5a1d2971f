"""Autoencoders of user rows with a multinomial likelihood (Liang et al., WWW 2018).

x_u: user u's row of ones and zeros. e_u: the last layer of tanh layers over the dropped-out row.

score(u, i) = log softmax over the items of f(e_u)_i        f: the same layers in reverse, the last without tanh

loss = mean over u of - sum over i in x_u of score(u, i), and what the model adds
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.base import Histories, Scorer, TrainedRecommender, TrainingData
from benchmark.models.graphs.sparse import Pattern, SparseMatrix
from benchmark.models.precision import single_or_more
from benchmark.models.recipes import RecipeParams
from benchmark.models.rows import UserRows, every_row, rows_of


class AutoencoderParams(RecipeParams):
    """dfac: length of the code. hidden: of the layer on either side of it, by default 3 dfac, 0 for none. dropout:
    share of a user's entries that are left out. normalise_input: whether a row is scaled to length 1."""

    epochs: int = 50
    batch_size: int = 100
    dfac: PositiveInt = 200
    hidden: NonNegativeInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    normalise_input: bool = True


class RowAutoencoder(TrainedRecommender):
    """The encoder, which is read where a user has items, and the decoder.

    Weights
    -------
    first, first_bias : of the first layer, (I, H) and (H,), or (I, C) and (C,) without a hidden one.
    second : of the second layer, from H to C; nothing without a hidden one.
    decoder : from d over H to I.
    """

    params: AutoencoderParams

    def __init__(self, params: AutoencoderParams, data: TrainingData, code: int) -> None:
        """`code` : C, values that the encoder gives."""
        super().__init__()
        self.params, self.data = params, data
        self.everyone = every_row(data, data.n_items)
        hidden = 3 * params.dfac if params.hidden is None else params.hidden
        linear = nn.Linear(data.n_items, hidden or code)
        self.first, self.first_bias = nn.Parameter(linear.weight.detach().t().contiguous()), linear.bias
        self.second = nn.Sequential(nn.Tanh(), nn.Linear(hidden, code)) if hidden else nn.Identity()
        widened = [nn.Linear(params.dfac, hidden), nn.Tanh()] if hidden else []
        self.decoder = nn.Sequential(*widened, nn.Linear(hidden or params.dfac, data.n_items))

    def code(self, encoded: Tensor) -> Tensor:
        """What is decoded (B, d), without noise, of what the encoder gives (B, C)."""
        raise NotImplementedError

    def sampler(self) -> UserRows:
        return UserRows(self.everyone)

    def encoded(self, rows: Pattern) -> Tensor:
        """(B, C)."""
        values = torch.ones(len(rows.columns), device=rows.columns.device)
        if self.params.normalise_input:
            values = values * rows.indptr.diff()[rows.rows].rsqrt()
        values = functional.dropout(values, self.params.dropout, self.training)
        found: Tensor = self.second(SparseMatrix(rows, values) @ self.first + self.first_bias)
        return single_or_more(found)

    def decoded(self, code: Tensor) -> Tensor:
        """Scores (B, I)."""
        return functional.log_softmax(single_or_more(self.decoder(code)), dim=1)

    def reconstruction(self, rows: Pattern, code: Tensor) -> Tensor:
        """Mean over the rows of minus the score of all their items."""
        return -self.decoded(code)[rows.rows, rows.columns].sum() / rows.shape[0]

    def scorer(self) -> Scorer:
        return lambda users: self.decoded(self.code(self.encoded(rows_of(self.everyone, users))))

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        shown = every_row(histories, self.data.n_items)
        return lambda users: self.decoded(self.code(self.encoded(rows_of(shown, users))))
