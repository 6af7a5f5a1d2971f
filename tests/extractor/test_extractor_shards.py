"""Shares of one extraction in several processes: whoever brings the last chunk puts the tables together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from extractor_cases import DESCRIPTORS, TFIDF, Run
from resume_cases import comparable, draw_images, stop_before

from extractor import extract
from extractor.backends.visual_classical import Backend
from extractor.chunks import Chunk, Shard, share_of
from extractor.executors import Request, run_shards
from extractor.partial import work_folder
from extractor.run import main
from workbench.errors import UserError
from workbench.features import FeatureTable
from workbench.locks import Lock

SMALL = {**DESCRIPTORS, "output_layers": ["colour", "gradient"], "batch_size": 4}


@pytest.fixture
def config(run: Run, catalogue: Path) -> Path:
    """A configuration of two modalities, run once: `undisturbed` holds what it gave."""
    draw_images(catalogue / "images", 19)
    shutil.copy(catalogue / "images" / "a.png", catalogue / "images" / "z1.png")
    (catalogue / "images" / "i010.png").write_bytes(b"broken")
    run(visual=[SMALL], textual=[TFIDF])
    return catalogue / "extract.yml"


@pytest.fixture
def undisturbed(config: Path) -> dict[str, bytes]:
    found = all_of(config.parent)
    for output in ("vis", "txt"):
        shutil.rmtree(config.parent / output)
    return found


def all_of(catalogue: Path) -> dict[str, bytes]:
    return {
        f"{output}/{name}": content
        for output in ("vis", "txt")
        for name, content in comparable(catalogue / output).items()
    }


@pytest.mark.parametrize("order", ["123", "312", "231"])
def test_the_last_shard_puts_together_the_same_bytes(
    config: Path, undisturbed: dict[str, bytes], order: str, encoded: list[int], log: list[str]
) -> None:
    *early, last = order
    for index in early:
        extract(config, shard=f"{index}/3")
        assert not (config.parent / "vis" / "classical" / "descriptors" / "colour.json").exists()
    assert any("of 6 chunks are there" in line for line in log)
    tables = extract(config, shard=f"{last}/3")
    assert [table.path.name for table in tables[:2]] == ["colour", "gradient"]
    assert sorted(encoded) == [3, 3, 4, 4, 4, 4], "each chunk once, among all shards"
    assert all_of(config.parent) == undisturbed


def test_more_shards_than_chunks(config: Path, undisturbed: dict[str, bytes]) -> None:
    for index in range(1, 10):
        extract(config, shard=f"{index}/9")
    assert all_of(config.parent) == undisturbed


def test_a_run_without_shard_computes_what_a_lost_shard_left_out_and_merges(
    config: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    extract(config, shard="1/3")
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "encode", stop_before(1))
        with pytest.raises(MemoryError):
            extract(config, shard="2/3")
    encoded.clear()
    extract(config)
    assert len(encoded) == 3
    assert all_of(config.parent) == undisturbed


def test_with_all_chunks_there_no_backbone_is_loaded(
    config: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last shard was killed while it put the table together: what remains needs no model."""

    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("extractor.extraction.put_together", refuse)
        with pytest.raises(MemoryError):
            extract(config)
        with pytest.raises(MemoryError):
            extract(config, shard="1/2")
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "start", refuse)
        extract(config)
    assert all_of(config.parent) == undisturbed


