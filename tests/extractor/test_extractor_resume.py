"""A run that was stopped goes on where it was, and the tables do not show it: every byte is the same."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS, RESNET, TFIDF, Run, write_texts
from loguru import logger
from PIL import Image
from resume_cases import comparable, draw_images, stop_before
from support import ROOT

from extractor.backends.visual_classical import Backend
from extractor.partial import work_folder
from workbench.errors import UserError
from workbench.locks import Lock

SMALL = {**DESCRIPTORS, "output_layers": ["colour", "gradient"], "batch_size": 4}


@pytest.fixture
def pictures(catalogue: Path) -> Path:
    """Nineteen pictures more: with the four of the catalogue, six chunks of four."""
    draw_images(catalogue / "images", 19)
    return catalogue


def stopped(run: Run, monkeypatch: pytest.MonkeyPatch, after: int, **keys: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "encode", stop_before(after))
        with pytest.raises(MemoryError):
            run(**keys)


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", 14)
    shutil.copy(tmp_path / "images" / "i003.png", tmp_path / "images" / "twin.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    write_texts(tmp_path / "meta.tsv", {f"t{number}": f"word{number} and word{number % 7}" for number in range(50)})
    (tmp_path / "extract.yml").write_text(
        f"""
dataset_path: {tmp_path}
visual: {{items: {{input_path: images, output_path: out, model:
  {{model_name: descriptors, backend: classical, output_layers: [colour, gradient], batch_size: 2}}}}}}
textual: {{items: {{input_path: meta.tsv, output_path: out, item_column: item, text_column: description, model:
  {{model_name: tfidf, backend: classical, output_layers: tfidf_svd, dim: 8}}}}}}
