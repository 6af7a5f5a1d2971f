"""Elliot's YAML as closed, typed settings."""

from benchmark.config.data import DataConfig
from benchmark.config.evaluation import Evaluation
from benchmark.config.experiment import (
    Experiment,
    ExperimentFile,
    ModelBlock,
    read_experiment_config,
    read_experiment_configs,
)
from benchmark.config.feature_sets import FeatureSet
from benchmark.config.meta import Meta
from benchmark.config.side_information import SideInformation
from benchmark.config.splitting import SplitSettings, Splitting, SplittingRule, read_split_config

__all__ = [
    "DataConfig",
    "Evaluation",
    "Experiment",
    "ExperimentFile",
    "FeatureSet",
    "Meta",
    "ModelBlock",
    "SideInformation",
    "SplitSettings",
    "Splitting",
    "SplittingRule",
    "read_experiment_config",
    "read_experiment_configs",
    "read_split_config",
]
