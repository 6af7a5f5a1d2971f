"""`bottega amazon` from dumps to a data folder that the extractor and the splitter read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from amazon_cases import (
    QUICK,
    Answer,
    PictureServer,
    meta_2014,
    picture,
    review_2014,
    review_2018,
    review_2023,
    write_lines,
)
from support import ROOT, launch, tree
from typer.testing import CliRunner

from benchmark.data.interactions import read_interactions
from bottega.amazon.job import AmazonSettings, build
from bottega.cli import app
from extractor import extract
from extractor.config import load_config
from extractor.sources.images import ImageFolder
from extractor.sources.texts import TextFile
from workbench.errors import UserError
from workbench.files import read_json, sha256_file
from workbench.locks import Lock

ANSWERS = {"/i1.jpg": Answer(picture(1)), "/i2.jpg": Answer(b"", 404), "/i3.jpg": Answer(picture(3, "PNG"))}


def dumps(folder: Path, address: str) -> tuple[Path, Path]:
    """i1: image and text; i2: text; i3: image, no text; i4: no metadata; i9 is never reviewed."""
    reviews = [
        review_2014("u1", "i1", 5.0, 1_300_000_300),
        review_2014("u1", "i1", 2.0, 1_300_000_100),
        review_2014("u2", "i2", 3.0, 1_300_000_200),
        "broken",
        review_2014("u3", "i3", 4.0, 1_300_000_000),
        review_2014("u3", "i4", 1.0, 1_300_000_000),
    ]
    meta = [
        meta_2014("i9", f"{address}/i9.jpg"),
        meta_2014("i2", f"{address}/i2.jpg", description="a <b>banana</b>\tsplit &amp; more", brand="B"),
        meta_2014("i1", f"{address}/i1.jpg", description="nan"),
        meta_2014("i3", f"{address}/i3.jpg", title="", categories=[]),
        meta_2014("i1", f"{address}/other.jpg"),
    ]
    return (
        write_lines(folder / "reviews_X_5.json.gz", reviews),
        write_lines(folder / "meta_X.json.gz", meta, literal=True),
    )


def lines(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_a_folder_has_all_that_the_extractor_and_the_splitter_need(tmp_path: Path, log: list[str]) -> None:
    folder = tmp_path / "data" / "x"
    with PictureServer(ANSWERS).running() as server:
        reviews, meta = dumps(tmp_path, server.address)
        build(reviews, meta, folder, AmazonSettings(images=QUICK))
        assert "/i9.jpg" not in server.requests
        address = server.address
    assert lines(folder / "reviews.tsv") == [
        ["u1", "i1", "5.0", "1300000300"],
        ["u2", "i2", "3.0", "1300000200"],
        ["u3", "i3", "4.0", "1300000000"],
        ["u3", "i4", "1.0", "1300000000"],
    ]
    assert lines(folder / "meta.tsv") == [
        ["item_id", "title", "brand", "categories", "features", "description", "text"],
        [
            *("i2", "Title i2", "B", "Baby | Toys | Gifts", "", "a banana split & more"),
            "Title i2. B. Baby, Toys, Gifts. a banana split & more.",
        ],
        ["i1", "Title i1", "", "Baby | Toys | Gifts", "", "", "Title i1. Baby, Toys, Gifts."],
        ["i3", "", "", "", "", "", ""],
    ]
    assert lines(folder / "missing_images.tsv") == [
        ["item_id", "url", "reason"],
        ["i2", f"{address}/i2.jpg", "HTTP 404 Not Found"],
        ["i4", "", "no metadata"],
    ]
    assert lines(folder / "missing_texts.tsv")[1:] == [["i3", "the text is empty"], ["i4", "no metadata"]]
    assert [row[:2] for row in lines(folder / "quarantine.tsv")[1:]] == [["reviews_X_5.json.gz", "4"]]
    assert any("1 lines cannot be used" in line for line in log)

    record = read_json(folder / "amazon.json")
    assert record["year"] == 2014
    assert record["sources"]["meta"]["sha256"] == sha256_file(meta)
    assert record["sha256"]["reviews.tsv"] == sha256_file(folder / "reviews.tsv")
    assert record["settings"]["text"] == ["title", "brand", "categories", "features", "description"]
    assert record["counts"] == {
        **{"users": 3, "items": 4, "reviews_read": 5, "reviews": 4, "bad_lines": 1},
        **{"products": 3, "products_repeated": 1, "products_never_reviewed": 1},
        **{"kept_users": 3, "kept_items": 4, "kept_reviews": 4, "texts": 2, "images": 2},
    }

    assert list(ImageFolder(folder / "images", "").ids) == ["i1", "i3"]
    texts = TextFile(folder / "meta.tsv", "item_id", "text", "")
    assert (list(texts.ids), list(texts.left_out)) == (["i2", "i1", "i3"], [])
    assert texts.read(0).startswith("Title i2. B.")
    assert len(read_interactions(folder / "reviews.tsv")) == 4


def test_the_extraction_file_is_one_that_the_extractor_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("data/x")
    with PictureServer(ANSWERS).running() as server:
        build(*dumps(tmp_path, server.address), folder, AmazonSettings(images=QUICK))
    config = load_config(folder / "extract.yml")
    assert [block.modality for block in config.sources()] == ["visual", "textual"]
    (folder / "extract.yml").write_text("mine")
    with PictureServer(ANSWERS).running() as server:
        build(*dumps(tmp_path, server.address), folder, AmazonSettings(images=QUICK))
    assert (folder / "extract.yml").read_text() == "mine"


CLASSICAL = """
dataset_path: data/x
visual: {items: {input_path: images, output_path: visual, model:
  {model_name: descriptors, backend: classical, output_layers: colour}}}