"""
    )
    seed = str(int.from_bytes(os.urandom(4), "little"))
    here = Path(__file__).parent
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (ROOT, here.parent)))}
    command = [sys.executable, str(here / "killing.py"), str(tmp_path), seed]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    ended, seconds = done.stdout.split()
    assert int(ended) < 15, f"{ended} of 20 came to their end before they were killed, in {seconds} s"


def test_only_the_missing_chunks_are_computed(
    run: Run,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: list[int],
) -> None:
    tables = run(visual=[SMALL])
    assert encoded == [4, 4, 4, 4, 4, 3]
    undisturbed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    stopped(run, monkeypatch, after=2, visual=[SMALL])
    assert not tables[0].path.exists()
    encoded.clear()
    (colour, _) = run(visual=[SMALL])
    assert encoded == [4, 4, 4, 3]
    assert colour.manifest["run"]["computed_now"] == 15
    assert comparable(pictures / "vis") == undisturbed


def test_a_network_resumed_gives_the_same_bytes_although_batches_change_the_last_bits(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extractor.backends.visual_torch import Backend as Torch

    model = {**RESNET, "output_layers": ["layer1", "avgpool"], "reshape": [32, 32], "batch_size": 5}
    run(visual=[model])
    undisturbed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    encode, calls = Torch.encode, []

    def failing(self: Torch, batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 3:
            raise MemoryError
        return encode(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Torch, "encode", failing)
        with pytest.raises(MemoryError):
            run(visual=[model])
    run(visual=[model])
    assert comparable(pictures / "vis") == undisturbed


def test_killed_between_two_layers_only_the_one_that_lacks_a_chunk_gets_it(
    run: Run,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: list[int],
) -> None:
    run(visual=[SMALL])
    undisturbed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    stopped(run, monkeypatch, after=3, visual=[SMALL])
    (log,) = work_folder(pictures / "vis" / "classical" / "descriptors" / "gradient").glob("*/*.log")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    encoded.clear()
    run(visual=[SMALL])
    assert encoded == [4, 4, 4, 3]
    assert comparable(pictures / "vis") == undisturbed


@pytest.mark.parametrize("damage", ["torn line", "lost rows", "changed byte", "no rows"])
def test_what_is_half_written_is_never_read(
    run: Run,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    encoded: list[int],
) -> None:
    model = {**SMALL, "output_layers": "colour"}
    run(visual=[model])
    undisturbed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    stopped(run, monkeypatch, after=3, visual=[model])
    (log,) = work_folder(pictures / "vis" / "classical" / "descriptors" / "colour").glob("*/*.log")
    rows = log.with_suffix(".rows")
    if damage == "torn line":
        log.write_bytes(log.read_bytes()[:-9])
    elif damage == "lost rows":
        os.truncate(rows, rows.stat().st_size - 5)
    elif damage == "changed byte":
        data = bytearray(rows.read_bytes())
        data[-7] ^= 1
        rows.write_bytes(data)
    else:
        rows.unlink()
    encoded.clear()
    run(visual=[model])
    assert encoded == ([4, 4, 4, 4, 4, 3] if damage == "no rows" else [4, 4, 4, 3])
    assert comparable(pictures / "vis") == undisturbed


def test_what_was_kept_for_another_recipe_is_removed(
    run: Run,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: list[int],
) -> None:
    stopped(run, monkeypatch, after=3, visual=[SMALL])
    encoded.clear()
    run(visual=[{**SMALL, "batch_size": 20}])  # other chunks, and so other last bits
    assert encoded == [20, 3]
    assert not [name for name in comparable(pictures / "vis") if "/." in name]


def test_content_that_changed_while_the_run_was_stopped(
    run: Run,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: list[int],
) -> None:
    stopped(run, monkeypatch, after=4, visual=[SMALL])
    Image.new("RGB", (24, 24), "teal").save(pictures / "images" / "i002.png")
    encoded.clear()
    run(visual=[SMALL])
    assert encoded == [4, 4, 3], "the second chunk, which holds that picture, and the last two"
    resumed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    run(visual=[SMALL])
    assert comparable(pictures / "vis") == resumed


def test_of_a_finished_table_only_the_chunks_that_changed_are_computed(
    run: Run,
    pictures: Path,
    encoded: list[int],
    log: list[str],
) -> None:
    (pictures / "images" / "i010.png").write_bytes(b"broken")
    shutil.copy(pictures / "images" / "a.png", pictures / "images" / "z1.png")
    run(visual=[SMALL])
    Image.new("RGB", (24, 24), "teal").save(pictures / "images" / "i002.png")
    draw_images(pictures / "more", 1, seed=9)
    (pictures / "more" / "i000.png").rename(pictures / "images" / "zz.png")
    os.utime(pictures / "images" / "i012.png", ns=(1, 1))  # touched, but the same
    encoded.clear()
    run(visual=[SMALL])
    assert encoded == [4, 4]
    assert any("4 of 6 chunks have not changed and are used again" in line for line in log)
    updated = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    run(visual=[SMALL])
    assert comparable(pictures / "vis") == updated


def test_a_touched_catalogue_costs_no_forward_pass_and_a_damaged_matrix_is_not_trusted(
    run: Run,
    pictures: Path,
    encoded: list[int],
) -> None:
    (table,) = run(visual=[{**SMALL, "output_layers": "colour"}])
    before = comparable(pictures / "vis")
    os.utime(pictures / "images" / "i012.png", ns=(1, 1))
    encoded.clear()
    run(visual=[{**SMALL, "output_layers": "colour"}])
    assert encoded == []
    after = comparable(pictures / "vis")
    assert {name for name in after if after[name] != before[name]} == {"classical/descriptors/colour.json"}
    with table.path.with_name("colour.npy").open("r+b") as stream:
        stream.seek(-3, os.SEEK_END)
        stream.write(b"\1")
    os.utime(pictures / "images" / "i012.png", ns=(2, 2))
    run(visual=[{**SMALL, "output_layers": "colour"}])
    assert len(encoded) == 6


def test_a_corpus_that_changed_is_fitted_and_encoded_anew(run: Run, catalogue: Path) -> None:
    (first,) = run(textual=[TFIDF])
    before = np.array(first.matrix)
    write_texts(catalogue / "meta.tsv", {"a": "A red kettle.", "b": "Green chairs of oak.", "c": "A red lamp of oak."})
    (second,) = run(textual=[TFIDF])
    assert second.manifest["run"]["computed_now"] == 3
    assert before.shape[0] == 5


def test_a_run_with_nothing_to_do_loads_no_network_library(run: Run, catalogue: Path) -> None:
    run(visual=[RESNET], textual=[TFIDF])
    script = (
        "import sys; from extractor import extract; assert len(extract(sys.argv[1])) == 2;"
        "heavy = {'torch', 'torchvision', 'transformers', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
    )
    command = [sys.executable, "-c", script, str(catalogue / "extract.yml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


# --- locks


def test_two_processes_at_one_table_are_refused(run: Run, pictures: Path) -> None:
    table = pictures / "vis" / "classical" / "descriptors" / "gradient"
    lock = Lock(work_folder(table) / "run.lock")
    with pytest.raises(UserError, match=rf"process {os.getpid()} on .*, since .* is at this table already") as caught:
        run(visual=[SMALL])
    assert caught.value.where == str(table)
    lock.release()
    assert len(run(visual=[SMALL])) == 2


def test_the_lock_of_a_dead_process_is_taken_over(run: Run, pictures: Path, warnings_seen: list[str]) -> None:
    work = work_folder(pictures / "vis" / "classical" / "descriptors" / "gradient")
    work.mkdir(parents=True)
    (work / "run.lock").write_text(json.dumps({"pid": 999_999_999, "host": "here", "since": "12:00:00"}))
    run(visual=[SMALL])
    (warning,) = warnings_seen
    assert "process 999999999 on here, since 12:00:00, has ended without finishing; going on from there" in warning
    assert not work.exists()
    (work.parent / "x").mkdir()
    (work.parent / "x" / "run.lock").write_bytes(b"\xff{no json")
    assert Lock(work.parent / "x" / "run.lock").taken_over is None


def test_killed_right_after_the_end_nothing_is_left(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("extractor.partial.Partial.remove", lambda self: None)
        run(visual=[SMALL])
    encoded.clear()
    run(visual=[SMALL])
    assert encoded == []
    assert not [name for name in comparable(pictures / "vis") if "/." in name]


def test_what_a_killed_process_left_beside_the_table_is_removed(run: Run, pictures: Path) -> None:
    folder = pictures / "vis" / "classical" / "descriptors"
    for name in (".colour.12345678.tmp", ".colour.12345678.old", ".colourful.12345678.tmp"):
        (folder / name).mkdir(parents=True)
    run(visual=[{**SMALL, "output_layers": "colour"}])
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".colourful.12345678.tmp"]


def test_a_mistake_leaves_nothing_behind(run: Run, catalogue: Path) -> None:
    with pytest.raises(UserError, match="has no layer"):
        run(visual=[{**RESNET, "output_layers": "avgpol"}])
    assert comparable(catalogue / "vis") == {}


# --- full disks


@pytest.mark.parametrize("size", [300, 3000])
def test_a_full_disk_in_mid_write_gives_one_sentence_and_the_run_goes_on_later(
    run: Run,
    pictures: Path,
    size: int,
    encoded: list[int],
) -> None:
    model = {**SMALL, "output_layers": "colour"}
    run(visual=[model])
    undisturbed = comparable(pictures / "vis")
    shutil.rmtree(pictures / "vis")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    logger.remove()  # a log file of the test runner would hit the limit as well
    try:
        with pytest.raises(UserError, match="cannot write: File too large") as caught:
            run(visual=[model])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "goes on from there" in str(caught.value)
    run(visual=[model])
    assert comparable(pictures / "vis") == undisturbed
