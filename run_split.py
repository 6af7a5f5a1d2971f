"""Split a data set: python run_split.py --dataset NAME [--config FILE]."""

from __future__ import annotations

import argparse
import sys


def main() -> None:
    """Parse the command line and prepare `data/<dataset>/`."""
    parser = argparse.ArgumentParser(description="Split data/<dataset>/reviews.tsv, re-index ids and feature tables.")
    parser.add_argument("--dataset", required=True, help="name of a folder in data/")
    parser.add_argument(
        "--config",
        help="YAML with a `splitting` block (default: config_files/split_<dataset>.yml, or 20 %% / 10 %%)",
    )
    arguments = parser.parse_args()

    try:
        from benchmark.prepare import prepare
        from workbench.console import run_command
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing.name} is not installed: run `make install`, then `source .venv/bin/activate`")
    run_command(lambda: _announce(prepare(arguments.dataset, arguments.config).folder.name))


def _announce(dataset: str) -> None:
    from loguru import logger

    logger.success("data/{}: split and indexed; next: python run_experiment.py config_files/{}.yml", dataset, dataset)


if __name__ == "__main__":
    main()