textual: {items: {input_path: meta.tsv, item_column: item_id, text_column: text, output_path: textual, model:
  {model_name: tfidf, backend: classical, output_layers: tfidf_svd, dim: 4}}}
"""


def test_features_and_a_split_can_be_made_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    items = [f"i{number}" for number in range(12)]
    with PictureServer({f"/{item}.jpg": Answer(picture(int(item[1:]))) for item in items[1:]}).running() as server:
        reviews = [review_2014(f"u{number}", item) for number in range(4) for item in items]
        meta = [meta_2014(item, f"{server.address}/{item}.jpg", description=f"a toy, the {item}th") for item in items]
        files = write_lines(tmp_path / "r.json", reviews), write_lines(tmp_path / "m.json", meta, literal=True)
        build(*files, Path("data/x"), AmazonSettings(images=QUICK))
    Path("extract.yml").write_text(CLASSICAL)
    visual, textual = extract("extract.yml")
    assert (set(visual.ids), set(textual.ids)) == (set(items[1:]), set(items))
    done = launch("run_split.py", "--dataset", "x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(lines(Path("data/x/items_map.tsv"))) == 12
    assert len(list(Path("data/x/visual_indexed").rglob("*.npy"))) == 11 + 1


@pytest.mark.parametrize(
    ("keep", "items", "asked"),
    [
        ("everything", {"i1", "i2", "i3", "i4"}, {"/i1.jpg", "/i2.jpg", "/i3.jpg"}),
        ("any", {"i1", "i2", "i3"}, {"/i1.jpg", "/i2.jpg", "/i3.jpg"}),
        ("all", {"i1"}, {"/i1.jpg", "/i2.jpg"}),
        ("image", {"i1", "i3"}, {"/i1.jpg", "/i2.jpg", "/i3.jpg"}),
        ("text", {"i1", "i2"}, {"/i1.jpg", "/i2.jpg"}),
    ],
)
def test_items_stay_by_what_they_have(
    tmp_path: Path, keep: Any, items: set[str], asked: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "x"
    with PictureServer(ANSWERS).running() as server:
        build(*dumps(tmp_path, server.address), folder, AmazonSettings(images=QUICK, keep=keep))
        assert set(server.requests) == asked
    assert {row[1] for row in lines(folder / "reviews.tsv")} == items
    assert {row[0] for row in lines(folder / "meta.tsv")[1:]} == items - {"i4"}
    printed = [line.strip("| ").split("|") for line in capsys.readouterr().out.splitlines()]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in printed}
    assert rows["reviews as read"] == ["3", "4", "5"]
    assert rows["one a user and item (last)"] == ["3", "4", "4"]
    assert rows[f"items kept ({keep})"][1] == str(len(items))
    if asked == {"/i1.jpg", "/i2.jpg", "/i3.jpg"}:
        assert [rows[name] for name in ("image and text", "image only", "text only", "neither")] == [["1"]] * 4


def test_other_settings_use_what_was_read_and_fetched(tmp_path: Path, log: list[str]) -> None:
    folder = tmp_path / "x"
    with PictureServer(ANSWERS).running() as server:
        files = dumps(tmp_path, server.address)
        build(*files, folder, AmazonSettings(images=QUICK))
        requests = server.requests.copy()
        build(*files, folder, AmazonSettings(images=QUICK, keep="all", text=("description", "title")))
        assert server.requests == requests
        assert any("were read before" in line for line in log)
        assert lines(folder / "meta.tsv")[1][-1] == "Title i1."
        build(*files, folder, AmazonSettings(images=QUICK, duplicates="max"))
        assert lines(folder / "reviews.tsv")[0][2] == "5.0"
        build(*files, folder, AmazonSettings(images=None, duplicates="first"))
        assert lines(folder / "reviews.tsv")[0][2] == "2.0"
        assert not (folder / "missing_images.tsv").exists()
        write_lines(files[0], [review_2014("u7", "i1")])
        build(*files, folder, AmazonSettings(images=None))
        assert lines(folder / "reviews.tsv") == [["u7", "i1", "5.0", "1300000000"]]


@pytest.mark.parametrize("year", [2018, 2023])
def test_the_later_collections_go_the_whole_way(tmp_path: Path, year: int) -> None:
    with PictureServer({"/a.jpg": Answer(picture())}).running() as server:
        url = f"{server.address}/a.jpg"
        if year == 2018:
            review = [review_2018("u", "i"), review_2018("v", "i")]
            product: dict[str, Any] = {"asin": "i", "title": "T", "category": ["C"], "imageURLHighRes": [url]}
        else:
            review = [review_2023("u", "i"), review_2023("v", "i")]
            product = {"parent_asin": "i", "title": "T", "categories": ["C"], "images": [{"large": url}]}
        files = write_lines(tmp_path / "X.jsonl.gz", review), write_lines(tmp_path / "meta_X.jsonl.gz", [product])
        build(*files, tmp_path / "x", AmazonSettings(images=QUICK))
    assert lines(tmp_path / "x" / "meta.tsv")[1] == ["i", "T", "", "C", "", "", "T. C."]
    seconds = "1500000000" if year == 2018 else "1600000000"
    assert lines(tmp_path / "x" / "reviews.tsv") == [["u", "i", "5.0", seconds], ["v", "i", "5.0", seconds]]
    assert (tmp_path / "x" / "images" / "i.jpg").read_bytes() == picture()


def test_contradictions_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    files = dumps(tmp_path, "http://127.0.0.1:9")
    folder = tmp_path / "x"
    for settings, message in (
        (AmazonSettings(images=None, keep="all"), "needs to know which items have pictures"),
        (AmazonSettings(images=None, text=("title", "colour")), "no part of a text: 'colour'"),
        (AmazonSettings(images=None, text=()), "missing or repeated"),
        (AmazonSettings(images=None, year=2023), "--year is of 2023"),
        (AmazonSettings(images=None, duplicates="error"), "on lines 1 and 2"),
    ):
        with pytest.raises(UserError, match=message):
            build(*files, folder, settings)
    with pytest.raises(UserError, match="no name of a data set"):
        build(*files, tmp_path / "..", AmazonSettings(images=None))
    with pytest.raises(UserError, match="no item has what --keep all asks for"):
        build(*files, folder, AmazonSettings(keep="all"))  # the addresses are of this machine: refused
    assert not (folder / "reviews.tsv").exists()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "reviews.tsv").write_text("mine")
    with pytest.raises(UserError, match="made by something else"):
        build(*files, folder, AmazonSettings(images=None))
    assert tree(folder) == {"reviews.tsv": b"mine"}


def test_what_a_killed_run_left_unfinished_is_removed(tmp_path: Path) -> None:
    files = dumps(tmp_path, "http://127.0.0.1:9")
    build(*files, tmp_path / "x", AmazonSettings(images=None))
    before = tree(tmp_path / "x")
    for name in (".reviews.tsv.0a1b2c3d.tmp", "images/.i1.jpg.0a1b2c3d.tmp", ".amazon/.products.jsonl.0a1b2c3d.tmp"):
        (tmp_path / "x" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x" / name).write_text("half")
    build(*files, tmp_path / "x", AmazonSettings(images=None))
    assert tree(tmp_path / "x") == before


def test_two_runs_at_one_folder_are_refused(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "x" / ".amazon" / "lock")
    with pytest.raises(UserError, match="another run is at work"):
        build(*dumps(tmp_path, "http://127.0.0.1:9"), tmp_path / "x", AmazonSettings(images=None))
    lock.release()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with PictureServer(ANSWERS).running() as server:
        reviews, meta = dumps(tmp_path, server.address)
        arguments = ["amazon", "--reviews", str(reviews), "--meta", str(meta), "--dataset", "x", "--delay", "0"]
        done = CliRunner().invoke(app, [*arguments, "--allow-local", "--text", "title, brand", "--keep", "any"])
    assert done.exit_code == 0, done.output
    assert "items kept (any)" in done.output
    assert lines(tmp_path / "data/x/meta.tsv")[1][-1] == "Title i2. B."
    assert CliRunner().invoke(app, [*arguments, "--keep", "some"]).exit_code == 2


def go(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bottega", "amazon", "--reviews", "reviews_X_5.json.gz", "--meta"]
    command += ["meta_X.json.gz", "--dataset", "x", "--allow-local", "--delay", "0.01", "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background inherits "ignore"
    )


def wait_for_pictures(folder: Path, count: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(list((folder / "data" / "x" / "images").glob("*.*"))) >= count:
            return
        time.sleep(0.005)
    raise AssertionError("no pictures came")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_half_way_and_resumed_gives_the_same_folder(tmp_path: Path, how: int) -> None:
    items = [f"i{number}" for number in range(60)]
    with PictureServer(
        {f"/{item}.jpg": Answer(picture(int(item[1:])), seconds=0.02) for item in items}
    ).running() as server:
        for name in ("whole", "ended"):
            write_lines(tmp_path / name / "reviews_X_5.json.gz", [review_2014("u", item) for item in items])
            meta = [meta_2014(item, f"{server.address}/{item}.jpg") for item in items]
            write_lines(tmp_path / name / "meta_X.json.gz", meta, literal=True)
        assert go(tmp_path / "whole").wait(60) == 0
        first = server.requests.total()
        run = go(tmp_path / "ended")
        wait_for_pictures(tmp_path / "ended", 15)
        run.send_signal(how)
        said = run.communicate(timeout=60)[1]
        assert run.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
        assert how == signal.SIGKILL or "the same command goes on from there" in said
        assert not (tmp_path / "ended" / "data" / "x" / "amazon.json").exists()
        assert go(tmp_path / "ended").wait(60) == 0
        assert server.requests.total() - first <= 60 + 2 + 2  # but for what was under way
    left, right = (tree(tmp_path / name / "data" / "x") for name in ("whole", "ended"))
    assert sorted(path for path in left) == sorted(path for path in right)
    differing = {path for path in left if left[path] != right[path]}
    # the order of the journal, and the times of two copies of the dumps
    assert differing <= {".amazon/downloads.jsonl", ".amazon/stage.json", "amazon.json"}
    records = [json.loads(one["amazon.json"]) for one in (left, right)]
    for record in records:
        for source in record["sources"].values():
            source.pop("sha256")  # gzip writes the time
            source.pop("bytes")
    assert records[0] == records[1]
