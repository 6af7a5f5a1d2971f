"""`--plan` says what would be done, and writes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from extractor_cases import DESCRIPTORS, RESNET, TFIDF, Run
from resume_cases import draw_images, stop_before
from support import tree

from extractor.backends.visual_classical import Backend
from extractor.preview import _bytes_of, _size, _time
from extractor.run import main
from workbench.errors import UserError


def printed(catalogue: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[list[str]], str]:
    """The cells of the printed table, and the line below it."""
    capsys.readouterr()
    main(["--config", str(catalogue / "extract.yml"), "--plan", *words])
    *table, last = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[3:-1]], last


def test_the_plan_names_items_dimensions_disk_and_time_and_writes_nothing(
    run: Run, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(catalogue / "images" / "a.png", catalogue / "images" / "z.png")
    (catalogue / "images" / "broken.png").write_bytes(b"broken")
    resnet = {**RESNET, "output_layers": ["layer1", "avgpool"], "reshape": [32, 32]}
    with pytest.raises(UserError, match="has no layer"):  # writes the file of the configuration, and nothing else
        run(visual=[resnet], textual=[TFIDF], overrides={"visual.items.model.0.output_layers": "none"})
    before = tree(catalogue), sorted(catalogue.rglob("*"))
    rows, last = printed(catalogue, capsys)
    assert [row[:6] for row in rows] == [
        ["visual", "torch", "ResNet18", "layer1", "6 (5)", "4096"],
        ["visual", "torch", "ResNet18", "avgpool", "6 (5)", "512"],
        ["textual", "classical", "tfidf", "tfidf_svd", "5", "3"],
    ]
    assert [row[6] for row in rows] == ["221 kB", "37 kB", "21 kB"]
    assert {row[8] for row in rows} == {"not extracted yet"}
    assert last.startswith("about 0 s from a probe") or last.startswith("about 1 s from a probe")
    assert "nothing was written" in last
    assert (tree(catalogue), sorted(catalogue.rglob("*"))) == before
    tables = run(visual=[resnet], textual=[TFIDF])
    assert [str(table.dim) for table in tables] == [row[5] for row in rows], "as it then turns out"


def test_the_plan_tells_what_is_done_changed_or_begun(
    run: Run, catalogue: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_images(catalogue / "images", 4)
    run(visual=[DESCRIPTORS], textual=[TFIDF])
    rows, last = printed(catalogue, capsys)
    assert [row[5:] for row in rows] == [["-", "-", "-", "nothing changed"]] * 2
    assert last == "nothing to do"
    rows, _ = printed(catalogue, capsys, "--textual.items.model.0.dim", "2")
    assert [row[8] for row in rows] == ["nothing changed", "changed: svd"]
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "encode", stop_before(1))
        with pytest.raises(MemoryError):
            run(visual=[{**DESCRIPTORS, "output_layers": "gradient", "batch_size": 4}])
    rows, _ = printed(catalogue, capsys)
    assert [row[8] for row in rows] == ["not extracted yet; goes on where it was stopped"]


def test_a_plan_reads_few_items(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extractor.sources import ImageFolder

    draw_images(catalogue / "images", 200)
    with pytest.raises(UserError):
        run(visual=[DESCRIPTORS], overrides={"visual.items.model.0.output_layers": "none"})
    read: list[int] = []
    original = ImageFolder.read
    monkeypatch.setattr(ImageFolder, "read", lambda self, place: (read.append(place), original(self, place))[1])
    main(["--config", str(catalogue / "extract.yml"), "--plan"])
    assert len(read) == 16
    assert max(read) > 150, "spread over the source"


def test_a_source_of_which_nothing_can_be_used_is_planned_all_the_same(
    run: Run, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in (catalogue / "images").iterdir():
        image.write_bytes(b"broken")
    with pytest.raises(UserError):
        run(visual=[DESCRIPTORS])
    rows, _ = printed(catalogue, capsys)
    assert rows[0][4:6] == ["4 (1)", "0"]


def test_a_plan_is_for_the_whole(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--config", "x.yml", "--plan", "--shard", "1/2"])
    assert "`--plan` is for the whole, not for a share of it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (_bytes_of(512, True), 2048 + 4096),
        (_bytes_of(2048, True), 8192 + 12288),
        (_bytes_of(2048, False), 8192),
        (_size(999), "999 B"),
        (_size(81_920_000), "82 MB"),
        (_size(2.5e12), "2.5 TB"),
        (_time(89), "89 s"),
        (_time(600), "10 min"),
        (_time(9000), "2.5 h"),
    ],
)
def test_sums(found: Any, expected: Any) -> None:
    assert found == expected
