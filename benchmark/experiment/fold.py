"""One split of an experiment under one missing rate, ready for models: data on the device, judges of both parts."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.modalities import Modality
from benchmark.evaluation import Evaluator
from benchmark.evaluation.candidates import Candidates, Negatives, Part
from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.metrics import Metric, Sources, build_complex
from benchmark.evaluation.ranking import Mask, Masker
from benchmark.evaluation.slices import Slice
from benchmark.load import load_modalities
from benchmark.load.negatives import load_negatives
from benchmark.load.slices import build_slices
from benchmark.measures import Measures
from benchmark.models.base import TrainingData, device_data, device_histories


class Fold:
    """What trials run on; see `benchmark.search.trial.Stage`. Everything is loaded when it is first asked for.

    Parameters
    ----------
    dataset : the split.
    measures : what is measured.
    missing_rate : share of the items whose features are taken away.
    chosen_on_test : whether the test part chooses, as in another system's protocol.
    """

    def __init__(
        self,
        file: ExperimentFile,
        dataset: Dataset,
        measures: Measures,
        missing_rate: float,
        device: torch.device,
        chosen_on_test: bool = False,
    ) -> None:
        self._file, self.dataset, self._measures = file, dataset, measures
        self._missing_rate, self._device, self._chosen_on_test = missing_rate, device, chosen_on_test
        self._negatives: dict[Part, Negatives] = {}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the split."""
        return self.dataset.fingerprint()

    @cached_property
    def modalities(self) -> list[Modality]:
        """Features in the order of the items."""
        return load_modalities(self._file, self.dataset, self._missing_rate)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Modality -> hash of its features."""
        return {modality.name: modality.digest for modality in self.modalities}

    @cached_property
    def data(self) -> TrainingData:
        """What every model is given."""
        dataset = self.dataset
        return device_data(dataset.n_users, dataset.n_items, dataset.train, self.modalities, self._device)

    @property
    def validation(self) -> Evaluator | None:
        """What chooses: the judge of the validation part, which masks training items."""
        if self._chosen_on_test:
            return self.test
        return None if self.dataset.validation is None else self._validation

    @cached_property
    def _validation(self) -> Evaluator:
        assert self.dataset.validation is not None
        return self._judge("validation", self.dataset.validation, [self.dataset.train], self.dataset.validation_input)

    @cached_property
    def test(self) -> Evaluator:
        """The judge of the test part, which masks what `evaluation.mask` says."""
        return self._judge("test", self.dataset.test, self.masked_at_test, self.dataset.test_input)

    @property
    def shows_histories(self) -> bool:
        """Whether users without training rows are judged, from rows that they show."""
        return self.dataset.validation_input is not None or self.dataset.test_input is not None

    @property
    def masked_at_test(self) -> list[Csr]:
        """Parts whose rows are not recommended at test."""
        dataset = self.dataset
        hidden = [dataset.train, dataset.test_input]
        if self._measures.mask == "train+val":
            hidden += [dataset.validation, dataset.validation_input]
        return [part for part in hidden if part is not None]

    @cached_property
    def slices(self) -> list[Slice]:
        """The groups of users and items that the file asks for."""
        settings = self._file.experiment.evaluation.slices
        return [] if settings is None else build_slices(settings, self.dataset, self.modalities, self._file.path)

    def negatives(self, part: Part) -> Negatives | None:
        """Sampled negatives of a part, None where all items are ranked."""
        settings = self._file.experiment.negative_sampling
        if settings is not None and part not in self._negatives:
            seed = self._file.experiment.random_seed
            drawn = load_negatives(settings, self.dataset, part, self._measures.threshold, seed, self._file.path)
            self._negatives[part] = drawn
        return self._negatives.get(part)

    def candidates(self, part: Part) -> Candidates | None:
        """The sampled candidates of a part, None where all items are ranked."""
        negatives = self.negatives(part)
        if negatives is None:
            return None
        held_out = self.dataset.test if part == "test" else self.dataset.validation
        assert held_out is not None
        return Candidates(held_out, self._measures.threshold, negatives, self.dataset.n_items, self._device)

    def drawn(self, part: Part) -> str:
        """`all`, or the hash of the negatives among which a part is ranked."""
        absent = self._chosen_on_test or self.dataset.validation is None
        negatives = self.negatives("test" if absent else part)
        return "all" if negatives is None else negatives.digest()

    def release(self) -> None:
        """Give the features back; what is asked for again is loaded again."""
        for name in ("modalities", "data"):
            self.__dict__.pop(name, None)

    def _judge(self, name: Part, part: Csr, masked: list[Csr], shown: Csr | None) -> Evaluator:
        dataset, measures = self.dataset, self._measures
        hidden = masked if shown is None or any(part is shown for part in masked) else [*masked, shown]
        maskers: list[Masker] = [Mask(hidden, dataset.n_items, self._device)]
        sampled = self.candidates(name)
        maskers += [] if sampled is None else [sampled]
        return Evaluator(
            part,
            hidden,
            dataset.n_items,
            len(dataset.item_ids),
            self._metrics,
            measures.cutoffs,
            self._device,
            measures.threshold,
            measures.length,
            Catalogue.build(dataset.train, dataset.n_items, self._device),
            _All(maskers),
            None if shown is None else device_histories(shown, dataset.n_items, self._device),
        )

    @cached_property
    def _metrics(self) -> list[str | Metric]:
        dataset, given = self.dataset, self._measures
        sources = Sources(dataset.user_ids, dataset.item_ids[: dataset.n_items], self._device, self._file.path)
        return [*given.metrics, *(build_complex(settings, sources) for settings in given.complex_metrics)]


class _All:
    """What every one of several maskers hides."""

    def __init__(self, maskers: list[Masker]) -> None:
        self._maskers = maskers

    def apply(self, scores: Tensor, users: Tensor) -> None:
        for masker in self._maskers:
            masker.apply(scores, users)
