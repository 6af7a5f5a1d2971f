"""One split under one condition, as trials run on it; and the features of those that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from benchmark.config import ExperimentFile, SideInformation
from benchmark.config.slices import OWN_NAMES
from benchmark.data.modalities import Modality
from benchmark.evaluation import Evaluator
from benchmark.evaluation.slices import Slice
from benchmark.experiment.judges import Judges
from benchmark.experiment.rows import Condition
from benchmark.load import load_features
from benchmark.load.slices import build_slices
from benchmark.models.base import Features, TrainingData, device_data
from benchmark.search.running import Ground
from workbench.files import fingerprint, sha256_array

HELD_BYTES = 2**31  # features held at a time; those of one fold always are

Source = tuple[Judges, SideInformation, float]  # of a table: split, loader, missing rate


@dataclass(frozen=True)
class Table:
    """The features of one loader, as they were read and on the device."""

    modality: Modality
    on_device: Features


@dataclass(frozen=True)
class Held:
    """What a fold needs: the split without features, the features, and both as models are given them."""

    split: TrainingData
    tables: list[Table]
    data: TrainingData


class Shelf:
    """What the folds need that were asked for last, as many as fit into `HELD_BYTES`.

    A table that several of them read, and a split that they have in common, is there once.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[Fold, Held] = OrderedDict()
        self._tables: WeakValueDictionary[Source, Table] = WeakValueDictionary()
        self._splits: WeakValueDictionary[Judges, TrainingData] = WeakValueDictionary()
        self._digests: dict[Source, str] = {}

    def take(self, fold: Fold) -> Held:
        """What a fold needs; loaded unless it is still there."""
        if fold not in self._held:
            self._held[fold] = self._hold(fold)
        self._held.move_to_end(fold)
        while len(self._held) > 1 and self._size() > HELD_BYTES:
            self._held.popitem(last=False)
        return self._held[fold]

    def digest(self, fold: Fold, source: Source) -> str:
        """Hash of the features of one of a fold's loaders; remembered when the features are not."""
        if source not in self._digests:
            self.take(fold)
        return self._digests[source]

    def _hold(self, fold: Fold) -> Held:
        split = self._splits.get(fold.judges)
        if split is None:
            split = self._splits[fold.judges] = fold.load_split()
        tables = []
        for source in fold.sources:
            table = self._tables.get(source)
            if table is None:
                table = self._tables[source] = fold.load_table(source[1])
                self._digests[source] = table.modality.digest
            tables.append(table)
        features = {table.modality.name: table.on_device for table in tables}
        return Held(split, tables, replace(split, features=features))

    def _size(self) -> int:
        tables = {id(table): table for held in self._held.values() for table in held.tables}
        return sum(table.modality.features.nbytes for table in tables.values())


class Fold:
    """What trials run on; see `benchmark.search.trial.Stage`.

    Parameters
    ----------
    file : under the seed of the split.
    judges : of the split.
    condition : what is read of its items.
    store : the folder of what models derive from features once for all runs.
    """

    def __init__(
        self,
        file: ExperimentFile,
        judges: Judges,
        condition: Condition,
        device: torch.device,
        shelf: Shelf,
        store: Path,
    ) -> None:
        self._file, self.judges, self.dataset = file, judges, judges.dataset
        self._condition, self._device, self._shelf, self._store = condition, device, shelf, store

    @property
    def user_ids(self) -> Sequence[str]:
        """Raw ids of the users by number."""
        return self.dataset.user_ids

    @property
    def modalities(self) -> list[Modality]:
        """Features in the order of the items."""
        return [table.modality for table in self._shelf.take(self).tables]

    @property
    def data(self) -> TrainingData:
        """What every model is given."""
        return self._shelf.take(self).data

    @property
    def validation(self) -> Evaluator | None:
        """What chooses."""
        return self.judges.validation

    @property
    def ground(self) -> Ground:
        """What trials run on."""
        return Ground(self.data, self.validation)

    @property
    def test(self) -> Evaluator:
        return self.judges.test

    @cached_property
    def sources(self) -> list[Source]:
        """The tables that it reads, one a loader."""
        rate = self._condition.missing_rate
        return [(self.judges, side, rate) for side in self._condition.features.loaders]

    @cached_property
    def digests(self) -> dict[str, str]:
        """Modality -> hash of its features; asking for it reads them."""
        return {source[1].modality: self._shelf.digest(self, source) for source in self.sources}

    @cached_property
    def slices(self) -> list[Slice]:
        """The groups of users and items that the file asks for."""
        settings = self._file.experiment.evaluation.slices
        if settings is None:
            return []
        modalities = self.modalities if settings.modality_coverage else []
        return build_slices(settings, self.dataset, modalities, self._file.path, self.judges.raw_ids)

    @property
    def item_groupings(self) -> list[Slice]:
        """Those of them that a file makes of the items, as by genre."""
        return [each for each in self.slices if each.of == "items" and each.name not in OWN_NAMES]

    @cached_property
    def slices_digest(self) -> str:
        """Hash of what the groups are, not of how they were asked for."""
        return fingerprint([[each.name, each.of, each.groups, sha256_array(each.codes)] for each in self.slices])

    def load_split(self) -> TrainingData:
        """The training part on the device, without features."""
        dataset = self.dataset
        return device_data(dataset.n_users, dataset.n_items, dataset.train, [], self._device, self._store)

    def load_table(self, side: SideInformation) -> Table:
        """Read the features of a loader, and put them on the device."""
        modality = load_features(self._file, side, self.dataset, self._condition.missing_rate)
        values, present = (torch.from_numpy(array).to(self._device) for array in (modality.features, modality.present))
        return Table(modality, Features(values, present))
