"""What a model shows of itself: checked, thinned out, kept with the figures, and never in the way of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import random_reviews, write_rows
from experiment_cases import QUICK, experiment, results, split_quietly

from benchmark.experiment import run_experiment
from benchmark.experiment.portraits import POINTS, sample
from benchmark.models import Portrait
from benchmark.models.portrait import TOPS
from benchmark.reports import read_report
from benchmark.reports.html import write_page
from workbench.errors import UserError

N = 5
GOOD: dict[str, Any] = {
    "numbers": {"independence": 0.5},
    "curves": {"loss": [2.0, 1.0]},
    "places": {"visual": torch.randn(N, 2)},
    "groups": torch.tensor([0, 1, 1, -1, 0]),
    "tops": [[0, 4], [2]],
}
HALF = torch.tensor([[0.0, torch.nan]]).repeat(N, 1)


def test_a_right_portrait_passes_whole_and_in_parts() -> None:
    Portrait(**GOOD).check(N)
    Portrait().check(0)
    for key, value in GOOD.items():
        Portrait(**{key: value}).check(N)
    gappy = torch.randn(N, 2)
    gappy[2] = torch.nan
    Portrait(places={"visual": gappy}, tops=torch.tensor([[0, 1], [3, 2]])).check(N)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"numbers": {"independence": float("nan")}}, "independence is nan"),
        ({"curves": {"loss": [1.0, float("inf")]}}, "loss has values that are no finite numbers"),
        ({"numbers": {"": 1.0}}, "the name ''"),
        ({"curves": {"x" * 81: [1.0]}}, "the name 'xxx"),
        ({"places": {"visual": torch.randn(N + 1, 2)}}, r"visual is \(6, 2\), not \(5, 2\)"),
        ({"places": {"visual": torch.randn(N, 3)}}, r"visual is \(5, 3\)"),
        ({"places": {"visual": torch.full((N, 2), torch.inf)}}, "neither finite nor all NaN"),
        ({"places": {"visual": HALF}}, "neither finite nor all NaN"),
        ({"groups": torch.zeros(N + 1, dtype=torch.int64)}, r"`groups` is \(6,\)"),
        ({"groups": torch.zeros(N)}, "not of integers"),
        ({"groups": torch.tensor([0, 0, 0, 0, -2])}, "`groups` has -2"),
        ({"groups": torch.tensor([0, 0, 0, 0, 2])}, "the concept 2, and `tops` knows 2"),
        ({"groups": torch.arange(N) * 50, "tops": ()}, "more than 200 concepts"),
        ({"groups": None, "tops": [[0]] * 201}, "more than 200 concepts"),
        ({"tops": [[0], [N]]}, "concept 1 has an item that is not among the 5"),
        ({"tops": [[-1], [0]]}, "concept 0 has an item that is not among the 5"),
        ({"tops": [[0], [1, 1]]}, "concept 1 has an item twice"),
    ],
)
def test_what_a_page_cannot_show_is_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError, match=what):
        Portrait(**{**GOOD, **change}).check(N)


def test_a_sample_shows_every_group_in_every_beginning() -> None:
    groups = np.repeat([0, 1, 2, -1], [9_000, 40, 3, 957])
    items = np.arange(10_000)
    drawn = sample(items, groups, 400)
    assert len(set(drawn.tolist())) == 400
    assert np.array_equal(drawn, sample(items, groups, 400))
    counts = {group: int((groups[drawn] == group).sum()) for group in (0, 1, 2, -1)}
    assert counts[2] == 3 and counts[1] == 40 and min(counts[0], counts[-1]) >= 50
    assert set(groups[drawn[:4]].tolist()) == {0, 1, 2, -1}
    assert sorted(sample(items[:7], None, 400).tolist()) == list(range(7))
    assert len(sample(items[:0], groups[:0], 400)) == 0


# --- through the bench

MINE = '''
"""BPRMF that shows its vectors, and counts how often it is asked to."""

from pathlib import Path

import torch

from benchmark.models import Portrait
from benchmark.models.disentanglement import item_independence, plane
from external.models.bprmf import BPRMF


class Mirror(BPRMF):
    def portrait(self):
        with Path("asked.txt").open("a") as stream:
            stream.write(f"{self.training} {torch.is_inference_mode_enabled()}\\n")
        {trouble}
        users, items = self.vectors()
        groups = items[:, :3].argmax(dim=1)
        visual = plane(items)
        visual[0] = torch.nan
        return Portrait(
            numbers={"item independence": item_independence(items)},
            curves={"loss": [3.0, 2.0, 1.5], "top 1": [0.1, 0.2, 0.4]},
            places={"visual": visual, "textual": -plane(items)},
            groups=groups,
            tops=items[:, :3].T.topk(len(items)).indices,
        )
'''
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=1>"
MIRROR = {"external.Mirror": {**QUICK, "lr": [0.01, 0.1]}, "MostPop": None}


@pytest.fixture
def hostile_shop(place: Path) -> Path:
    """A shop whose item ids try to become markup, and a file of genres."""
    rows = [(user, item + HOSTILE, *rest) for user, item, *rest in random_reviews(0)]
    write_rows(place / "data" / "shop" / "reviews.tsv", rows)
    write_rows(place / "genres.tsv", [(item, f"genre {len(item) % 2}") for item in sorted({row[1] for row in rows})])
    split_quietly()
    return place


def mirror(place: Path, trouble: str = "") -> Path:
    (place / "mine").mkdir(exist_ok=True)
    (place / "mine" / "mirror.py").write_text(MINE.replace("{trouble}", trouble))
    genres = {"items": [{"file": "../genres.tsv", "name": "genre", "ids": "raw"}]}
    return experiment(
        place,
        MIRROR,
        external_models_path="../mine",
        data_config={"side_information": None},
        evaluation={"slices": genres},
        seeds=2,
    )


def asked() -> list[str]:
    return Path("asked.txt").read_text().splitlines()


def portraits(folder: Path) -> dict[str, Any]:
    return {each["row"]: each["portrait"] for each in json.loads((folder / "results.json").read_text())["models"]}


def test_a_portrait_travels_from_the_model_to_the_page_once(hostile_shop: Path) -> None:
    file = mirror(hostile_shop)
    folder = run_experiment(file)
    assert asked() == ["False True"], "of the first seed only, in evaluation mode, without gradients"
    found = portraits(folder)
    assert found["MostPop"] is None
    shown = found["Mirror"]
    raw = [line.split("\t")[0] for line in (hostile_shop / "data" / "shop" / "items_map.tsv").read_text().splitlines()]
    n_items = shown["placed"]
    assert sorted(shown["items"]) == sorted(set(shown["items"])) and set(shown["items"]) <= set(raw)
    assert len(shown["items"]) == len(shown["groups"]) == n_items <= POINTS
    visual, textual = np.array(shown["places"]["visual"], float), np.array(shown["places"]["textual"], float)
    lacking = np.isnan(visual).all(axis=1)
    assert lacking.sum() == 1 and shown["items"][int(lacking.argmax())] == raw[0]
    np.testing.assert_allclose(visual[~lacking], -textual[~lacking], rtol=1e-4, atol=1e-6)
    assert [len(top) for top in shown["tops"]] == [TOPS] * 3
    assert {item for top in shown["tops"] for item in top} <= set(raw)
    assert list(shown["numbers"])[1:] == ["genre: adjusted Rand index", "genre: normalised mutual information"]
    assert [caption.startswith("genre: genre ") for caption in shown["captions"]] == [True] * 3

    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="inside-section"' in page and HOSTILE not in page and "window.hacked=1</script>" not in page
    write_page(hostile_shop / "again.html", read_report(folder))
    assert (hostile_shop / "again.html").read_text(encoding="utf-8") == page, "of results.json alone"

    (folder / "results.json").unlink()
    assert portraits(run_experiment(file)) == found
    assert len(asked()) == 1, "the journal knows it"


def test_a_portrait_that_fails_is_a_warning_and_loses_no_figures(hostile_shop: Path, log: list[str]) -> None:
    whole = results(run_experiment(mirror(hostile_shop)))["Mirror"]["Recall@10"]
    for trouble, reason in (
        ("raise ValueError('no mirror')", "ValueError: no mirror"),
        ("return {}", "AttributeError"),
        ("return Portrait(numbers={'x': float('nan')})", "x is nan"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ):
        folder = run_experiment(mirror(hostile_shop, trouble))
        assert results(folder)["Mirror"]["Recall@10"] == whole
        assert portraits(folder)["Mirror"] is None
        told = [line for line in log if "Mirror: the report shows nothing of the inside of the model" in line]
        assert len(told) == 1 and reason in told[0]
        assert 'id="inside-section"' not in (folder / "report.html").read_text(encoding="utf-8")
        log.clear()
