"""What all rows of one experiment share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from benchmark.config import ExperimentFile
from benchmark.experiment.fold import Fold, Shelf
from benchmark.experiment.judges import Judges
from benchmark.experiment.rows import Row, conditions_of
from benchmark.folder import DERIVED
from benchmark.load.interactions import Splits, seeds_of
from benchmark.load.negatives import write_negatives
from benchmark.measures import Measures
from benchmark.models.base import MultimodalParams, Params, Recommender, TrainingParams, choose_modalities
from benchmark.search.executors import job_device
from benchmark.search.trial import Protocol, Trial
from benchmark.training.early_stopping import check_monitor
from benchmark.training.precision import check_precision
from workbench.config import located
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_file
from workbench.journal import Journal


class Bench:
    """The splits of an experiment under every condition, and the folder that its results go to."""

    def __init__(
        self,
        file: ExperimentFile,
        splits: Splits,
        measures: Measures,
        device: torch.device,
        folder: Path,
    ) -> None:
        self.file, self.measures, self.folder = file, measures, folder
        reporting_code()  # now: the sources may be edited while the sweep runs
        self._device = device
        self.chosen_on_test = measures.may_see_test and splits[0][0].validation is None
        shelf, files = Shelf(), [file.under_seed(seed) for seed in seeds_of(file, splits)]
        store = folder.parent.absolute() / DERIVED  # workers need not have this process's current folder
        judges = [
            [Judges(own, dataset, measures, device, self.chosen_on_test) for dataset in inner]
            for own, inner in zip(files, splits, strict=True)
        ]
        self._folds = {
            condition: [
                [Fold(own, each, condition, device, shelf, store) for each in inner]
                for own, inner in zip(files, judges, strict=True)
            ]
            for condition in conditions_of(file)
        }

    @cached_property
    def journal(self) -> Journal:
        """The journal of the results folder."""
        return Journal(self.folder / "journal.jsonl")

    def folds(self, row: Row) -> list[list[Fold]]:
        """Where a row runs, [test fold][validation fold]."""
        return self._folds[row.condition]

    @property
    def splits(self) -> list[list[Fold]]:
        """The splits, [test fold][validation fold], for whatever depends on no features."""
        return next(iter(self._folds.values()))

    @property
    def first_fold(self) -> Fold:
        """The one whose sizes are told."""
        return self.splits[0][0]

    @property
    def fingerprint(self) -> str:
        """Hash of all splits."""
        return fingerprint([[fold.judges.fingerprint for fold in inner] for inner in self.splits])

    @property
    def seed(self) -> int:
        """Of what is drawn once for the whole experiment."""
        return self.file.experiment.random_seed

    def check(self, row: Row) -> None:
        """Read what a row depends on, its features above all, so that nothing is refused after a training.

        Raises
        ------
        UserError : the model reads a modality that is not loaded, cannot recommend to users without training rows, or
            cannot be trained in the precision asked for; a part with nothing to find; groups, features or negatives
            that cannot be used.
        """
        proposed = [row.plan.params(each) for each in row.plan.proposals().batch()]
        reads = [self._modalities_of(row, params) for params in proposed]
        self._check_precision(row, proposed)
        for fold in (each for inner in self.folds(row) for each in inner):
            _ = fold.validation, fold.test, fold.slices
            if fold.judges.from_histories:
                self._check_fold_in(row)
            if fold.validation is None:
                self._check_blind_stopping(row, proposed)
            if any(reads):
                _ = fold.digests

    @property
    def fewest_negatives(self) -> int | None:
        """Sampled negatives at test of the user who has fewest, None where all items are ranked."""
        drawn = [fold.judges.negatives("test") for inner in self.splits for fold in inner]
        return min((each.fewest for each in drawn if each is not None), default=None)

    def write_negatives(self) -> None:
        """Write the sampled negatives of the test, if any, in the form of Elliot's `negative.tsv`."""
        folds = self.splits
        for test, inner in enumerate(folds):
            negatives = inner[0].judges.negatives("test")
            if negatives is not None:
                name = "negative.tsv" if len(folds) == 1 else f"negative_{test}.tsv"
                write_negatives(self.folder / name, negatives, inner[0].dataset)

    def only_fold(self, row: str) -> Fold:
        """The split, for a row that fits one only.

        Raises
        ------
        UserError : there are several.
        """
        folds = [fold for inner in self.splits for fold in inner]
        if len(folds) > 1:
            raise UserError(
                f"{row}: lists that were made elsewhere fit one split, and this experiment has {len(folds)} folds",
                where=self.file.document.where(("experiment", "models")),
                mend="judge them in an experiment of one fold",
            )
        return folds[0]

    def test_protocol(self, row: Row) -> dict[str, Any]:
        """What the test figures of a row depend on besides its trials."""
        folds = self.folds(row)
        return {
            "metrics": self.measures.identity,
            "cutoffs": self.measures.cutoffs,
            "mask": self.measures.mask,
            "length": self.measures.length,
            "candidates": [[fold.judges.drawn("test") for fold in inner] for inner in folds],
            "raw ids": self.first_fold.judges.raw_digest,  # of the lists, and of files that metrics read
            "slices": [[fold.slices_digest for fold in inner] for inner in folds],
            "code": reporting_code(),
        }

    def seeds(self, trial: Trial) -> list[int]:
        """Seeds of the replicates; a model that draws nothing has one."""
        wanted = self.file.experiment.seeds
        if wanted is None or "seed" in trial.model.without_effect:
            return [trial.params.seed]
        return [trial.params.seed + step for step in range(wanted)] if isinstance(wanted, int) else wanted

    def _check_precision(self, row: Row, proposed: Sequence[Params]) -> None:
        device = torch.device(job_device(self.file.experiment.executor, self.file.experiment.gpu))
        if device.type == "cuda" and not torch.cuda.is_available():
            return  # that of another machine
        for params in proposed:
            if isinstance(params, TrainingParams):
                with located(self.file.document, ("experiment", "models", row.plan.block.name, "precision")):
                    check_precision(params.precision, device)

    def _check_blind_stopping(self, row: Row, proposed: Sequence[Params]) -> None:
        for params in proposed:
            if isinstance(params, TrainingParams) and params.early_stopping is not None:
                at = ("experiment", "models", row.plan.block.name, "early_stopping")
                with located(self.file.document, at):
                    check_monitor(params.early_stopping, [])

    def _check_fold_in(self, row: Row) -> None:
        if row.plan.model.fold_in_scorer is Recommender.fold_in_scorer:
            raise UserError(
                f"{row.plan.name} has weights for training users only, and this split holds out whole users",
                where=self.file.document.where(("experiment", "models", row.plan.block.name)),
                mend="take it out of this experiment, or split so that every user has training rows",
            )

    def trial(self, row: Row, params: Params, fold: Fold) -> Trial:
        """A configuration of a row on one of its folds."""
        plan, measures = row.plan, self.measures
        names = self._modalities_of(row, params)
        protocol = Protocol(
            fold.judges.fingerprint,
            measures.threshold,
            "" if fold.validation is None else plan.monitor,
            plan.block.meta.validation_rate,
            job_device(self.file.experiment.executor, self.file.experiment.gpu),
            fold.judges.drawn("validation"),
            measures.digits,
            "test" if self.chosen_on_test else "validation",
        )
        features = {name: fold.digests[name] for name in names}
        raw = fold.judges.raw_digest if measures.files else None  # the ids of these files may be raw ones
        measured = fingerprint([measures.identity, measures.cutoffs, raw])
        return Trial(plan.name, plan.model, params, protocol, features, measured, fold)

    def _modalities_of(self, row: Row, params: Params) -> tuple[str, ...]:
        if not isinstance(params, MultimodalParams):
            return ()
        features = row.condition.features
        try:
            names = choose_modalities(features.modalities, params.wanted)
            params.check_modalities(names)
            return names
        except UserError as error:
            document, block, under = self.file.document, row.plan.block, ""
            key = next((key for key in block.parameters if f"`{key}`" in error.what), "modalities")
            where = document.where(("experiment", "models", block.name, key))
            if features.name:
                under = f" with the features `{features.name}` ({document.where(features.at)})"
            raise UserError(f"{row.plan.name}{under}: {error.what}", where=where, mend=error.mend) from None


@cache
def reporting_code() -> str:
    """Hash of the sources that make test figures of a ranking: a change of them opens the test part again."""
    return fingerprint([sha256_file(path) for path in sorted(Path(__file__).parent.glob("*.py"))])