def test_a_shard_that_comes_after_the_end_has_nothing_to_do(
    config: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    """It made its plan before the others had put the table together."""
    from extractor import extraction

    made = extraction.plan

    def others_are_quicker(*arguments: Any) -> Any:
        plans = made(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(extraction, "plan", made)
            extract(config)
        encoded.clear()
        return plans

    monkeypatch.setattr(extraction, "plan", others_are_quicker)
    assert len(extract(config, shard="2/2")) == 3
    assert encoded == []
    assert all_of(config.parent) == undisturbed


def test_shards_do_not_disturb_each_other_but_keep_a_whole_run_away(
    config: Path, undisturbed: dict[str, bytes]
) -> None:
    work = work_folder(config.parent / "vis" / "classical" / "descriptors" / "colour")
    together = Lock(work / "run.lock", shared=True)
    with pytest.raises(UserError, match="another process, a shard, is at this table already"):
        extract(config)
    same = Lock(work / "shard-1-of-2.lock")
    with pytest.raises(UserError, match=rf"process {os.getpid()} on .* is at this table already"):
        extract(config, shard="1/2")
    extract(config, shard="2/2")
    same.release()
    extract(config, shard="1/2")
    together.release()
    assert all_of(config.parent) == undisturbed
    alone = Lock(work_folder(config.parent / "new" / "colour") / "run.lock")
    assert alone.taken_over is None


def test_shares_are_contiguous_and_even() -> None:
    chunks = [Chunk(str(number), (number,)) for number in range(10)]
    shares = [share_of(chunks, Shard(index, 4)) for index in range(1, 5)]
    assert [chunk for share in shares for chunk in share] == chunks
    assert {len(share) for share in shares} == {2, 3}
    assert share_of(chunks, None) == chunks


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/0", "1.5/2"])
def test_no_share(config: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"is no share\n.*`--shard i/n`"):
        extract(config, shard=text)


def test_shards_on_the_command_line(
    config: Path, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--config", str(config), "--shard", "1/2"])
    first = capsys.readouterr()
    assert "of 3 feature tables; the other shards finish the rest" in first.err
    main(["--config", str(config), "--shard=2/2"])
    assert "3 feature tables; next:" in capsys.readouterr().err
    assert all_of(config.parent) == undisturbed


# --- executors


def with_executor(config: Path, executor: Any, **more: Any) -> Path:
    settings = yaml.safe_load(config.read_text()) | {"executor": executor} | more
    config.write_text(yaml.safe_dump(settings))
    return config


def test_processes_of_this_machine(
    config: Path, undisturbed: dict[str, bytes], encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = extract(with_executor(config, {"processes": {"shards": 2}}), {"visual.items.model.0.batch_size": 4})
    assert len(tables) == 3
    assert encoded == [], "nothing was computed here"
    assert all_of(config.parent) == undisturbed
    monkeypatch.setattr(subprocess, "Popen", None)
    assert len(extract(config)) == 3, "nothing to do starts no process"


def test_a_shard_that_fails_is_heard(config: Path, undisturbed: dict[str, bytes]) -> None:
    executor = {"processes": {"shards": 2}}
    with pytest.raises(UserError, match=r"(?s)shard [12]/2 failed \(status 2\):.*`max_quarantined` allows 0"):
        extract(with_executor(config, executor, max_quarantined=0), {"visual.items.model.0.batch_size": 24})


def test_one_process_for_each_gpu(config: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    from extractor.config import load_config

    started: list[list[str]] = []

    class Quiet:
        def __init__(self, command: list[str], **_keys: Any) -> None:
            started.append(command)
            self.stderr: list[str] = []

        def wait(self) -> int:
            return 0

        def terminate(self) -> None:
            pass

    monkeypatch.setattr(subprocess, "Popen", Quiet)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    request = Request(str(config), (("gpu list", [2, 5]), ("per_item", False)), "weights")
    assert run_shards(load_config(config, {"gpu_list": "[2, 5]"}.items()).settings, request)
    assert [command[0] for command in started] == [sys.executable] * 2
    assert [command[2:] for command in started] == [
        [f"--config={config}", f"--shard={index}/2", "--weights-root=weights",
         "--gpu list=[2, 5]", "--per_item=false", f"--gpu_list={gpu}"]
        for index, gpu in ((1, 2), (2, 5))
    ]  # fmt: skip
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert not run_shards(load_config(config, {"gpu_list": "[2, 5]"}.items()).settings, request), "the CPU, once"


@pytest.mark.parametrize("executor", ["threads", {"processes": {"shards": 0}}, {"ray": {"adress": "auto"}}, ["ray"]])
def test_an_executor_that_is_none(config: Path, executor: Any) -> None:
    with pytest.raises(UserError, match=r"extract\.yml:\d+: .*executor"):
        extract(with_executor(config, executor))


def test_ray_tasks(config: Path, undisturbed: dict[str, bytes], encoded: list[int]) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    try:
        tables: list[FeatureTable] = extract(with_executor(config, {"ray": {"shards": 2}}))
        with pytest.raises(UserError, match="`max_quarantined` allows 0"):
            extract(config, {"max_quarantined": 0, "visual.items.output_path": "other"})
    finally:
        ray.shutdown()
    assert len(tables) == 3
    assert encoded == []
    assert all_of(config.parent) == undisturbed


def test_without_ray_it_is_said(config: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"needs the package ray\n.*bottega\[ray\]"):
        extract(with_executor(config, "ray"))
