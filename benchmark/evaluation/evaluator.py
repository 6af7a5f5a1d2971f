"""One held-out part, judged again and again: what does not depend on the model is prepared once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.held_out import HeldOut
from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics import METRICS, Metric
from benchmark.evaluation.ranking import Mask, Masker, Ranking, rank
from benchmark.models.base import Histories, Recommender
from workbench.errors import UserError


@dataclass(frozen=True)
class Measured:
    """Figures of one ranking under `Metric@k`.

    Attributes
    ----------
    per_user : (E,) float64, of the metrics that have a value for every judged user.
    system : of the others.
    means : of all in the order of cutoffs and metrics: means over the judged users, and the numbers of the system.
    """

    per_user: dict[str, Tensor]
    system: dict[str, float]
    means: dict[str, float]


class Evaluator:
    """Full-ranking evaluation.

    Parameters
    ----------
    part : the rows to find, CSR.
    masked : parts whose items are not recommended again, or what else decides, such as a sample of candidates.
    n_items : number of candidates; `n_ids`: of item numbers in `part`.
    metrics, cutoffs : what is measured; registered names, or metrics that were built from their arguments.
    threshold : least rating of a relevant row.
    length : length of the lists, at least the largest cutoff.
    catalogue : training statistics, which metrics of popularity, novelty and diversity need.
    histories : what is known of users without training rows, if it is them who are judged.
    """

    def __init__(
        self,
        part: Csr,
        masked: Sequence[Csr] | Masker,
        n_items: int,
        n_ids: int,
        metrics: Sequence[str | Metric],
        cutoffs: Sequence[int],
        device: torch.device,
        threshold: float = 0.0,
        length: int | None = None,
        catalogue: Catalogue | None = None,
        histories: Histories | None = None,
    ) -> None:
        self.metrics = [METRICS[each] if isinstance(each, str) else each for each in metrics]
        self.cutoffs = list(cutoffs)
        needs = frozenset[str]().union(*(metric.needs for metric in self.metrics))
        if "catalogue" in needs and catalogue is None:
            wanting = [metric.name for metric in self.metrics if "catalogue" in metric.needs]
            raise ValueError(f"a catalogue is needed for {', '.join(wanting)}")
        self._full = "full" in needs
        self._catalogue = catalogue
        self._histories = histories
        self._n_items = n_items
        self._length = length or max(cutoffs)
        self._shrink = 1
        self._mask = Mask(masked, n_items, device) if isinstance(masked, Sequence) else masked
        self.held_out = HeldOut(part, n_ids, threshold, self._length, device)
        if len(self.held_out.users) == 0:
            raise UserError(
                f"no held-out row has a rating of at least {threshold:g}: there is nothing to find",
                mend="lower `relevance_threshold`",
            )

    def with_smaller_blocks(self) -> Evaluator:
        """The same, with half the scores held at a time."""
        smaller = copy.copy(self)
        smaller._shrink *= 2
        return smaller

    @torch.inference_mode()
    def rank(self, model: Recommender) -> Ranking:
        """Lists of all judged users under the model's present weights."""
        training = model.training
        model.eval()
        try:
            scorer = model.scorer() if self._histories is None else model.fold_in_scorer(self._histories)
            return rank(scorer, self.held_out, self._mask, self._length, self._n_items, self._full, self._shrink)
        finally:
            model.train(training)

    @torch.inference_mode()
    def measure(self, ranking: Ranking) -> Measured:
        """Every metric at every cutoff."""
        return self._measure(ranking, self.metrics)

    @torch.inference_mode()
    def per_user(self, ranking: Ranking) -> dict[str, Tensor]:
        """`Metric@k` -> (E,) float64, for every metric that has a value for every user, at every cutoff.

        The other metrics are not computed.
        """
        return self._measure(ranking, [metric for metric in self.metrics if metric.per_user]).per_user

    def means(self, model: Recommender) -> dict[str, float]:
        """`Metric@k` -> mean over the judged users, or the number of the system."""
        return self.measure(self.rank(model)).means

    def _measure(self, ranking: Ranking, metrics: list[Metric]) -> Measured:
        lists = Lists(ranking, self._catalogue)
        measured = Measured({}, {}, {})
        for k in self.cutoffs:
            for metric in metrics:
                value = metric.formula(lists, k)
                if isinstance(value, Tensor):
                    measured.per_user[f"{metric.name}@{k}"] = value
                    measured.means[f"{metric.name}@{k}"] = float(value.mean())
                    continue
                numbers = value if isinstance(value, dict) else {metric.name: value}
                found = {f"{label}@{k}": number for label, number in numbers.items()}
                measured.system.update(found)
                measured.means.update(found)
        return measured
