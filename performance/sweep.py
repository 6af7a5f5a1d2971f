"""Whole sweeps from the command line: how long they take, and what the bench adds to its trials.

    python performance/sweep.py [office] [tiktok] [workers] [reopen] [gpu]

Without names, all of them. Figures are wall times of `python run_experiment.py FILE` in a process of its own, from
its start to the printed table. `gpu` needs a GPU, and says so where there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from workbench.console import show, table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
BPRMF = {"epochs": 200, "batch_size": 1024, "factors": 64, "lr": 0.005, "l_w": 0.01, "seed": 123}
VBPR = {"epochs": 5, "batch_size": 2048, "factors": 64, "l_w": 0.01, "seed": 123}
MEASURED = {"cutoffs": [10, 20], "simple_metrics": ["Recall", "nDCG"]}


def main() -> None:
    """Measure what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], metavar="NAME")
    names = parser.parse_args().names or list(MEASUREMENTS)
    rows: list[list[str]] = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows += MEASUREMENTS[name](Path(folder))
    show(table(["what", "measured", "target"], rows, left=["measured", "target"]))


def office(place: Path) -> list[list[str]]:
    """BPRMF on Office: 200 epochs, judged every ten."""
    models = {"external.BPRMF": {**BPRMF, "meta": {"validation_rate": 10}}}
    seconds, folder = run(place, "office", _office(), models)
    trial = _costs(folder)[0]
    return [
        ["BPRMF, Office, 200 epochs, 20 judgements: the trial", f"{trial['seconds']:.1f} s", "< 10 s"],
        ["the same, from start to table", f"{seconds:.1f} s", ""],
    ]


def tiktok(place: Path) -> list[list[str]]:
    """Four configurations of VBPR, five epochs each, an evaluation an epoch."""
    models = {"external.VBPR": {**VBPR, "lr": [0.001, 0.005], "l_w": [0.0, 0.01]}}
    rows = []
    for name, executor in (("serial", {}), ("2 workers", {"executor": {"processes": {"workers": 2}}, "threads": 1})):
        seconds, _ = run(place / name, "tiktok", _tiktok(), models, **executor)
        rows.append([f"4 VBPR x 5 epochs, TikTok, start to table, {name}", f"{seconds:.1f} s", "< 15 s"])
    return rows


def workers(place: Path) -> list[list[str]]:
    """Twenty small trials one after the other, and by two workers."""
    models = {
        "external.BPRMF": {**BPRMF, "epochs": 40, "lr": [0.001, 0.002, 0.005, 0.01, 0.02], "l_w": [0, 0.001, 0.01, 0.1]}
    }
    models["external.BPRMF"]["meta"] = {"validation_rate": 10}
    taken = {}
    for name, executor in (("serial", "serial"), ("2 workers", {"processes": {"workers": 2}})):
        taken[name], folder = run(place / name, "office", _office(), models, executor=executor, threads=1)
        if name == "serial":
            within = sum(cost["seconds"] for cost in _costs(folder))
            empty, _ = run(place / "none", "office", _office(), {"MostPop": None})
            overhead = (taken[name] - within - empty) / 20
    ratio = taken["2 workers"] / taken["serial"]
    return [
        ["20 trials of BPRMF, Office, 40 epochs: serial", f"{taken['serial']:.1f} s", ""],
        ["the same by 2 workers", f"{taken['2 workers']:.1f} s = {ratio:.2f} x", "<= 0.6 x"],
        ["what the bench adds to a trial (serial)", f"{max(overhead, 0.0):.3f} s", "< 0.3 s"],
    ]


def reopen(place: Path) -> list[list[str]]:
    """A finished sweep of 200 trials, run again."""
    lrs, l_ws = [round(0.001 * step, 4) for step in range(1, 21)], [0.01 * step for step in range(10)]
    models = {"external.BPRMF": {**BPRMF, "epochs": 1, "lr": lrs, "l_w": l_ws}}
    first, folder = run(place, "office", _office(), models)
    assert len(_costs(folder)) == 200
    again, _ = run(place, "office", {}, models)
    return [
        ["200 trials of BPRMF, 1 epoch, Office", f"{first:.1f} s", ""],
        ["the same, finished: start to table", f"{again:.1f} s", "< 5 s"],
    ]


def gpu(place: Path) -> list[list[str]]:
    """Trials an hour on one GPU, by trials at once."""
    import torch

    if not torch.cuda.is_available():
        return [["trials of VBPR a GPU-hour, TikTok", "no GPU here", ""]]
    rows = []
    for at_once in (1, 4, 16):
        models = {"external.VBPR": {**VBPR, "epochs": 50, "lr": [0.0005 * step for step in range(1, 2 * at_once + 1)]}}
        models["external.VBPR"]["meta"] = {"validation_rate": 5}
        executor = {"processes": {"workers": at_once, "gpus": 0}}
        here = place / str(at_once)
        seconds, _ = run(here, "tiktok", _tiktok(), models, executor=executor, gpu=0)
        rows.append(
            [f"VBPR, TikTok, 50 epochs, {at_once} at once", f"{3600 * 2 * at_once / seconds:,.0f} trials an hour", ""]
        )
    return rows


def run(place: Path, dataset: str, data: dict[str, Any], models: dict[str, Any], **keys: Any) -> tuple[float, Path]:
    """Wall seconds of an experiment from the command line, and its results folder; without data, of the last file."""
    file = place / "config_files" / "sweep.yml"
    if data:
        file.parent.mkdir(parents=True, exist_ok=True)
        block = {"dataset": dataset, "top_k": 20, "data_config": data, "evaluation": MEASURED, "models": models, **keys}
        file.write_text(yaml.safe_dump({"experiment": block}, sort_keys=False), encoding="utf-8")
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_experiment.py"), str(file)],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, place / "results" / dataset / "sweep"


def _office() -> dict[str, Any]:
    folder = DATA / "amazon-office-ducho24"
    paths = {
        f"{key}_path": str(folder / f"{name}.tsv")
        for key, name in zip(("train", "validation", "test"), ("train", "val", "test"), strict=True)
    }
    return {"strategy": "fixed", **paths}


def _tiktok() -> dict[str, Any]:
    folder = DATA / "tiktok"
    loaders = [
        {"dataloader": "VisualAttribute", "visual_features": str(folder / "image_feat.npy")},
        {"dataloader": "AudioAttribute", "audio_features": str(folder / "audio_feat.npy")},
    ]
    return {"strategy": "mmrec", "dataset_path": str(folder / "tiktok.inter"), "side_information": loaders}


def _costs(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["cost"] for line in lines if line["kind"] == "trial"]


MEASUREMENTS: dict[str, Callable[[Path], list[list[str]]]] = {
    "office": office,
    "tiktok": tiktok,
    "workers": workers,
    "reopen": reopen,
    "gpu": gpu,
}


if __name__ == "__main__":
    main()
