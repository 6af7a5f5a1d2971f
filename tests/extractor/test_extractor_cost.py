"""What an extraction took: by model, shared out fairly, kept through interruptions, and in nobody's way."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from extractor_cases import DESCRIPTORS, RESNET, Run
from hypothesis import given
from hypothesis import strategies as st
from resume_cases import comparable, draw_images, stop_before

from extractor.backends.visual_classical import Backend
from extractor.chunks import Shard
from extractor.costs import Ledger, sum_up
from extractor.extraction import run_extraction
from workbench.features import FeatureTable

SMALL = {**DESCRIPTORS, "output_layers": ["colour", "gradient"], "batch_size": 4}
KEYS = ["seconds", "cpu_seconds", "peak_memory_mb", "gpu_memory_mb", "energy_joules", "samples_per_second"]


@pytest.fixture
def pictures(catalogue: Path) -> Path:
    """Nineteen pictures more: with the four of the catalogue, six chunks of four."""
    draw_images(catalogue / "images", 19)
    return catalogue


def cost_of(table: FeatureTable) -> dict[str, Any]:
    return dict(table.manifest["run"]["cost"])


def test_every_table_of_a_model_tells_what_the_model_took(run: Run, pictures: Path) -> None:
    begin = time.perf_counter()
    colour, gradient = run(visual=[SMALL])
    took = time.perf_counter() - begin
    cost = cost_of(colour)
    assert list(cost) == [*KEYS, "items", "parameters"]
    assert 0 < cost["seconds"] < took and cost["cpu_seconds"] > 0 and cost["peak_memory_mb"] > 20
    assert cost["items"] == 23 and cost["samples_per_second"] >= 23 / cost["seconds"]
    assert cost["gpu_memory_mb"] is None and cost["parameters"] is None
    assert cost_of(gradient) == cost


def test_the_weights_of_a_network_are_counted(run: Run, pictures: Path) -> None:
    (table,) = run(visual=[RESNET])
    assert cost_of(table)["parameters"] == 11_176_512  # ResNet18 without its classifier


def test_loading_a_model_is_in_its_seconds_and_not_in_its_rate(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Backend.start

    def slow(self: Backend, layers: Any) -> None:
        time.sleep(0.3)
        load(self, layers)

    monkeypatch.setattr(Backend, "start", slow)
    cost = cost_of(run(visual=[SMALL])[0])
    assert cost["seconds"] > 0.3
    assert cost["items"] / cost["samples_per_second"] < cost["seconds"] - 0.29


def test_models_that_share_a_pass_share_what_it_took(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[Ledger] = []
    leave = Ledger.__exit__

    def noting(self: Ledger, *error: Any) -> None:
        leave(self, *error)
        passes.append(self)

    monkeypatch.setattr(Ledger, "__exit__", noting)
    begin = time.perf_counter()
    tables = run(visual=[SMALL, {**RESNET, "batch_size": 23}])
    took = time.perf_counter() - begin
    small, resnet = cost_of(tables[0]), cost_of(tables[2])
    loading = sum(account.loading.cost().seconds for account in passes[0]._accounts)
    assert small["seconds"] + resnet["seconds"] == pytest.approx(passes[0]._pass.cost().seconds + loading, rel=1e-4)
    assert small["seconds"] + resnet["seconds"] < took
    assert small["items"] == resnet["items"] == 23


def test_the_parts_of_a_stopped_run_are_summed_and_the_bytes_are_the_same(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Backend.encode

    def slow(self: Backend, batch: Any) -> Any:
        time.sleep(0.1)
        return encode(self, batch)

    monkeypatch.setattr(Backend, "encode", slow)
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "encode", stop_before(4))
        with pytest.raises(MemoryError):
            run(visual=[SMALL])
    begin = time.perf_counter()
    colour, gradient = run(visual=[SMALL])
    second = time.perf_counter() - begin
    for table in (colour, gradient):
        cost = cost_of(table)
        assert cost["items"] == 23 and table.manifest["run"]["computed_now"] == 7
        assert cost["seconds"] > 0.6  # six chunks, of which this process computed two
    assert second < 5
    resumed = comparable(pictures / "vis")
    run(visual=[SMALL])
    assert comparable(pictures / "vis") == resumed


def test_shards_are_summed_and_their_energy_is_not_guessed(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting:
        def __init__(self, _device: Any) -> None:
            pass

        def start(self) -> None:
            pass

        stop = start

        def joules(self) -> float:
            return 3.0

    monkeypatch.setattr("workbench.cost.EnergyMeter", Counting)
    (whole, _) = run(visual=[SMALL])
    assert cost_of(whole)["energy_joules"] == pytest.approx(6)  # of loading, and of the pass
    shutil.rmtree(pictures / "vis")
    config = pictures / "extract.yml"
    assert run_extraction(config, shard=Shard(1, 2)) == []
    (one, _) = run_extraction(config, shard=Shard(2, 2))
    cost = cost_of(one)
    assert cost["items"] == 23 and cost["energy_joules"] is None


def test_what_was_spent_makes_no_table_stale(run: Run, pictures: Path, encoded: list[int]) -> None:
    (colour, _) = run(visual=[SMALL])
    path = colour.path.with_suffix(".json")
    manifest = json.loads(path.read_text())
    manifest["run"]["cost"]["seconds"] = 1e6
    path.write_text(json.dumps(manifest))
    encoded.clear()
    (again, _) = run(visual=[SMALL])
    assert encoded == [] and cost_of(again)["seconds"] == 1e6


def test_only_what_changed_is_counted_when_a_table_is_brought_up_to_date(
    run: Run, pictures: Path, encoded: list[int]
) -> None:
    run(visual=[SMALL])
    draw_images(pictures / "images", 20)  # one more, at the end
    encoded.clear()
    (colour, _) = run(visual=[SMALL])
    assert encoded == [4] and cost_of(colour)["items"] == 4


def test_the_costs_are_printed_of_what_was_computed_now(
    run: Run, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(visual=[SMALL])
    capsys.readouterr()
    run_extraction(pictures / "extract.yml", show=True)
    assert "CPU s" not in capsys.readouterr().out
    run_extraction(pictures / "extract.yml", [("visual.items.model.0.batch_size", "5")], show=True)
    assert "CPU s" not in capsys.readouterr().out  # the batch size makes no other table
    draw_images(pictures / "images", 20)
    run_extraction(pictures / "extract.yml", show=True)
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "CPU s" in line)
    headers = [cell.strip() for cell in line.strip("|").split("|")]
    known = ["modality", "model", "s", "CPU s", "memory MB", "items/s"]
    assert [header for header in headers if header != "J"] == known, "no GPU, no weights: no columns for them"
    assert (
        sum("descriptors" in line and "colour" not in line and "gradient" not in line for line in out.splitlines()) == 1
    )


def test_the_list_of_tables_shows_what_they_took(run: Run, pictures: Path) -> None:
    from bottega.features.inventory import inventory

    run(visual=[RESNET, SMALL])
    entries = {entry.path.name: entry for entry in inventory(pictures)}
    assert entries["avgpool"].parameters == 11_176_512 and entries["colour"].parameters is None
    assert all(entry.seconds is not None and entry.seconds > 0 for entry in entries.values())
    assert entries["avgpool"].cells()[-1] == "11,176,512" and entries["colour"].cells()[-1] == "-"


parts = st.fixed_dictionaries(
    {
        "seconds": st.floats(1, 1e4),
        "cpu_seconds": st.floats(0, 1e4),
        "energy_joules": st.none() | st.floats(0, 1e6),
        "peak_memory_mb": st.floats(1, 1e5),
        "gpu_memory_mb": st.none() | st.floats(0, 1e5),
        "items": st.integers(0, 10**6),
        "loading": st.floats(0, 0.5),
    }
)


@given(st.lists(parts, min_size=1, max_size=5))
def test_a_sum_is_that_of_a_loop(found: list[dict[str, Any]]) -> None:
    seconds = cpu = working = items = 0.0
    peak, gpu, energy = 0.0, None, 0.0
    for part in found:
        seconds += part["seconds"]
        cpu += part["cpu_seconds"]
        working += part["seconds"] - part["loading"]
        items += part["items"]
        peak = max(peak, part["peak_memory_mb"])
        if part["gpu_memory_mb"] is not None:
            gpu = part["gpu_memory_mb"] if gpu is None else max(gpu, part["gpu_memory_mb"])
        energy = None if energy is None or part["energy_joules"] is None else energy + part["energy_joules"]
    total = sum_up(found, {})
    assert total is not None
    expected = dict(zip(KEYS, (seconds, cpu, peak, gpu, energy, items / working), strict=True))
    for name, value in expected.items():
        assert total[name] == (None if value is None else pytest.approx(value, rel=1e-5)), name
    assert total["items"] == items


def test_nothing_spent_is_no_cost_and_a_pair_has_the_weights_of_both() -> None:
    assert sum_up([], {"parameters": 3}) is None
    part = dict.fromkeys(KEYS[:5], 1.0) | {"items": 1, "loading": 0.0}
    for backbone, expected in (
        ({"parameters": 3}, 3),
        ({"visual": {"parameters": 3}, "textual": {"parameters": 4, "pooling": {}}}, 7),
        ({"visual": {"parameters": 3}, "audio": {}}, 3),
        ({}, None),
    ):
        total = sum_up([part], backbone)
        assert total is not None and total["parameters"] == expected
