"""One split under one missing rate, as trials run on it; and the features of those that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

import torch

from benchmark.config import ExperimentFile
from benchmark.data.modalities import Modality
from benchmark.evaluation import Evaluator
from benchmark.evaluation.slices import Slice
from benchmark.experiment.judges import Judges
from benchmark.load import load_modalities
from benchmark.load.slices import build_slices
from benchmark.models.base import TrainingData, device_data
from workbench.files import fingerprint, sha256_array

HELD_BYTES = 2**31  # features held at a time; those of one fold always are


class Shelf:
    """Features and training data of the folds that were asked for last, as many as fit into `HELD_BYTES`."""

    def __init__(self) -> None:
        self._held: OrderedDict[Fold, tuple[list[Modality], TrainingData]] = OrderedDict()

    def take(self, fold: Fold) -> tuple[list[Modality], TrainingData]:
        """What a fold needs; loaded unless it is still there."""
        if fold not in self._held:
            self._held[fold] = fold.load()
        self._held.move_to_end(fold)
        while len(self._held) > 1 and sum(map(_size, self._held.values())) > HELD_BYTES:
            self._held.popitem(last=False)
        return self._held[fold]


class Fold:
    """What trials run on; see `benchmark.search.trial.Stage`.

    Parameters
    ----------
    judges : of the split.
    missing_rate : share of the items whose features are taken away.
    """

    def __init__(
        self, file: ExperimentFile, judges: Judges, missing_rate: float, device: torch.device, shelf: Shelf
    ) -> None:
        self._file, self.judges, self.dataset = file, judges, judges.dataset
        self._missing_rate, self._device, self._shelf = missing_rate, device, shelf

    @property
    def user_ids(self) -> Sequence[str]:
        """Raw ids of the users by number."""
        return self.dataset.user_ids

    @property
    def modalities(self) -> list[Modality]:
        """Features in the order of the items."""
        return self._shelf.take(self)[0]

    @property
    def data(self) -> TrainingData:
        """What every model is given."""
        return self._shelf.take(self)[1]

    @property
    def validation(self) -> Evaluator | None:
        """What chooses."""
        return self.judges.validation

    @property
    def test(self) -> Evaluator:
        return self.judges.test

    @cached_property
    def digests(self) -> dict[str, str]:
        """Modality -> hash of its features."""
        return {modality.name: modality.digest for modality in self.modalities}

    @cached_property
    def slices(self) -> list[Slice]:
        """The groups of users and items that the file asks for."""
        settings = self._file.experiment.evaluation.slices
        if settings is None:
            return []
        modalities = self.modalities if settings.modality_coverage else []
        return build_slices(settings, self.dataset, modalities, self._file.path, self.judges.raw_ids)

    @cached_property
    def slices_digest(self) -> str:
        """Hash of what the groups are, not of how they were asked for."""
        return fingerprint([[each.name, each.of, each.groups, sha256_array(each.codes)] for each in self.slices])

    def load(self) -> tuple[list[Modality], TrainingData]:
        """Read the features, and put them on the device with the training part."""
        modalities = load_modalities(self._file, self.dataset, self._missing_rate)
        dataset = self.dataset
        return modalities, device_data(dataset.n_users, dataset.n_items, dataset.train, modalities, self._device)


def _size(held: tuple[list[Modality], TrainingData]) -> int:
    return sum(modality.features.nbytes for modality in held[0])
