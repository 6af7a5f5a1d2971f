"""Every trial of one model: what the journal holds is not run again, the best weights so far are kept on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from safetensors.torch import load_file, save_file

from benchmark.evaluation import Evaluator
from benchmark.models.base import Diverged, Recommender, TrainingData
from benchmark.search.journal import Journal
from benchmark.search.trial import Trial, run_trial
from workbench.console import progress
from workbench.errors import UserError
from workbench.files import atomic_file


@dataclass(frozen=True)
class Chosen:
    """The trial with the best validation value (the first among equals), its journal record, and all records."""

    trial: Trial
    record: dict[str, Any]
    records: list[dict[str, Any]]


class Sweep:
    """Runs trials one after the other inside a results folder."""

    def __init__(
        self, folder: Path, data: TrainingData, validation: Evaluator | None, keep_weights: bool, show: bool
    ) -> None:
        self._journal = Journal(folder / "journal.jsonl")
        self._checkpoints = folder / "checkpoints"
        self._data, self._validation = data, validation
        self._keep_weights, self._show = keep_weights, show

    def run(self, trials: list[Trial]) -> Chosen:
        """Run what is missing and choose.

        Raises
        ------
        UserError : no trial gave a figure.
        """
        best: tuple[float, Trial, dict[str, Any]] | None = None
        records = []
        trials = list({trial.key: trial for trial in trials}.values())  # a value that is given twice is one trial
        for number, trial in enumerate(trials, start=1):
            record = self._journal.get("trial", trial.key)
            if record is None or (
                self._keep_weights and "failed" not in record and not self._checkpoint(trial).is_file()
            ):
                record = self._run(trial, f"{trial.name} {number}/{len(trials)}")
            records.append(record)
            if "failed" in record:
                continue
            value = record["validation"].get(trial.protocol.monitor, 0.0)
            if best is None or value > best[0]:
                self._drop(best[1] if best else None)
                best = (value, trial, record)
            else:
                self._drop(trial)
        if best is None:
            raise UserError(
                f"{trials[0].name}: none of {len(trials)} configurations gave a figure ({records[-1]['failed']})",
                mend="lower the learning rate",
            )
        return Chosen(best[1], best[2], records)

    def restore(self, trial: Trial) -> Recommender:
        """The trained model of a trial, from its checkpoint; one that was removed is made again."""
        if not self._checkpoint(trial).is_file():
            logger.info("{}: its weights were removed; the same configuration is trained again", trial.name)
            self._run(trial, trial.name)
        model = trial.build(self._data)
        model.load_state_dict(load_file(self._checkpoint(trial), device=str(self._data.device)))
        return model

    @property
    def journal(self) -> Journal:
        return self._journal

    def _run(self, trial: Trial, label: str) -> dict[str, Any]:
        epochs = getattr(trial.params, "epochs", 1)
        with progress(epochs, label, "epoch", self._show) as bar:

            def report(epoch: int, loss: float, value: float | None) -> None:
                bar.update()
                if value is not None:
                    bar.set_postfix_str(f"loss {loss:.4f}, {trial.protocol.monitor} {value:.4f}")

            try:
                outcome = run_trial(trial, self._data, self._validation, report)
            except Diverged as error:
                logger.warning("{}: {}; recorded, the sweep goes on", label, error)
                params = trial.params.model_dump(mode="json")
                failure = {"model": trial.name, "params": params, "failed": str(error)}
                return self._journal.append("trial", trial.key, failure)
        with atomic_file(self._checkpoint(trial)) as temporary:
            save_file({name: value.contiguous() for name, value in outcome.state.items()}, temporary)
        return self._journal.append("trial", trial.key, outcome.record)

    def _checkpoint(self, trial: Trial) -> Path:
        return self._checkpoints / f"{trial.key}.safetensors"

    def _drop(self, trial: Trial | None) -> None:
        if trial is not None and not self._keep_weights:
            self._checkpoint(trial).unlink(missing_ok=True)
