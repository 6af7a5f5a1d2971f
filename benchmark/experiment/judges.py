"""The judges of one split: who is asked for what, among which candidates, with what hidden."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.raw_ids import RawIds
from benchmark.evaluation import Evaluator
from benchmark.evaluation.candidates import Candidates, Negatives, Part
from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.metrics import Metric, Sources, build_complex
from benchmark.evaluation.ranking import Mask, Masker
from benchmark.load.negatives import load_negatives
from benchmark.load.raw_ids import raw_ids_of
from benchmark.measures import Measures
from benchmark.models.base import device_histories
from workbench.files import fingerprint, sha256_file


class Judges:
    """The evaluators of the validation and the test part, each made when it is first asked for, and kept.

    Parameters
    ----------
    dataset : the split.
    measures : what is measured.
    chosen_on_test : whether the test part chooses, as in another system's protocol.
    """

    def __init__(
        self, file: ExperimentFile, dataset: Dataset, measures: Measures, device: torch.device, chosen_on_test: bool
    ) -> None:
        self._file, self.dataset, self._measures = file, dataset, measures
        self._device, self._chosen_on_test = device, chosen_on_test
        self._negatives: dict[Part, Negatives] = {}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the split."""
        return self.dataset.fingerprint()

    @cached_property
    def raw_ids(self) -> RawIds:
        """The maps behind the ids of the split, if there are any."""
        return raw_ids_of(self._file)

    @cached_property
    def raw_digest(self) -> str:
        """Hash of these maps."""
        return fingerprint([each and sha256_file(each.path) for each in (self.raw_ids.users, self.raw_ids.items)])

    @property
    def validation(self) -> Evaluator | None:
        """What chooses."""
        if self._chosen_on_test:
            return self.test
        return None if self.dataset.validation is None else self._validation

    @cached_property
    def test(self) -> Evaluator:
        return self._judge("test")

    @property
    def from_histories(self) -> bool:
        """Whether users without training rows are judged, from rows that they show."""
        return self.dataset.validation_input is not None or self.dataset.test_input is not None

    def part(self, name: Part) -> Csr:
        """The held-out rows of a part."""
        held_out = self.dataset.test if name == "test" else self.dataset.validation
        assert held_out is not None
        return held_out

    def hidden(self, name: Part) -> list[Csr]:
        """The parts whose rows are not recommended when `name` is judged."""
        dataset = self.dataset
        parts = [dataset.train, dataset.validation_input if name == "validation" else dataset.test_input]
        if name == "test" and self._measures.mask == "train+val":
            parts += [dataset.validation, dataset.validation_input]
        return [part for part in parts if part is not None]

    def negatives(self, name: Part) -> Negatives | None:
        """Sampled negatives, None where all items are ranked."""
        settings = self._file.experiment.negative_sampling
        if settings is not None and name not in self._negatives:
            seed = self._file.experiment.random_seed
            self._negatives[name] = load_negatives(
                settings, self.dataset, name, self._measures.threshold, seed, self._file.path, self.raw_ids
            )
        return self._negatives.get(name)

    def candidates(self, name: Part) -> Candidates | None:
        """The sampled candidates, None where all items are ranked."""
        negatives = self.negatives(name)
        if negatives is None:
            return None
        n_items = self.dataset.n_items
        return Candidates(self.part(name), self._measures.threshold, negatives, n_items, self._device)

    def drawn(self, name: Part) -> str:
        """`all`, or the hash of the negatives among which a part is ranked."""
        blind = self._chosen_on_test or self.dataset.validation is None
        negatives = self.negatives("test" if blind else name)
        return "all" if negatives is None else negatives.digest

    @cached_property
    def _validation(self) -> Evaluator:
        return self._judge("validation")

    def _judge(self, name: Part) -> Evaluator:
        dataset, measures = self.dataset, self._measures
        maskers: list[Masker] = [Mask(self.hidden(name), dataset.n_items, self._device)]
        sampled = self.candidates(name)
        maskers += [] if sampled is None else [sampled]
        shown = dataset.validation_input if name == "validation" else dataset.test_input
        histories = None
        if shown is not None:
            histories = device_histories(_joined(dataset.train, shown), dataset.n_items, self._device)
        return Evaluator(
            self.part(name),
            _All(maskers),
            dataset.n_items,
            len(dataset.item_ids),
            self._metrics,
            measures.cutoffs,
            self._device,
            threshold=measures.threshold,
            length=measures.length,
            catalogue=self._catalogue,
            histories=histories,
        )

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue.build(self.dataset.train, self.dataset.n_items, self._device)

    @cached_property
    def _metrics(self) -> list[str | Metric]:
        dataset, given = self.dataset, self._measures
        sources = Sources(
            dataset.user_ids, dataset.item_ids[: dataset.n_items], self._device, self._file.path, self.raw_ids
        )
        return [*given.metrics, *(build_complex(settings, sources) for settings in given.complex_metrics)]


class _All:
    """What every one of several maskers hides."""

    def __init__(self, maskers: list[Masker]) -> None:
        self._maskers = maskers

    def apply(self, scores: Tensor, users: Tensor) -> None:
        for masker in self._maskers:
            masker.apply(scores, users)


def _joined(first: Csr, second: Csr) -> Csr:
    """The rows of both: a user who trains and shows rows is known by all of them."""
    users, items = np.concatenate([first.users, second.users]), np.concatenate([first.items, second.items])
    return Csr.build(users, items, np.concatenate([first.values, second.values]), len(first.indptr) - 1)
