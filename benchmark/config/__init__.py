"""Elliot's YAML as closed, typed settings."""

from benchmark.config.data import DataConfig
from benchmark.config.evaluation import Evaluation
from benchmark.config.experiment import Experiment, ExperimentFile, Meta, ModelBlock, read_experiment_config
from benchmark.config.side_information import SideInformation
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
