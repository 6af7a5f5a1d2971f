"""One held-out part, judged again and again: what does not depend on the model is prepared once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.ranking import HeldOut, Mask, Ranking, rank
from benchmark.models.base import Recommender
from workbench.errors import UserError


class Evaluator:
    """Full-ranking evaluation.

    Parameters
    ----------
    part : the rows to find, CSR.
    masked : parts whose items are not recommended again.
    n_items : number of candidates; `n_ids`: of item numbers in `part`.
    metrics, cutoffs : what is measured; names as registered.
    threshold : least rating of a relevant row.
    length : length of the lists, at least the largest cutoff.
    """

    def __init__(
        self,
        part: Csr,
        masked: Sequence[Csr],
        n_items: int,
        n_ids: int,
        metrics: Sequence[str],
        cutoffs: Sequence[int],
        device: torch.device,
        threshold: float = 0.0,
        length: int | None = None,
    ) -> None:
        self.metrics, self.cutoffs = list(metrics), list(cutoffs)
        self._n_items = n_items
        self._length = length or max(cutoffs)
        self._held_out = HeldOut(part, n_ids, threshold, self._length, device)
        self._mask = Mask(masked, n_items, device)
        if len(self._held_out.users) == 0:
            raise UserError(
                f"no held-out row has a rating of at least {threshold:g}: there is nothing to find",
                mend="lower `relevance_threshold`",
            )

    @torch.inference_mode()
    def rank(self, model: Recommender) -> Ranking:
        """Lists of all judged users under the model's present weights."""
        training = model.training
        model.eval()
        try:
            return rank(model.scorer(), self._held_out, self._mask, self._length, self._n_items)
        finally:
            model.train(training)

    def per_user(self, ranking: Ranking) -> dict[str, Tensor]:
        """`Metric@k` -> (E,) float64, for every metric at every cutoff."""
        return {f"{name}@{k}": METRICS[name](ranking, k) for k in self.cutoffs for name in self.metrics}

    def means(self, model: Recommender) -> dict[str, float]:
        """`Metric@k` -> mean over the judged users."""
        return {name: float(values.mean()) for name, values in self.per_user(self.rank(model)).items()}
