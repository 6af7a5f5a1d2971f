"""Contents that are the same are extracted once; too many that cannot be used end the run early."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS, TEXTS, TFIDF, Run, write_texts
from resume_cases import draw_images

from extractor.chunks import chunks_of, find_contents
from extractor.sources import ImageFolder
from workbench.errors import UserError


def test_the_same_content_is_extracted_once_and_shared(
    run: Run, catalogue: Path, encoded: list[int], log: list[str]
) -> None:
    for name in ("0.png", "b.png", "z.webp"):  # the name of a file is no part of its content
        shutil.copy(catalogue / "images" / "c.png", catalogue / "images" / name)
    colour, gradient = run(visual=[{**DESCRIPTORS, "output_layers": ["colour", "gradient"]}])
    assert encoded == [4]
    assert list(colour.ids) == ["../x", "0", "a", "b", "b.v1", "c", "z"]
    for table in (colour, gradient):
        rows, _ = table.gather(["c", "0", "b", "z"])
        assert (rows == rows[0]).all()
        assert len(np.unique(table.matrix, axis=0)) == 4
        assert table.manifest["distinct_contents"] == 4
        assert (np.load(table.path / "z.npy") == np.load(table.path / "c.npy")).all()
    assert any("3 of 7 visual contents are the same as another's: 4 are extracted" in line for line in log)


def test_texts_are_shared_and_unusable_ones_are_listed_for_every_item(run: Run, catalogue: Path) -> None:
    write_texts(catalogue / "meta.tsv", {**TEXTS, "again": TEXTS["a"], "dots": "...", "dots too": "...", "none": " "})
    (table,) = run(textual=[{**TFIDF, "clear_text": True}])
    rows, present = table.gather(["a", "again", "dots", "dots too", "none"])
    assert present.tolist() == [True, True, False, False, False]
    assert (rows[0] == rows[1]).all()
    lines = (catalogue / "txt" / "quarantine.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[1:3] for line in lines] == [
        [item, f"{catalogue / 'meta.tsv'}:{number}"] for item, number in (("dots", 8), ("dots too", 9), ("none", 10))
    ]


def test_a_joined_content_is_the_same_where_both_sides_are(catalogue: Path) -> None:
    from extractor.sources import JoinedSource, TextFile

    shutil.copy(catalogue / "images" / "a.png", catalogue / "images" / "e.png")
    shutil.copy(catalogue / "images" / "a.png", catalogue / "images" / "f.png")
    write_texts(catalogue / "meta.tsv", {"a": "one", "e": "one", "f": "two"})
    source = JoinedSource(
        ImageFolder(catalogue / "images", ""), TextFile(catalogue / "meta.tsv", "item", "description", "")
    )
    contents = find_contents(source)
    assert contents.first == [0, 2]
    assert contents.places(0) == [0, 1]


def test_chunks_follow_from_the_contents_alone(catalogue: Path) -> None:
    draw_images(catalogue / "images", 5)
    before = chunks_of(find_contents(ImageFolder(catalogue / "images", "")), 4)
    assert [len(chunk.places) for chunk in before] == [4, 4, 1]
    (catalogue / "images" / "i004.png").rename(catalogue / "images" / "i9.png")  # the item is another, the content not
    assert chunks_of(find_contents(ImageFolder(catalogue / "images", "")), 4) == before
    shutil.copy(catalogue / "images" / "i001.png", catalogue / "images" / "i002.png")
    after = chunks_of(find_contents(ImageFolder(catalogue / "images", "")), 4)
    assert after[0] == before[0]
    assert after[1].key != before[1].key


def test_an_unreadable_file_is_no_twin_of_another(catalogue: Path) -> None:
    for name in ("p.png", "q.png"):
        (catalogue / "images" / name).symlink_to(catalogue / "images" / "a.png")
    source = ImageFolder(catalogue / "images", "")
    (catalogue / "images" / "a.png").unlink()
    assert len(find_contents(source).first) == len(source)


# --- max_quarantined


def break_images(catalogue: Path, count: int) -> None:
    for number in range(count):
        (catalogue / "images" / f"i{number:03}.png").write_bytes(f"broken {number}".encode())


def test_too_many_unusable_items_end_the_run_early_with_one_sentence(
    run: Run, catalogue: Path, encoded: list[int]
) -> None:
    draw_images(catalogue / "images", 96)
    break_images(catalogue, 30)
    with pytest.raises(UserError) as caught:
        run(visual=[{**DESCRIPTORS, "batch_size": 4}])
    message = str(caught.value)
    assert "26 of 100 visual items could not be used so far, and `max_quarantined` allows 25" in message
    assert "(a quarter of them, and 20 in any case)" in message
    assert "i000.png: not an image" in message
    assert sum(encoded) < 10, "it did not go through the whole folder first"
    lines = (catalogue / "vis" / "quarantine.tsv").read_text().splitlines()
    assert len(lines) == 27
    encoded.clear()
    (table,) = run(visual=[{**DESCRIPTORS, "batch_size": 4}], max_quarantined=0.3)
    assert len(table.ids) == 70
    assert len((catalogue / "vis" / "quarantine.tsv").read_text().splitlines()) == 31


def test_the_share_counts_exactly_and_what_an_earlier_run_found_counts_too(run: Run, catalogue: Path) -> None:
    draw_images(catalogue / "images", 6)
    break_images(catalogue, 2)
    shutil.copy(catalogue / "images" / "i001.png", catalogue / "images" / "twin.png")  # 3 of 11
    with pytest.raises(UserError, match=r"3 of 11 .* allows 2 \(0.25\)"):
        run(visual=[{**DESCRIPTORS, "batch_size": 2}], max_quarantined=0.25)
    with pytest.raises(UserError, match=r"2 of 11 .* allows 1 \(0.1\)|3 of 11 .* allows 1 \(0.1\)"):
        run(visual=[{**DESCRIPTORS, "batch_size": 2}], max_quarantined=0.1)
    (table,) = run(visual=[{**DESCRIPTORS, "batch_size": 2}], max_quarantined=0.28)
    assert len(table.ids) == 8


def test_without_a_share_a_small_catalogue_may_lose_all_but_one(run: Run, catalogue: Path) -> None:
    for name in ("a", "b.v1", "c"):
        (catalogue / "images" / f"{name}.png").write_bytes(b"broken")
    (table,) = run(visual=[DESCRIPTORS])
    assert list(table.ids) == ["../x"]
    with pytest.raises(UserError, match=r"could not be used so far, and `max_quarantined` allows 0 \(0.0\)"):
        run(visual=[DESCRIPTORS], max_quarantined=0, overrides={"visual.items.output_path": "other"})


@pytest.mark.parametrize("share", [-0.1, 1.5, "many"])
def test_what_is_no_share(run: Run, share: object) -> None:
    with pytest.raises(UserError, match="max_quarantined"):
        run(visual=[DESCRIPTORS], max_quarantined=share)


def test_the_list_holds_what_every_model_could_not_use_whenever_it_ran(run: Run, catalogue: Path) -> None:
    write_texts(catalogue / "meta.tsv", {**TEXTS, "dots": "...", "blank": ""})
    run(textual=[TFIDF])
    (catalogue / "images" / "broken.png").write_bytes(b"")
    run(textual=[TFIDF], visual=[DESCRIPTORS])
    lines = (catalogue / "txt" / "quarantine.tsv").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == ["dots", "blank"]
    (catalogue / "txt" / "quarantine.tsv").unlink()
    run(textual=[TFIDF])  # nothing to do; a process may have been killed before it wrote the list
    assert (catalogue / "txt" / "quarantine.tsv").read_text().splitlines() == lines
