"""Run an experiment file: python run_experiment.py config_files/NAME.yml; the same as `bottega run`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run, and say where the results lie."""
    try:
        from bottega.run import run
        from bottega.verbs import launch
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing.name} is not installed: run `make install`, then `source .venv/bin/activate`")
    launch(run, "run_experiment.py")


if __name__ == "__main__":
    main()
