"""Reports of experiments that never ran: a rich one, a hostile one, a large one, and the least there can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmark.evaluation.significance import compare
from benchmark.evaluation.slices import SliceRow
from benchmark.guard import Finding
from benchmark.reports.report import Example, Failure, ListedItem, ModelResult, Record, Replicate, Report
from workbench.files import escape_id

METRICS = ["Recall", "nDCG", "HR", "ARP"]
CUTOFFS = [5, 10, 20, 50]
USERS = 300
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=2'>\"'{{7*7}}<b>"
_PARAMETERS: dict[str, list[Any]] = {
    "lr": [0.0001, 0.001, 0.01],
    "reg": [0.0, 0.01, 0.1, 1.0],
    "n_layers": [1, 2, 3],
    "fusion": ["concat", "mean", "('visual','textual')"],
}


def columns(cutoffs: Sequence[int] = CUTOFFS) -> list[str]:
    return [f"{metric}@{k}" for k in cutoffs for metric in METRICS]


def trial(
    rng: np.random.Generator, model: str, params: Mapping[str, Any], quality: float, epochs: int, every: int = 5
) -> Record:
    """A record as the journal has it; curves rise, and fall a little in the end."""
    steps = np.arange(1, epochs + 1)
    losses = (0.2 + np.exp(-steps / (epochs / 5)) * rng.uniform(0.4, 0.6) + rng.normal(0, 0.003, epochs)).tolist()
    at = np.unique([*range(every, epochs + 1, every), epochs])
    rise = 1 - np.exp(-at / (epochs / 6)) - 0.08 * np.maximum(at / epochs - rng.uniform(0.5, 0.9), 0)
    values = quality * rise + rng.normal(0, 0.0006, len(at))
    kept = int(np.argmax(values))
    return {
        "model": model,
        "params": {"epochs": epochs, "batch_size": 1024, "seed": 42, **params},
        "epoch": int(at[kept]),
        "validation": {"Recall@20": float(values[kept]), "nDCG@20": float(values[kept] / 2)},
        "losses": losses,
        "history": [[int(epoch), float(value)] for epoch, value in zip(at, values, strict=True)],
        "stopped": None if rng.random() < 0.5 else f"no better Recall@20 for 10 judgements (epoch {epochs})",
        "parameters": int(rng.integers(200_000, 4_000_000)),
        "cost": cost(rng, epochs),
    }


def cost(rng: np.random.Generator, epochs: int) -> dict[str, Any]:
    seconds = float(epochs * rng.uniform(0.05, 0.2))
    return {
        "seconds": seconds,
        "cpu_seconds": seconds * 1.9,
        "peak_memory_mb": float(rng.uniform(600, 2_000)),
        "gpu_memory_mb": None,
        "energy_joules": None,
        "samples_per_second": float(rng.uniform(1e5, 5e5)),
    }


def failure(rng: np.random.Generator, model: str, params: Mapping[str, Any]) -> Record:
    kind = str(rng.choice(["diverged", "out_of_memory", "crashed"]))
    reason = {
        "diverged": "the loss is no longer a number (epoch 3)",
        "out_of_memory": "out of memory, with half the evaluation block as well",
        "crashed": "ZeroDivisionError: division by zero (external/models/vbpr/model.py, line 40)",
    }[kind]
    return {"model": model, "params": dict(params), "failed": reason, "kind": kind, "cost": cost(rng, 3)}


def sweep(
    rng: np.random.Generator, model: str, varied: Sequence[str], quality: float, epochs: int = 60
) -> list[Record]:
    """The grid of some parameters; a trial in nine fails."""
    records = []
    for values in itertools.product(*(_PARAMETERS[key] for key in varied)):
        params = dict(zip(varied, values, strict=True))
        if rng.random() < 0.11 and records:
            records.append(failure(rng, model, params))
            continue
        bent = 1 - 0.1 * abs(math.log10(params.get("lr", 0.001)) + 3) - 0.05 * abs(params.get("reg", 0.01) - 0.1)
        records.append(trial(rng, model, params, quality * bent * rng.uniform(0.95, 1.0), epochs))
    return records


def result(
    rng: np.random.Generator,
    row: str,
    quality: float,
    varied: Sequence[str] = (),
    trials: Sequence[Record] = (),
    seeds: int = 1,
    cutoffs: Sequence[int] = CUTOFFS,
) -> ModelResult:
    """A row of the table, and what it makes of the groups."""
    succeeded = [record for record in trials if "failed" not in record]
    best = max(succeeded, key=lambda record: record["validation"].get("Recall@20", 0.0), default=None)
    replicates = [Replicate(0, 0, 42 + seed, figures(rng, quality, cutoffs)) for seed in range(seeds)]
    names = columns(cutoffs)
    test = {name: float(np.mean([each.test[name] for each in replicates])) for name in names}
    spread = {name: float(np.std([each.test[name] for each in replicates], ddof=min(seeds - 1, 1))) for name in names}
    return ModelResult(
        row=row,
        model=row.partition("_")[0],
        stem=escape_id(row),
        varied=list(varied),
        monitor="Recall@20",
        validation=best["validation"].get("Recall@20") if best else None,
        chosen=[[best]] if best else [],
        trials=list(trials),
        replicates=replicates,
        test=test,
        spread=spread if seeds > 1 else {},
        users=USERS,
        system={},
        slices=groups(rng, quality, cutoffs),
        further=[again(best, 42 + seed) for seed in range(1, seeds)] if best else [],
    )


def again(record: Record, seed: int) -> Record:
    """The same configuration under another seed; it took a second."""
    params, spent = {**record["params"], "seed": seed}, {**record["cost"], "seconds": 1.0}
    return {**record, "key": f"{record['model']} {seed}", "params": params, "cost": spent}


def figures(rng: np.random.Generator, quality: float, cutoffs: Sequence[int]) -> dict[str, float]:
    found = {}
    for k in cutoffs:
        value = quality * (k / 20) ** 0.6 * rng.uniform(0.985, 1.015)
        found |= {f"Recall@{k}": value, f"nDCG@{k}": value * 0.55, f"HR@{k}": min(value * 1.8, 1.0)}
        found[f"ARP@{k}"] = 180 * (1 - quality) * rng.uniform(0.9, 1.1)
    return found


def groups(rng: np.random.Generator, quality: float, cutoffs: Sequence[int]) -> list[SliceRow]:
    """With a group without users."""
    named = {
        "user_activity": ["1-4 rows", "5-11 rows", "12 rows or more"],
        "item_popularity": ["1-6 rows", "7-22 rows", "23 rows or more"],
        "modality_coverage": ["all modalities", "some modalities", "no modality"],
    }
    rows = [SliceRow("all", "all", USERS, figures(rng, quality, cutoffs))]
    for name, each in named.items():
        for place, group in enumerate(each):
            users = (140, 100, 0 if name == "modality_coverage" else 60)[place]
            values = figures(rng, quality * (0.5 + 0.4 * place), cutoffs) if users else {}
            rows.append(SliceRow(name, group, users, values))
    return rows


def compared(rows: Sequence[ModelResult], tests: Sequence[str], metrics: Sequence[str]) -> list[Any]:
    """Real comparisons of values drawn around the figures of each row."""
    rng = np.random.default_rng(5)
    base = rng.normal(0, 0.12, (USERS, 1))
    values = {
        row.row: np.array([row.test[metric] for metric in metrics]) + base + rng.normal(0, 0.05, (USERS, len(metrics)))
        for row in rows
    }
    return compare(values, list(metrics), list(tests), resamples=200)


def report(models: Sequence[ModelResult], **changes: Any) -> Report:
    names = list(models[0].test) if models else []
    plain = Report(
        dataset="amazon-office",
        experiment="vbpr_against_bprmf",
        finished="2025-03-04 17:20:31",
        heading=[
            "amazon-office: 4,892 users, 1,780 items, 21,196 train, 5,431 validation, 8,886 test",
            "test figures; full ranking of the training items, mask train+val; chosen by validation only",
        ],
        protocol={"candidates": "full ranking of the training items", "mask": "train+val", "relevance_threshold": 0.0,
                  "cutoffs": CUTOFFS, "legacy": None, "side_information": [], "selection": "validation only"},
        counts={"users": 4_892, "items": 1_780, "train": 21_196, "validation": 5_431, "test": 8_886},
        cutoffs=CUTOFFS,
        metrics=names,
        suffix="",
        threshold=0.0,
        chosen_on_test=False,
        tests=[],
        models=list(models),
        failed=[],
        comparisons=[],
        guard=[],
        machine={"system": "Linux 6.1", "processor": "AMD EPYC 7763, 2 cores", "memory": "8 GiB", "device": "cpu"},
        versions={"python": "3.11.2", "torch": "2.6.0", "numpy": "2.2.1", "bottega": "0.1.0"},
        config="experiment:\n  dataset: amazon-office\n  models:\n    BPRMF:\n      lr: [0.0001, 0.001, 0.01]\n",
        examples=[],
    )  # fmt: skip
    return replace(plain, **changes)


def rich() -> Report:
    """Grids of 0 to 4 parameters, failed trials, a failed row, seeds, ready lists, groups, tests, examples."""
    rng = np.random.default_rng(11)
    untrained = {**trial(rng, "MostPop", {}, 0.08, 5), "epoch": 0, "losses": [], "history": [], "stopped": None}
    untrained |= {"parameters": 0, "cost": {**cost(rng, 1), "samples_per_second": None}}
    models = [
        result(rng, "MostPop", 0.0850, trials=[untrained]),
        result(rng, "BPRMF", 0.1170, ["lr"], sweep(rng, "BPRMF", ["lr"], 0.12), seeds=3),
        result(rng, "VBPR", 0.1262, ["lr", "reg"], sweep(rng, "VBPR", ["lr", "reg"], 0.13), seeds=3),
        result(rng, "LightGCN", 0.1245, ["n_layers"], sweep(rng, "LightGCN", ["n_layers"], 0.128), seeds=3),
        result(rng, "FREEDOM", 0.1344, list(_PARAMETERS), sweep(rng, "FREEDOM", list(_PARAMETERS), 0.14), seeds=3),
        result(rng, "LightFM (ready lists)", 0.1012),
    ]
    tests = ["paired_ttest", "wilcoxon_test"]
    return report(
        models,
        tests=tests,
        comparisons=compared(models, tests, models[0].test),
        failed=[Failure("MMGCN", "all 4 configurations failed; the first: the loss is no longer a number (epoch 1)")],
        guard=[
            Finding("unknown_users", 214, "test: 214 rows of 198 users without training rows are left out"),
            Finding("cold_items", 40, "test: 40 rows are on 35 items without training rows; they are no candidates and "
                    "count as misses", False, "test"),
        ],
        examples=examples(rng, [model.row for model in models]),
    )  # fmt: skip


def examples(rng: np.random.Generator, rows: Sequence[str], users: int = 3) -> list[Example]:
    items = [f"B00{place:04}" for place in range(60)]
    found = []
    for user in range(users):
        drawn = [items[place] for place in rng.permutation(60)]
        wanted = drawn[:3]
        lists = {}
        for row in rows:
            listed = [items[place] for place in rng.permutation(60)[:8]]
            lists[row] = [ListedItem(item, 1 - place / 10, item in wanted) for place, item in enumerate(listed)]
        found.append(Example(f"A2K{user}Q", drawn[3 : 8 + 10 * (user == 1)], wanted, lists))
    return found


def pictures(folder: Path, items: Sequence[str], seed: int = 0) -> Path:
    """A picture of each item, in several formats."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for place, item in enumerate(items):
        ground, ink = (
            tuple(int(value) for value in rng.integers(low, high, 3)) for low, high in ((170, 256), (20, 150))
        )
        image = Image.new("RGB", (240, 240 + 40 * (place % 3)), ground)
        draw = ImageDraw.Draw(image)
        for _ in range(5):
            x, y, size = rng.integers(10, 150), rng.integers(10, 150), rng.integers(30, 90)
            (draw.ellipse if place % 2 else draw.rectangle)(
                [x, y, x + size, y + size], fill=ink, outline=ground, width=4
            )
        image.save(folder / f"{escape_id(item)}.{('jpg', 'png', 'webp')[place % 3]}")
    return folder


