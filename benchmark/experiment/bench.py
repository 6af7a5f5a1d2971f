"""What all rows of one experiment share, and how a row is tuned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from benchmark.config import ExperimentFile
from benchmark.experiment.fold import Fold, Shelf
from benchmark.experiment.judges import Judges
from benchmark.experiment.rows import Row
from benchmark.load.interactions import Splits
from benchmark.load.negatives import write_negatives
from benchmark.measures import Measures
from benchmark.models.base import MultimodalParams, Params, Recommender, choose_modalities
from benchmark.search.sweep import Chosen, Sweep
from benchmark.search.trial import Protocol, Trial
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_file
from workbench.journal import Journal

Configurations = list[list[list[Trial]]]  # [test fold][configuration][validation fold]


@dataclass(frozen=True)
class Tuned:
    """A row whose configuration is chosen.

    Attributes
    ----------
    sweep : where its trials ran.
    choices : what was chosen, one a test fold.
    replicates : the chosen configuration under every seed and on every validation fold, a list a test fold.
    configurations : all that could be chosen.
    """

    row: Row
    sweep: Sweep
    choices: list[Chosen]
    replicates: list[list[Trial]]
    configurations: Configurations

    @property
    def several(self) -> bool:
        """Whether there was anything to choose."""
        return len(self.configurations[0]) > 1


class Bench:
    """The splits of an experiment under each missing rate, and the folder that its results go to."""

    def __init__(
        self,
        file: ExperimentFile,
        splits: Splits,
        measures: Measures,
        device: torch.device,
        folder: Path,
    ) -> None:
        self.file, self.measures, self.folder = file, measures, folder
        self._device = device
        self.chosen_on_test = measures.legacy is not None and splits[0][0].validation is None
        shelf = Shelf()
        judges = [
            [Judges(file, dataset, measures, device, self.chosen_on_test) for dataset in inner] for inner in splits
        ]
        self._folds = {
            rate: [[Fold(file, each, rate, device, shelf) for each in inner] for inner in judges]
            for rate in file.experiment.data_config.missing_rate
        }

    @cached_property
    def journal(self) -> Journal:
        """The journal of the results folder."""
        return Journal(self.folder / "journal.jsonl")

    def configurations(self, row: Row) -> Configurations:
        """The trials of a row.

        Raises
        ------
        UserError : the model reads a modality that is not loaded, or cannot recommend to users without training rows;
            a part with nothing to find; groups or negatives that cannot be used.
        """
        folds = self._folds[row.missing_rate]
        for fold in (each for inner in folds for each in inner):
            _ = fold.validation, fold.test, fold.slices  # what they refuse is refused before anything is trained
            if fold.judges.from_histories:
                self._check_fold_in(row)
        return [
            [[self._trial(row, params, fold) for fold in inner] for params in row.plan.candidates] for inner in folds
        ]

    def tune(self, row: Row, configurations: Configurations) -> Tuned:
        """Run the trials, choose by validation, and train what was chosen under the further seeds."""
        meta = row.plan.block.meta
        keep = meta.save_weights or self.measures.legacy == "mmrec"
        sweep = Sweep(self.folder, self.journal, keep, meta.verbose)
        choices = [sweep.run(trials) for trials in configurations]
        replicates = [
            [trial.under_seed(seed) for trial in chosen.trials for seed in self.seeds(trial)] for chosen in choices
        ]
        for trial in (trial for trials in replicates for trial in trials):
            record = sweep.record(trial, f"{row.name} seed {trial.params.seed}")
            if "failed" in record:
                raise UserError(
                    f"{row.name}: the chosen configuration gave no figure under seed {trial.params.seed} "
                    f"({record['failed']})",
                    mend="lower the learning rate",
                )
        return Tuned(row, sweep, choices, replicates, configurations)

    @property
    def fewest_negatives(self) -> int | None:
        """Sampled negatives at test of the user who has fewest, None where all items are ranked."""
        drawn = [fold.judges.negatives("test") for inner in next(iter(self._folds.values())) for fold in inner]
        return min((each.fewest for each in drawn if each is not None), default=None)

    def write_negatives(self) -> None:
        """Write the sampled negatives of the test, if any, in the form of Elliot's `negative.tsv`."""
        folds = next(iter(self._folds.values()))
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
        folds = [fold for inner in next(iter(self._folds.values())) for fold in inner]
        if len(folds) > 1:
            raise UserError(
                f"{row}: lists that were made elsewhere fit one split, and this experiment has {len(folds)} folds",
                where=self.file.document.where(("experiment", "models")),
                mend="judge them in an experiment of one fold",
            )
        return folds[0]

    def stage(self, trial: Trial) -> Fold:
        """Where a trial runs."""
        assert isinstance(trial.stage, Fold)
        return trial.stage

    def test_protocol(self, row: Row) -> dict[str, Any]:
        """What the test figures of a row depend on besides its trials."""
        folds = self._folds[row.missing_rate]
        return {
            "mask": self.measures.mask,
            "length": self.measures.length,
            "candidates": [[fold.judges.drawn("test") for fold in inner] for inner in folds],
            "slices": [[fold.slices_digest for fold in inner] for inner in folds],
            "code": reporting_code(),
        }

    def seeds(self, trial: Trial) -> list[int]:
        """Seeds of the replicates; a model that draws nothing has one."""
        wanted = self.file.experiment.seeds
        if wanted is None or "seed" in trial.model.without_effect:
            return [trial.params.seed]
        return [trial.params.seed + step for step in range(wanted)] if isinstance(wanted, int) else wanted

    def _check_fold_in(self, row: Row) -> None:
        if row.plan.model.fold_in_scorer is Recommender.fold_in_scorer:
            raise UserError(
                f"{row.plan.name} has weights for training users only, and this split holds out whole users",
                where=self.file.document.where(("experiment", "models", row.plan.block.name)),
                mend="take it out of this experiment, or split so that every user has training rows",
            )

    def _trial(self, row: Row, params: Params, fold: Fold) -> Trial:
        plan, measures = row.plan, self.measures
        names = self._modalities_of(row, params)
        protocol = Protocol(
            fold.judges.fingerprint,
            measures.identity,
            tuple(measures.cutoffs),
            measures.threshold,
            plan.monitor,
            plan.block.meta.validation_rate,
            self._device.type,
            fold.judges.drawn("validation"),
            measures.digits,
            "test" if self.chosen_on_test else "validation",
        )
        return Trial(plan.name, plan.model, params, protocol, {name: fold.digests[name] for name in names}, fold)

    def _modalities_of(self, row: Row, params: Params) -> tuple[str, ...]:
        if not isinstance(params, MultimodalParams):
            return ()
        loaded = tuple(side.modality for side in self.file.experiment.data_config.side_information)
        try:
            return choose_modalities(loaded, params.wanted)
        except UserError as error:
            where = self.file.document.where(("experiment", "models", row.plan.block.name, "modalities"))
            raise UserError(f"{row.plan.name}: {error.what}", where=where, mend=error.mend) from None


@cache
def reporting_code() -> str:
    """Hash of the sources that make test figures of a ranking: a change of them opens the test part again."""
    return fingerprint([sha256_file(path) for path in sorted(Path(__file__).parent.glob("*.py"))])
