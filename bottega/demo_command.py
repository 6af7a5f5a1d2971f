"""`bottega demo`: the whole journey on a drawn shop."""

from __future__ import annotations


def demo() -> None:
    """Draw a small shop, extract, split, tune four models, print the table (about a minute)."""
    from bottega.demo.__main__ import EXPERIMENT, EXTRACT, main
    from workbench.config import read_yaml

    for file in (EXTRACT, EXPERIMENT):
        read_yaml(file)  # both lie in the project's folder; elsewhere this says so at once
    main()
