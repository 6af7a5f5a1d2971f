"""Every configuration of one model: what the journal holds is not run again, the best weights so far stay on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from safetensors.torch import load_file, save_file

from benchmark.evaluation.per_user import write_per_user
from benchmark.models.base import Diverged, Recommender
from benchmark.search.trial import Trial, run_trial
from workbench.console import progress
from workbench.errors import UserError
from workbench.files import atomic_file
from workbench.journal import Journal


@dataclass(frozen=True)
class Chosen:
    """The configuration with the best validation value (its mean over validation folds), the first among equals.

    Attributes
    ----------
    trials : its trials, one a validation fold; `records`: what the journal says of them.
    configurations : the records of every configuration that was tried.
    """

    trials: list[Trial]
    records: list[dict[str, Any]]
    configurations: list[list[dict[str, Any]]]

    def validation(self, monitor: str) -> float | None:
        """Mean validation value of the chosen trials, None without validation."""
        return _mean_value(self.records, monitor)


class Sweep:
    """Runs trials one after the other inside a results folder."""

    def __init__(self, folder: Path, journal: Journal, keep_weights: bool, show: bool) -> None:
        self._journal = journal
        self._checkpoints, self._per_user = folder / "checkpoints", folder / "trials"
        self._keep_weights, self._show = keep_weights, show

    def run(self, configurations: Sequence[Sequence[Trial]]) -> Chosen:
        """Run what is missing and choose.

        Parameters
        ----------
        configurations : the trials of each configuration, one a validation fold.

        Raises
        ------
        UserError : no configuration gave a figure in all of its trials.
        """
        best: tuple[float, Sequence[Trial], list[dict[str, Any]]] | None = None
        # a value that is given twice is one configuration
        configurations = list({tuple(trial.key for trial in trials): trials for trials in configurations}.values())
        everything: list[list[dict[str, Any]]] = []
        for number, trials in enumerate(configurations, start=1):
            label = f"{trials[0].name} {number}/{len(configurations)}"
            folds = [f" fold {fold}" for fold in range(len(trials))] if len(trials) > 1 else [""]
            records = [self.record(trial, label + fold) for trial, fold in zip(trials, folds, strict=True)]
            everything.append(records)
            if any("failed" in record for record in records):
                continue
            value = _mean_value(records, trials[0].protocol.monitor) or 0.0
            if best is None or value > best[0]:
                self._drop(best[1] if best else [])
                best = (value, trials, records)
            else:
                self._drop(trials)
        if best is None:
            reason = next(record["failed"] for record in everything[-1] if "failed" in record)
            raise UserError(
                f"{configurations[0][0].name}: none of {len(configurations)} configurations gave a figure ({reason})",
                mend="lower the learning rate",
            )
        return Chosen(list(best[1]), best[2], everything)

    def record(self, trial: Trial, label: str) -> dict[str, Any]:
        """What the journal says of a trial; it is run if the journal says nothing."""
        record = self._journal.get("trial", trial.key)
        weights_lost = self._keep_weights and not self._checkpoint(trial).is_file()
        if record is None or (weights_lost and "failed" not in record):
            return self._run(trial, label)
        return record

    def restore(self, trial: Trial) -> Recommender:
        """The trained model of a trial, from its checkpoint; one that was removed is made again."""
        if not self._checkpoint(trial).is_file():
            logger.info("{}: its weights were removed; the same configuration is trained again", trial.name)
            self._run(trial, trial.name)
        model = trial.build()
        model.load_state_dict(load_file(self._checkpoint(trial), device=str(trial.stage.data.device)))
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
                outcome = run_trial(trial, report)
            except Diverged as error:
                logger.warning("{}: {}; recorded, the sweep goes on", label, error)
                params = trial.params.model_dump(mode="json")
                failure = {"model": trial.name, "params": params, "failed": str(error)}
                return self._journal.append("trial", trial.key, failure)
        with atomic_file(self._checkpoint(trial)) as temporary:
            save_file({name: value.contiguous() for name, value in outcome.state.items()}, temporary)
        if outcome.per_user:
            self._write_per_user(trial, outcome.per_user)
        return self._journal.append("trial", trial.key, outcome.record)

    def _write_per_user(self, trial: Trial, values: dict[str, np.ndarray]) -> None:
        assert trial.stage.validation is not None
        numbers = trial.stage.validation.held_out.users.tolist()
        users = np.array([trial.stage.user_ids[number] for number in numbers], dtype=object)
        write_per_user(self._per_user / f"{trial.key}.npz", users, {name: row[None] for name, row in values.items()})

    def _checkpoint(self, trial: Trial) -> Path:
        return self._checkpoints / f"{trial.key}.safetensors"

    def _drop(self, trials: Sequence[Trial]) -> None:
        for trial in trials if not self._keep_weights else ():
            self._checkpoint(trial).unlink(missing_ok=True)


def _mean_value(records: Sequence[dict[str, Any]], monitor: str) -> float | None:
    values = [record["validation"].get(monitor) for record in records]
    return None if None in values else float(sum(values) / len(values))
