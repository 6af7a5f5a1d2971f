"""From an experiment file to its table: planned, tuned, tested, reported."""

from benchmark.experiment.run import run_experiment, show_plan

__all__ = ["run_experiment", "show_plan"]
