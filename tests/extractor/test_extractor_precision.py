"""`precision` and `compile`: keys of every torch backend, in the recipe, with an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import DESCRIPTORS, RESNET, TFIDF, Run
from resume_cases import comparable

from workbench.errors import UserError

TINY = {**RESNET, "reshape": [32, 32]}


@pytest.mark.parametrize(("precision", "nearness"), [("bf16", 0.05), ("fp16", 0.01)])
def test_lower_precision_changes_the_values_a_little_and_the_recipe(
    run: Run, catalogue: Path, precision: str, nearness: float, log: list[str]
) -> None:
    (full,) = run(visual=[TINY])
    before = np.array(full.matrix)
    assert "precision" not in full.manifest["recipe"]
    (low,) = run(visual=[{**TINY, "precision": precision}])
    assert any(line.endswith("changed: precision") for line in log)
    assert low.manifest["recipe"]["precision"] == precision
    assert low.matrix.dtype == np.float32
    distance = np.abs(low.matrix - before).max() / np.abs(before).max()
    assert 0 < distance < nearness
    values = torch.from_numpy(np.array(low.matrix))
    half = torch.bfloat16 if precision == "bf16" else torch.float16
    layer4 = (values.to(half).float() == values).all()
    assert layer4, "computed in that precision, not rounded somewhere on the way to fp32"


def test_sentences_in_bf16(run: Run, minilm: Path) -> None:
    model = {"model_name": str(minilm), "backend": "sentence_transformers", "output_layers": 1, "batch_size": 2}
    (full,) = run(textual=[model])
    before = np.array(full.matrix)
    (low,) = run(textual=[{**model, "precision": "bf16"}])
    cosine = (low.matrix * before).sum(axis=1)
    assert (cosine > 0.99).all()
    assert not np.array_equal(low.matrix, before)


@pytest.mark.parametrize("key", [{"precision": "bf16"}, {"compile": True}])
def test_where_no_network_is_the_keys_are_refused(run: Run, key: dict[str, Any]) -> None:
    (name,) = key
    with pytest.raises(UserError, match=rf"`{name}` has no effect with backend classical"):
        run(visual=[{**DESCRIPTORS, **key}])
    with pytest.raises(UserError, match=rf"`{name}` has no effect with backend classical"):
        run(textual=[{**TFIDF, **key}])


def test_a_precision_that_is_none(run: Run) -> None:
    with pytest.raises(UserError, match=r"precision.*not 'fp8'\n.*bf16, fp16, fp32"):
        run(visual=[{**TINY, "precision": "fp8"}])


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # of the compiler, on Python 3.13.0
def test_a_compiled_network_is_the_one_that_runs(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler itself takes a minute on a CPU; here it hands the graph back as it is."""
    run(visual=[TINY])
    before = comparable(catalogue / "vis")
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **keys: compile_(self, **{**keys, "backend": backend}))
    (table,) = run(visual=[{**TINY, "compile": True}])
    assert graphs, "the network was compiled when it was first called"
    assert table.manifest["recipe"]["compile"] is True
    after = comparable(catalogue / "vis")
    assert {name for name in after if after[name] != before[name]} <= {"torch/ResNet18/avgpool.json"}


def test_a_batch_is_staged_while_the_one_before_is_computed_where_the_cpu_is_free(
    run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens with a GPU, without one: the order of the calls, and the same bytes."""
    from extractor.backends.visual_torch import Backend

    run(visual=[{**TINY, "batch_size": 1}])
    before = comparable(catalogue / "vis")
    for path in (catalogue / "vis").rglob("*.json"):
        path.unlink()
    calls: list[str] = []
    start, encode = Backend.start, Backend.encode

    def on_gpu(self: Backend, layers: Any) -> None:
        start(self, layers)
        self.fills_cpu = False

    def stage(self: Backend, batch: Any) -> Any:
        calls.append("stage")
        return batch

    def recorded(self: Backend, batch: Any) -> Any:
        calls.append("encode")
        return encode(self, batch)

    monkeypatch.setattr(Backend, "start", on_gpu)
    monkeypatch.setattr(Backend, "stage", stage)
    monkeypatch.setattr(Backend, "encode", recorded)
    run(visual=[{**TINY, "batch_size": 1}])
    assert sorted(calls) == ["encode"] * 4 + ["stage"] * 4
    assert calls[0] == "stage"
    assert calls[-1] == "encode"
    assert calls.index("encode") < 3, "at most two are held"
    assert comparable(catalogue / "vis") == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pinned_batches_on_a_gpu_give_what_plain_ones_give(run: Run, catalogue: Path) -> None:
    (cpu,) = run(visual=[{**TINY, "batch_size": 2}])
    before = np.array(cpu.matrix)
    (gpu,) = run(visual=[{**TINY, "batch_size": 2}], gpu_list=0, overrides={"visual.items.output_path": "gpu"})
    assert gpu.manifest["backbone"]["device"] == "cuda:0"
    np.testing.assert_allclose(gpu.matrix, before, rtol=1e-2, atol=1e-2)
