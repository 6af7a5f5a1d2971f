"""The evaluation block, resolved: what a `legacy` protocol stands for, and which names mean which metrics in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmark.config import Experiment, ExperimentFile
from benchmark.config.evaluation import Mask
from benchmark.config.legacy import PROTOCOLS, Legacy, LegacyProtocol
from benchmark.data.dataset import Candidates
from benchmark.evaluation.metrics import ACCURACY, METRICS, ComplexMetric, Metric, complex_schema, find_metric
from workbench.config import located, validate
from workbench.errors import UserError
from workbench.files import sha256_file


@dataclass(frozen=True)
class Measures:
    """How models are judged.

    Attributes
    ----------
    metrics : registered names; complex_metrics : those with arguments.
    cutoffs : ascending; length : of the lists.
    threshold : least rating of a relevant row.
    mask : what is hidden at test (at validation always the training part).
    candidates : which items are ranked.
    digits : decimals left before anything is chosen, None for all.
    legacy : whose protocol this is, None for the bench's own.
    files : hashes of the files that complex metrics read, once these are read.
    fewest : sampled negatives of the user who has fewest, once they are drawn.
    """

    metrics: list[str]
    complex_metrics: list[ComplexMetric]
    cutoffs: list[int]
    length: int
    threshold: float
    mask: Mask
    candidates: Candidates
    digits: int | None
    legacy: Legacy | None
    files: tuple[str, ...] = ()
    fewest: int | None = None

    @property
    def protocol(self) -> LegacyProtocol | None:
        """What `legacy` stands for."""
        return PROTOCOLS[self.legacy] if self.legacy else None

    @property
    def may_see_test(self) -> bool:
        """Whether the protocol lets the test part choose, as that of another system may."""
        return self.protocol is not None and self.protocol.chooses_on_test

    @property
    def columns(self) -> list[str]:
        """`Metric@k` of every metric without arguments at every cutoff: what can choose."""
        return [f"{metric}@{k}" for k in self.cutoffs for metric in self.metrics]

    @property
    def registered(self) -> list[Metric]:
        """The metrics without arguments."""
        return [METRICS[name] for name in self.metrics]

    @property
    def default_monitor(self) -> str:
        """What chooses where the file does not say: what the legacy protocol chooses by, or the first metric of
        accuracy, at the first cutoff.

        Raises
        ------
        UserError : there is none, or it is not computed.
        """
        fixed = self.protocol and self.protocol.monitor
        if fixed:
            if fixed not in self.columns:
                raise UserError(
                    f"`legacy: {self.legacy}` chooses by {fixed}, which is not computed",
                    mend="add the metric and the cutoff, or name a `validation_metric`",
                )
            return fixed
        for metric in self.metrics:
            if metric in ACCURACY:
                return f"{metric}@{self.cutoffs[0]}"
        raise UserError(
            f"none of {', '.join(self.metrics)} is a metric of accuracy, to choose by",
            mend="add one, such as Recall, to simple_metrics, or name a `validation_metric`",
        )

    @property
    def identity(self) -> tuple[str, ...]:
        """What is computed, at every cutoff."""
        return (*self.metrics, *(each.model_dump_json() for each in self.complex_metrics), *self.files)

    def with_files_hashed(self, file: ExperimentFile) -> Measures:
        """The same, with the hashes of its files as they are now."""
        given = [
            value
            for settings in self.complex_metrics
            for key, value in settings
            if value and (key.endswith("_file") or key == "feature_data")
        ]
        found = [path for each in given if (path := file.path(each)).is_file()]  # its reader refuses an absent one
        return replace(self, files=tuple(sha256_file(path) for path in found))

    def candidates_label(self, experiment: Experiment) -> str:
        """Which items are ranked, in words."""
        if experiment.negative_sampling is not None:
            return experiment.negative_sampling.label(experiment.random_seeds, self.fewest)
        return {"train": "full ranking of the training items", "all": "full ranking of all items"}[self.candidates]

    def record(self, experiment: Experiment) -> dict[str, Any]:
        """The protocol, for `results.json`."""
        sets = {
            features.name: [side.model_dump(mode="json") for side in features.loaders]
            for features in experiment.data_config.feature_sets
        }
        return {
            "candidates": self.candidates_label(experiment),
            "mask": self.mask,
            "relevance_threshold": self.threshold,
            "cutoffs": self.cutoffs,
            "legacy": self.legacy,
            "side_information": sets[""] if list(sets) == [""] else sets,
            "selection": f"as {self.legacy}; see the names of the rows" if self.may_see_test else "validation only",
        }

    def meaning(self, name: str) -> str:
        """The registered metric that a name stands for under this protocol.

        Raises
        ------
        UserError : no such metric.
        """
        return find_metric(self.protocol.names.get(name.casefold(), name) if self.protocol else name)


def plan_measures(file: ExperimentFile) -> Measures:
    """Resolve the evaluation block.

    Raises
    ------
    UserError : an unknown metric, with its line and the nearest name.
    """
    experiment, evaluation = file.experiment, file.experiment.evaluation
    legacy = evaluation.legacy
    protocol = PROTOCOLS[legacy] if legacy else None
    measures = Measures(
        [],
        [],
        experiment.cutoffs,
        experiment.top_k,
        evaluation.relevance_threshold,
        evaluation.mask or ("train" if legacy else "train+val"),
        evaluation.candidates or (protocol.candidates if protocol else "train"),
        protocol.digits if protocol else None,
        legacy,
    )
    at = ("experiment", "evaluation")
    names, schemas = [], []
    for place, name in enumerate(evaluation.simple_metrics):
        with located(file.document, (*at, "simple_metrics", place)):
            names.append(measures.meaning(name))
    for place, entry in enumerate(evaluation.complex_metrics):
        here = (*at, "complex_metrics", place)
        with located(file.document, here):
            schemas.append(validate(complex_schema(entry), entry, file.document, here))
    return replace(measures, metrics=list(dict.fromkeys(names)), complex_metrics=schemas)
