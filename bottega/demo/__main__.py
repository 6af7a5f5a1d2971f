"""`python -m bottega.demo`: the whole journey on the demo shop, from pictures to a table."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from workbench.console import run_command, show

FOLDER = Path("data/demo")
EXTRACT, EXPERIMENT = "config_files/extract_demo.yml", "config_files/demo.yml"


def main() -> None:
    """Draw, extract, split, run; each step re-uses what is there and names the command that does it alone."""
    started = time.perf_counter()
    from bottega.demo.files import ensure

    _step("the shop", "python -m bottega.demo", "800 items with a picture and a text, 1,500 users with planted taste")
    show("drawn into data/demo" if ensure(FOLDER) else "data/demo holds it already")

    _step(
        "features", f"python extractor/run.py --config {EXTRACT}", "content -> one vector an item, backbone and layer"
    )
    from extractor.extraction import run_extraction

    run_extraction(EXTRACT, [], None, show=True)

    _step("split", "python run_split.py --dataset demo", "reviews -> train / val / test, users and items re-indexed")
    from benchmark.prepare import prepare

    prepare("demo")

    _step("experiment", f"python run_experiment.py {EXPERIMENT}", "a grid of models, tuned on validation, one table")
    from benchmark.experiment import run_experiment

    results = run_experiment(EXPERIMENT)
    _farewell(results, time.perf_counter() - started)


def _step(name: str, command: str, what: str) -> None:
    show(f"\n== {name}: {what}\n   $ {command}")


def _farewell(results: Path, seconds: float) -> None:
    from bottega.demo.glimpse import glimpse

    show(f"\n== one user of the test split\n{glimpse(FOLDER, results / 'recs' / 'VBPR.tsv')}")
    show(f"""
== done in {seconds:.0f} s
made:  data/demo/                 the shop: images/, meta.tsv, reviews.tsv; its features and its split
       {results}/          results.tsv, results.json, per_user/, recs/, the journal of all trials
look:  {results}/report.html   open it: the table to sort, curves, significance, examples with pictures
       data/demo/images/          what the visual features saw
       docs/first_steps.md        what each column of the table means, and why VBPR wins here
try:   add 0.5 to `l_w` of external.VBPR in {EXPERIMENT} and run
       python run_experiment.py {EXPERIMENT}
       (only the new cells of the grid are trained), or set `control: shuffled` at a loader and see what is lost
yours: put images/, meta.tsv and reviews.tsv into data/NAME, copy the two YAML files, and run the three commands""")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m bottega.demo", description=__doc__).parse_args()
    run_command(main)
