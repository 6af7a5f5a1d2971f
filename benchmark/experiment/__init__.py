"""From an experiment file to its table: planned, tuned, tested, reported."""

from benchmark.experiment.run import CheckedExperiment, check_experiment, run_experiment

__all__ = ["CheckedExperiment", "check_experiment", "run_experiment"]
