"""Run an experiment file: python run_experiment.py config_files/NAME.yml."""

from __future__ import annotations

import argparse
import sys


def main() -> None:
    """Parse the command line, run, and say where the results lie."""
    parser = argparse.ArgumentParser(
        description="Tune models on validation, judge the chosen ones on test, print the table."
    )
    parser.add_argument("config", help="experiment YAML")
    arguments = parser.parse_args()

    try:
        from workbench.console import run_command
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing.name} is not installed: run `make install`, then `source .venv/bin/activate`")
    run_command(lambda: _run(arguments.config))


def _run(config: str) -> None:
    from loguru import logger

    from benchmark.experiment import run_experiment

    folder = run_experiment(config)
    logger.success(
        "{}: results.tsv, results.json, per_user/ and the journal; run again to see the table at once", folder
    )


if __name__ == "__main__":
    main()
