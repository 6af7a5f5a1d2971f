"""Split a data set: python run_split.py --dataset NAME [--config FILE]; the same as `bottega split`."""

from __future__ import annotations

import sys


def main() -> None:
    """Prepare `data/<dataset>/`."""
    try:
        from bottega.split import split
        from bottega.verbs import launch
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing.name} is not installed: run `make install`, then `source .venv/bin/activate`")
    launch(split, "run_split.py")


if __name__ == "__main__":
    main()
