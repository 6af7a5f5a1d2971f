"""From a file of interactions to the arrays of an experiment: seconds, nanoseconds a row, memory.

    python performance/data.py [--gowalla FOLDER] [--rows 1000000 5000000 20000000]

(a) Gowalla: the adjacency lists `train.txt` and `test.txt` of FOLDER, 1,027,370 interactions together: loading,
    iterative 5-core, split (random_subsampling, 20 % test, 10 % of the rest validation), index. Target: 10 s on two
    cores.
(b) Generated TSV files, ids as text, in random order, with ratings and times: the same steps. Targets: time linear in
    rows, and resident memory that grows by at most 12 times the four columns (two int64 codes, a float64 rating, an
    int64 time: 32 bytes a row). All have 50,000 users and 20,000 items; the largest is measured again with four times
    as many, which no longer fit the processor's cache.

Every measurement is a process of its own, and so is the writing of each file, which is not timed: a process begins with
the highest memory that the one that started it ever had.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.dataset import build_dataset
from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import read_interactions
from benchmark.data.prefilters import KCore, apply_prefilters
from benchmark.data.splitters import RandomSubsampling, split
from workbench.console import show, table

STEPS = ("load", "5-core", "split", "index")
ROW_BYTES = 32
_BLOCK = 1_000_000  # rows drawn and written at a time


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gowalla", type=Path)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # these two are for the processes
    parser.add_argument("--generate", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    if arguments.generate:
        generate(arguments.generate, *arguments.rows, arguments.users)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = []
        if arguments.gowalla:
            lists = folder / "gowalla.txt"
            lists.write_bytes(b"".join((arguments.gowalla / f"{name}.txt").read_bytes() for name in ("train", "test")))
            found.append(("Gowalla", json.loads(in_a_process("--measure", lists))))
        sizes = [(rows, arguments.users) for rows in arguments.rows]
        for rows, users in [*sizes, *((rows, 4 * users) for rows, users in sizes[-1:])]:
            path = folder / "generated.tsv"
            in_a_process("--generate", path, "--rows", rows, "--users", users)
            name = f"{users:,} users, {path.stat().st_size / 1e6:,.0f} MB"
            found.append((name, json.loads(in_a_process("--measure", path))))
    cells = [(name, *_cells(result)) for name, result in found]
    headers = [
        "file",
        "rows",
        *(f"{step}, s" for step in STEPS),
        "total, s",
        "ns a row",
        "memory grew by, MB",
        "x arrays",
    ]
    show(table(headers, cells))
    show("targets: Gowalla in 10 s on two cores; ns a row constant; memory at most 12 x the arrays (32 bytes a row)")


def measure(path: Path) -> dict[str, Any]:
    """Seconds of each step, rows, and by how many bytes the resident memory grew at its highest."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    moments = [time.perf_counter()]
    layout = Layout("adjacency") if path.suffix == ".txt" else None
    data = read_interactions(path, layout=layout)
    rows = len(data)
    moments.append(time.perf_counter())
    data = apply_prefilters(data, [("iterative_k_core", KCore(5, 5, None))])
    moments.append(time.perf_counter())
    parts = split(data, RandomSubsampling(0.2), RandomSubsampling(0.1))
    moments.append(time.perf_counter())
    build_dataset(parts)
    moments.append(time.perf_counter())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"rows": rows, "seconds": np.diff(moments).tolist(), "bytes": grown * 1024}


def in_a_process(*arguments: object) -> str:
    """What a fresh process of this script prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def generate(path: Path, rows: int, n_users: int) -> None:
    """A TSV of distinct pairs in random order, unevenly spread over the users and two fifths as many items."""
    generator = np.random.default_rng(0)
    n_items = 2 * n_users // 5
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < rows:
        users = (n_users * generator.random(rows) ** 1.5).astype(np.int64)
        items = (n_items * generator.random(rows) ** 2).astype(np.int64)
        keys = np.sort(np.concatenate([keys, users * n_items + items]))
        keys = keys[np.diff(keys, prepend=-1) > 0]
    keys = generator.permutation(keys)[:rows]
    with path.open("w", encoding="utf-8", newline="") as stream:
        for start in range(0, rows, _BLOCK):
            block = keys[start : start + _BLOCK]
            columns = {
                "user": np.char.add("u", (block // n_items).astype(str)),
                "item": np.char.add("i", (block % n_items).astype(str)),
                "rating": generator.integers(1, 6, len(block)),
                "time": generator.integers(10**9, 17 * 10**8, len(block)),
            }
            pd.DataFrame(columns).to_csv(stream, sep="\t", header=False, index=False)


def _cells(result: dict[str, Any]) -> list[str]:
    rows, seconds, grown = result["rows"], result["seconds"], result["bytes"]
    total = sum(seconds)
    return [
        f"{rows:,}",
        *(f"{each:.2f}" for each in seconds),
        f"{total:.2f}",
        f"{1e9 * total / rows:,.0f}",
        f"{grown / 1e6:,.0f}",
        f"{grown / (rows * ROW_BYTES):.1f}",
    ]


if __name__ == "__main__":
    main()
