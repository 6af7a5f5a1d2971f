"""What `bottega runs ls` shows of a results folder, read leniently: one of another version, half-written or still
running is a row, too."""

from __future__ import annotations

import json
import time
from pathlib import Path

# metrics of which more is better and that usually stand first; others are looked up, which loads torch
_LARGER = {"Recall", "nDCG", "Precision", "HR", "MRR", "MAP", "MAR", "F1", "AUC", "GAUC"}
HEADERS = ("run", "rows", "trials", "failed", "best row", "its figure", "finished", "MB")


def cells(name: str, folder: Path) -> tuple[str, ...]:
    """One row under `HEADERS`."""
    from benchmark.folder import holder

    finished, failed = count_trials(folder / "journal.jsonl")
    rows, best, figure, when = _results(folder / "results.json")
    busy = holder(folder)
    when = "running" if busy is not None else when
    size = f"{megabytes(folder):.1f}"
    shown = (name, rows, str(finished), str(failed) if failed else "", best, figure, when, size)
    return tuple("".join(letter if letter.isprintable() else " " for letter in cell) for cell in shown)


def count_trials(journal: Path) -> tuple[int, int]:
    """Trials with figures and trials without, by the latest line of each."""
    latest: dict[str, bool] = {}
    try:
        lines = journal.read_bytes().split(b"\n")
    except OSError:
        return 0, 0
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # no record
            continue
        if isinstance(record, dict) and record.get("kind") == "trial" and isinstance(record.get("key"), str):
            latest[record["key"]] = "failed" in record
    return len(latest) - sum(latest.values()), sum(latest.values())


def megabytes(folder: Path) -> float:
    """Size on disk of everything below."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:  # it went meanwhile
            continue
    return total / 2**20


def _results(path: Path) -> tuple[str, str, str, str]:
    """Number of rows, the best one, its first metric, and when it finished."""
    if not path.is_file():
        return "", "", "", "not finished"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        metric = report["metrics"][0]
        figures = {str(row["row"]): row["test"][metric] for row in report["models"]}
        when = str(report["finished"])[:16]
        measured = {row: float(value) for row, value in figures.items() if value is not None}
    except (ValueError, KeyError, IndexError, TypeError, OSError):
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        return "?", "", "of another version", at
    if not measured:
        return str(len(figures)), "", "", when
    best = (min if _smaller(metric) else max)(measured, key=lambda row: measured[row])
    return str(len(figures)), best, f"{metric} {measured[best]:.4f}", when


def _smaller(metric: str) -> bool:
    if metric.partition("@")[0] in _LARGER:
        return False
    from benchmark.evaluation.metrics import better

    return better(metric) == "smaller"