def minimal() -> Report:
    """One untrained model under one metric, and nothing else."""
    rng = np.random.default_rng(1)
    only = result(rng, "Random", 0.02, cutoffs=[10])
    only = replace(only, slices=[], test={"Recall@10": only.test["Recall@10"]}, monitor="")
    return report([only], cutoffs=[10], guard=[], heading=[], config="")


def hostile() -> Report:
    """Every text that a user can choose tries to become markup."""
    rng = np.random.default_rng(2)
    grid = [
        trial(rng, "VBPR", {"lr": lr, HOSTILE: choice}, 0.1, 10) for lr in (0.1, 0.01) for choice in (HOSTILE, "<i>")
    ]
    grid.append({**failure(rng, "VBPR", {"lr": 1.0, HOSTILE: "<i>"}), "failed": HOSTILE})
    rows = [
        result(rng, f"one {HOSTILE}", 0.1, ["lr", HOSTILE], grid),
        result(rng, "@c0 {{config}} ${7*7} %{x}", 0.12, ["lr"], grid[:3]),
    ]
    rows = [replace(row, slices=[SliceRow(f"s{HOSTILE}", f"g{HOSTILE}", 5, dict(row.test))]) for row in rows]
    rows[0] = replace(rows[0], test={**rows[0].test, "AUC": math.nan})
    rows[1] = replace(rows[1], test={**rows[1].test, "AUC": math.inf})
    listed = {row.row: [ListedItem(HOSTILE, math.nan, True), ListedItem("\ud800", 0.0, False)] for row in rows}
    return report(
        rows,
        dataset=f"d{HOSTILE}",
        experiment=HOSTILE,
        heading=[HOSTILE],
        counts={HOSTILE: 3},
        suffix=f" {HOSTILE}",
        tests=["paired_ttest"],
        comparisons=compared(rows, ["paired_ttest"], columns()),
        failed=[Failure(HOSTILE, HOSTILE)],
        guard=[Finding("x", 1, HOSTILE)],
        machine={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        protocol={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
        config=f"# {HOSTILE}",
        examples=[Example(HOSTILE, [HOSTILE, "../../etc/passwd", ""], [HOSTILE], listed)],
    )


def large(rows: int = 20, trials: int = 200, epochs: int = 200) -> Report:
    """As many rows, trials and epochs as a page must bear."""
    rng = np.random.default_rng(3)
    curves = [trial(rng, "Model", {}, 0.1, epochs, every=1) for _ in range(trials)]
    models = []
    for place in range(rows):
        settings = [
            {"lr": 10 ** rng.uniform(-5, -1), "reg": rng.uniform(0, 1), "k": 2 ** (number % 7)}
            for number in range(trials)
        ]
        records = [record | {"params": params} for record, params in zip(curves, settings, strict=True)]
        models.append(result(rng, f"Model{place}", 0.1 + place / 500, ["lr", "reg", "k"], records))
    return report(models)
