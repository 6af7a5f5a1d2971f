"""`run_experiment.py`: an experiment file -> a table.

Everything in the file is checked before anything is loaded; every model is tuned on validation; only then is the test
part opened, once for each chosen configuration.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from loguru import logger

from benchmark.config import ExperimentFile, read_experiment_config
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.modalities import Modality
from benchmark.evaluation import Evaluator
from benchmark.load import load_dataset, load_modalities
from benchmark.models.base import MultimodalParams, Params, TrainingData, device_data
from benchmark.plan import Plan, plan_metrics, plan_models
from benchmark.reports.files import ModelResult, write_lists, write_per_user, write_results
from benchmark.reports.significance import compare_models
from benchmark.reports.terminal import render
from benchmark.search.sweep import Chosen, Sweep
from benchmark.search.trial import Protocol, Trial
from workbench.console import show
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_file
from workbench.runtime import pick_device

RESULTS = Path("results")


def run_experiment(path: str | Path) -> Path:
    """Run an experiment file and print its table; returns the results folder.

    What the folder's journal already holds for the same configuration, data and code is not run again.
    """
    file = read_experiment_config(path)
    metrics = plan_metrics(file)
    plans = plan_models(file, metrics)
    dataset = load_dataset(file)
    _guard(file, plans, dataset)
    modalities = load_modalities(file, dataset)
    device = pick_device(file.experiment.gpu)
    data = device_data(dataset.n_users, dataset.n_items, dataset.train, modalities, device)
    folder = RESULTS / file.experiment.dataset / Path(path).stem
    bench = _Bench(file, dataset, metrics, modalities, data, folder)
    sweeps = [bench.trials(plan) for plan in plans]  # a model that asks for an absent modality stops here
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.document.path, folder / "config.yml")

    chosen = [bench.tune(plan, trials) for plan, trials in zip(plans, sweeps, strict=True)]
    results = [bench.open_test(plan, *choice) for plan, choice in zip(plans, chosen, strict=True)]
    write_results(folder, file, dataset, results)
    comparisons = compare_models(folder, results, file.experiment.evaluation.tests)
    show(render(file, dataset, metrics, results, comparisons))
    return folder


class _Bench:
    """What all models of one experiment share: data on the device, the judges of both held-out parts, the folder."""

    def __init__(
        self,
        file: ExperimentFile,
        dataset: Dataset,
        metrics: list[str],
        modalities: list[Modality],
        data: TrainingData,
        folder: Path,
    ) -> None:
        self._file, self._experiment = file, file.experiment
        self._dataset, self._metrics, self._data, self._folder = dataset, metrics, data, folder
        self._digests = {modality.name: modality.digest for modality in modalities}
        self._data_fingerprint = dataset.fingerprint()
        self._validation = None if dataset.validation is None else self._judge(dataset.validation, [dataset.train])
        self._test: Evaluator | None = None

    def trials(self, plan: Plan) -> list[Trial]:
        """The trials of a model."""
        evaluation = self._experiment.evaluation
        protocol = Protocol(
            self._data_fingerprint,
            tuple(self._metrics),
            tuple(self._experiment.cutoffs),
            evaluation.relevance_threshold,
            plan.monitor,
            plan.block.meta.validation_rate,
            self._data.device.type,
        )
        trials = []
        for params in plan.candidates:
            digests = {name: self._digests[name] for name in self._modalities_of(plan, params)}
            trials.append(Trial(plan.name, plan.model, params, protocol, digests))
        return trials

    def _modalities_of(self, plan: Plan, params: Params) -> list[str]:
        if not isinstance(params, MultimodalParams):
            return []
        try:
            return list(self._data.take_modalities(params.wanted))
        except UserError as error:
            where = self._file.document.where(("experiment", "models", plan.block.name, "modalities"))
            raise UserError(f"{plan.name}: {error.what}", where=where, mend=error.mend) from None

    def tune(self, plan: Plan, trials: list[Trial]) -> tuple[Sweep, Chosen]:
        """Run the trials and choose by validation."""
        meta = plan.block.meta
        sweep = Sweep(self._folder, self._data, self._validation, meta.save_weights, meta.verbose)
        return sweep, sweep.run(trials)

    def open_test(self, plan: Plan, sweep: Sweep, choice: Chosen) -> ModelResult:
        """Test figures of the chosen trial: from the journal, or by opening the test part for it."""
        files = {"per_user": self._folder / "per_user" / f"{plan.name}.npz"}
        if plan.block.meta.save_recs:
            files["recs"] = self._folder / "recs" / f"{plan.name}.tsv"
        mask = self._experiment.evaluation.mask
        key = fingerprint([choice.trial.key, mask, self._experiment.top_k])
        record = sweep.journal.get("test", key)
        if record is None or not _as_written(files, record):
            judge = self._test_judge()
            ranking = judge.rank(sweep.restore(choice.trial))
            per_user = judge.per_user(ranking)
            write_per_user(files["per_user"], ranking, per_user, self._dataset)
            if "recs" in files:
                write_lists(files["recs"], ranking, self._dataset)
            test = {name: float(values.mean()) for name, values in per_user.items()}
            hashes = {name: sha256_file(path) for name, path in files.items()}
            record = {"trial": choice.trial.key, "mask": mask, "test": test, "users": len(ranking.users)}
            record["sha256"] = hashes
            sweep.journal.append("test", key, record)
        return ModelResult(plan.name, plan.varied, plan.monitor, choice, record["test"], record["users"])

    def _test_judge(self) -> Evaluator:
        if self._test is None:
            masked = [self._dataset.train]
            if self._experiment.evaluation.mask == "train+val" and self._dataset.validation is not None:
                masked.append(self._dataset.validation)
            self._test = self._judge(self._dataset.test, masked)
        return self._test

    def _judge(self, part: Csr, masked: list[Csr]) -> Evaluator:
        return Evaluator(
            part,
            masked,
            self._dataset.n_items,
            len(self._dataset.item_ids),
            self._metrics,
            self._experiment.cutoffs,
            self._data.device,
            self._experiment.evaluation.relevance_threshold,
            self._experiment.top_k,
        )


def _as_written(files: dict[str, Path], record: dict[str, Any]) -> bool:
    """Whether the files beside the table are those of this record, not of a run with other settings in between."""
    hashes = record.get("sha256", {})
    return all(path.is_file() and hashes.get(name) == sha256_file(path) for name, path in files.items())


def _guard(file: ExperimentFile, plans: list[Plan], dataset: Dataset) -> None:
    if dataset.validation is not None:
        return
    for plan in plans:
        if len(plan.candidates) > 1:
            raise UserError(
                f"{plan.block.name} has {len(plan.candidates)} configurations and there is no validation split "
                "to choose by (the test split is never used for that)",
                where=file.document.path,
                mend="add validation_path or validation_splitting, or give single values",
            )
    logger.warning("no validation split: every model is trained for all its epochs and judged once")
