"""The `meta` block of a model: how its parameters are searched, and what is kept of its trials."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from workbench.config import Settings

Algorithm = Literal["grid", "rand", "tpe", "atpe", "anneal", "mix"]


class Meta(Settings):
    """The `meta` block of a model.

    hyper_opt_alg : how configurations are proposed; `grid` tries every combination of the lists.
    hyper_max_evals : how many configurations are tried at most; by default every combination of the lists.
    validation_metric : the metric that chooses, such as `Recall@20`; by default the first one of accuracy.
    validation_rate : epochs between two evaluations on validation.
    checkpoint_rate : epochs between two checkpoints of a running trial, with `save_weights`.
    verbose : show the progress of each trial.
    save_recs : write the lists of the chosen configuration.
    save_weights : keep the weights of every trial, and checkpoints of the running one.
    restore : never train; only what is journaled is used.
    """

    hyper_opt_alg: Algorithm = "grid"
    hyper_max_evals: PositiveInt | None = None
    validation_metric: str | None = None
    validation_rate: PositiveInt = 1
    checkpoint_rate: PositiveInt = 10
    verbose: bool = True
    save_recs: bool = False
    save_weights: bool = False
    restore: bool = False
    optimize_internal_loss: Literal[False] = False
