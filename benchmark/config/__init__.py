"""Elliot's YAML as closed, typed settings."""

from benchmark.config.experiment import (
    DataConfig,
    Evaluation,
    Experiment,
    ExperimentFile,
    Meta,
    ModelBlock,
    SideInformation,
    read_experiment_config,
)
from benchmark.config.splitting import SplitSettings, Splitting, SplittingRule, read_split_config

__all__ = [
    "DataConfig",
    "Evaluation",
    "Experiment",
    "ExperimentFile",
    "Meta",
    "ModelBlock",
    "SideInformation",
    "SplitSettings",
    "Splitting",
    "SplittingRule",
    "read_experiment_config",
    "read_split_config",
]
