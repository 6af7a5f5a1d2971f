"""Users with several concepts (MacridVAE: Ma et al., NeurIPS 2019), over items that may have several parts.

x_u: the items that u has. A part of an item (one a modality, or one in all) has a vector h_i, concept k has m_k.

    c_i. = softmax over k of cos(h_i, m_k) / tau                          to which concept a part belongs
    a_uk, l_uk = W_2 tanh(W_1^T (x_u * c_.k) + b_1) + b_2                 what u wants of concept k
    z_uk ~ N(a_uk, sigma0^2 diag(exp l_uk))                               a_uk itself when not training
    s_ui = log sum_k c_ik exp(cos(z_uk, h_i) / tau)      L_ui = s_ui - log sum_j exp(s_uj)

score(u, i) = sum over the parts p of i of w_ip L_up, the weights w of an item's parts summing to 1

loss = mean over u of [ - sum over i in x_u of score(u, i) ] + beta_t KL      beta_t = min(beta, t / T), t the step
KL   = mean over u of the sum (or mean) over k of 1/2 sum_d (exp(l) - 1 - l + a^2 / sigma0^2)

The recipes: `official` is the paper's with the choices of its authors' program, `igui` that of Align-MacridVAE's:

    key               official                         igui
    assignment        gumbel                           softmax
    normalise_input   true                             false
    normalise_mu      true                             false
    sigma0            .075                             1
    kl_reduction      sum                              mean
    T, in epochs      5                                500
    weight_decay      0                                1e-4, inside Adam's gradient

`gumbel`: in training c_i. is softmax(log c_i. + Gumbel noise). `normalise_input`: x_u * c_.k is scaled to length 1 and
dropped out for each concept by itself; otherwise x_u is dropped out before it is masked. `normalise_mu`: a_uk is scaled
to length 1, so that its term in the KL is constant and left out.

No tensor of users x concepts x items is made: W_1 is read where u has items, and log sum exp is taken in blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.base import Histories, Scorer, TrainedRecommender, TrainingData
from benchmark.models.disentanglement import item_independence, plane, user_independence
from benchmark.models.graphs.interactions import InteractionGraph
from benchmark.models.graphs.sparse import Pattern, SparseMatrix, log_sum_exp_by_row, sum_by_row
from benchmark.models.layers import unit_rows
from benchmark.models.mixture import log_mixture, log_mixture_at, log_partition
from benchmark.models.portrait import TOPS, Portrait
from benchmark.models.precision import single_or_more
from benchmark.models.recipes import AnnealedParams, Annealing
from benchmark.models.rows import UserRows, every_row, in_parts, repeated, rows_of
from workbench.files import sha256_array

_BLOCK_SCORES = 1 << 22  # log-probabilities of parts held at a time, when scoring
_BLOCK_USERS = 512
_TABLES = ("cores", "items", "drawn")  # weights of which only the directions count


class MacridParams(AnnealedParams):
    """kfac: K, concepts. dfac: d, length of a, z, h and m. hidden: length of b_1, by default 3 d. dropout: share of a
    user's entries that are left out. decay_tables: whether weight_decay reaches h and m, whose length is of no account.
    """

    RECIPES = {
        "official": {
            "assignment": "gumbel",
            "normalise_input": True,
            "normalise_mu": True,
            "sigma0": 0.075,
            "kl_reduction": "sum",
        },
        "igui": {
            "assignment": "softmax",
            "normalise_input": False,
            "normalise_mu": False,
            "sigma0": 1.0,
            "kl_reduction": "mean",
            "weight_decay": 1e-4,
        },
    }
    ANNEAL_EPOCHS = {"official": 5, "igui": 500}

    epochs: int = 50
    batch_size: int = 100
    kfac: PositiveInt = 7
    dfac: PositiveInt = 200
    hidden: PositiveInt | None = None
    tau: PositiveFloat = 0.1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    assignment: Literal["gumbel", "softmax"] = "gumbel"
    normalise_input: bool = True
    normalise_mu: bool = True
    sigma0: PositiveFloat = 0.075
    kl_reduction: Literal["sum", "mean"] = "sum"
    decay_tables: bool = True


class MacridRecommender(TrainedRecommender):
    """What the models of the family share; each makes its `items`, or says what `table`, the vectors of the parts, is.

    Weights
    -------
    cores : m (K, d).
    items : h (P I, d), where they are free.
    first : W_1 (P I, H), b_1 (H,) in `first_bias`.
    second : W_2 (2 d, H) and b_2 (2 d,), a before l.

    Attributes
    ----------
    counted : (P, I) bool, False where an item has no such part.
    annealing : gives beta_t.
    """

    params: MacridParams
    items: nn.Parameter

    def __init__(self, params: MacridParams, data: TrainingData, counted: Tensor | None = None) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.counted = torch.ones(1, data.n_items, dtype=torch.bool, device=data.device) if counted is None else counted
        parts = sha256_array(self.counted.cpu().numpy())
        self.everyone = data.derived(
            f"rows in parts {parts}", lambda: in_parts(every_row(data, data.n_items), self.counted)
        )
        hidden = params.hidden or 3 * params.dfac
        self.cores = nn.Parameter(nn.init.xavier_normal_(torch.empty(params.kfac, params.dfac)))
        linear = nn.Linear(self.counted.numel(), hidden)
        self.first, self.first_bias = nn.Parameter(linear.weight.detach().t().contiguous()), linear.bias
        self.second = nn.Linear(hidden, 2 * params.dfac)
        self.annealing = Annealing(params, len(self.sampler()))

    def table(self) -> Tensor:
        """h (P I, d), of any length."""
        return self.items

    def part_weights(self) -> Tensor:
        """w (P, I), 0 where an item has no such part."""
        return self.counted / self.counted.sum(dim=0)

    def trained_parts(self) -> Tensor:
        """(P, I) bool: the parts over which the softmax of the loss is taken."""
        return self.counted

    def undecayed(self) -> Iterable[nn.Parameter]:
        return [] if self.params.decay_tables else [each for name, each in self.named_parameters() if name in _TABLES]

    def sampler(self) -> UserRows:
        return UserRows(self.everyone)

    def loss(self, batch: Pattern) -> Tensor:
        params, n_concepts = self.params, self.params.kfac
        items = unit_rows(self.table())
        log_concepts = self._log_concepts(items)
        rows = repeated(batch, n_concepts)
        means, log_variances = self._encoded(rows, log_concepts)
        noise = torch.randn_like(means) if self.training else torch.zeros_like(means)
        drawn = means + params.sigma0 * (log_variances / 2).exp() * noise
        queries = self._queries(drawn)
        at_entries = log_mixture_at(rows, queries, items, log_concepts)
        weights = self.part_weights().flatten()[batch.columns]
        n_items = sum_by_row(batch, weights)
        there = self.trained_parts().flatten()[:, None]
        total = log_partition(queries, items, log_concepts.masked_fill(~there, -torch.inf))
        likelihood = (sum_by_row(batch, weights * at_entries) - n_items * total).mean()
        return self.annealing() * self._divergence(means, log_variances) - likelihood

    def scorer(self) -> Scorer:
        return self._scorer(self.everyone)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        return self._scorer(in_parts(every_row(histories, self.data.n_items), self.counted))

    @torch.no_grad()
    def portrait(self) -> Portrait:
        """Independence of what users want and of the items (Ma et al., section 4), and the items by concept.

        An item's concept is the one with the largest mean c of its parts; most typical of a concept are the items of
        its own that most users have for it, by c times the users.
        """
        items = unit_rows(self.table())
        log_concepts = self._log_concepts(items)
        parts = log_concepts.exp().view(*self.counted.shape, -1)
        concepts = (parts * self.part_weights()[:, :, None]).sum(dim=0)  # (I, K)
        groups = concepts.argmax(dim=1)
        typical = (concepts * InteractionGraph.of(self.data).item_degrees[:, None]).t().contiguous()  # (K, I)
        typical[groups != torch.arange(len(typical), device=groups.device)[:, None]] = -1
        best = typical.topk(min(TOPS, self.data.n_items), dim=1)
        users = self.everyone.indptr.diff().nonzero().flatten()  # who has nothing wants what all who have nothing want
        rows = (repeated(rows_of(self.everyone, some), self.params.kfac) for some in users.split(_BLOCK_USERS))
        blocks = (self._encoded(each, log_concepts)[0].transpose(0, 1) for each in rows)
        return Portrait(
            numbers={
                "user independence": user_independence(blocks),
                "item independence": item_independence(items[self.counted.flatten()]),
            },
            places=self.places(),
            groups=groups,
            tops=[of[its >= 0].tolist() for its, of in zip(best.values, best.indices, strict=True)],
        )

    def places(self) -> dict[str, Tensor]:
        """The items in two dimensions (I, 2), for the portrait."""
        return {"items": plane(unit_rows(self.table()))}

    def _scorer(self, everyone: Pattern) -> Scorer:
        items = unit_rows(self.table())
        log_concepts = self._log_concepts(items)
        shown = log_concepts.masked_fill(~self.counted.flatten()[:, None], -torch.inf)
        weights = self.part_weights()

        def score_some(users: Tensor) -> Tensor:
            rows = repeated(rows_of(everyone, users), self.params.kfac)
            found = log_mixture(self._queries(self._encoded(rows, log_concepts)[0]), items, shown)
            total = torch.logsumexp(found, dim=1, keepdim=True)
            parts = (found - total).view(len(users), *weights.shape)
            return (parts.where(self.counted, 0) * weights).sum(dim=1)

        size = max(1, _BLOCK_SCORES // len(items))
        return lambda users: torch.cat([score_some(some) for some in users.split(size)])

    def _log_concepts(self, items: Tensor) -> Tensor:
        """log c (P I, K) of vectors h of length 1; with noise in training, if so assigned."""
        with torch.autocast(items.device.type, enabled=False):  # logits reach 1 / tau
            agreement = items @ functional.normalize(self.cores).t() / self.params.tau
            if self.training and self.params.assignment == "gumbel":
                agreement = agreement - torch.empty_like(agreement).exponential_().log()
            return functional.log_softmax(agreement, dim=1)

    def _encoded(self, rows: Pattern, log_concepts: Tensor) -> tuple[Tensor, Tensor]:
        """a and l, each (K, B, d), of rows that are repeated for every concept."""
        params, n_concepts = self.params, self.params.kfac
        columns = rows.columns.view(n_concepts, -1)[0]
        log_masks = log_concepts[columns].t()  # (K, E)
        if params.normalise_input:
            log_lengths = log_sum_exp_by_row(rows, 2 * log_masks.flatten()) / 2
            values = self._dropped((log_masks.flatten() - log_lengths[rows.rows]).exp())
        else:
            values = (log_masks.exp() * self._dropped(torch.ones_like(log_masks[0]))).flatten()
        hidden = torch.tanh(SparseMatrix(rows, values) @ self.first + self.first_bias)
        n_users = rows.shape[0] // n_concepts
        means, log_variances = single_or_more(self.second(hidden)).view(n_concepts, n_users, -1).chunk(2, dim=2)
        return functional.normalize(means, dim=2) if params.normalise_mu else means, log_variances

    def _dropped(self, values: Tensor) -> Tensor:
        return functional.dropout(values, self.params.dropout, self.training)

    def _queries(self, drawn: Tensor) -> Tensor:
        """z of length 1, over tau (K, B, d)."""
        return functional.normalize(drawn, dim=2) / self.params.tau

    def _divergence(self, means: Tensor, log_variances: Tensor) -> Tensor:
        """KL."""
        terms = log_variances.exp() - 1 - log_variances
        if not self.params.normalise_mu:
            terms = terms + means.square() / self.params.sigma0**2
        of_concepts = terms.sum(dim=2).mean(dim=1) / 2  # (K,)
        return of_concepts.sum() if self.params.kl_reduction == "sum" else of_concepts.mean()
