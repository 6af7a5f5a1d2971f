"""From an experiment file to its table: planned, tuned, tested, reported."""

from benchmark.experiment.run import check_experiment, run_experiment, show_plan

__all__ = ["check_experiment", "run_experiment", "show_plan"]
