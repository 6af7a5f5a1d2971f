from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extractor.sources import ImageFolder, JoinedSource, TextFile, Unusable
from extractor.sources.images import read_image
from workbench.errors import UserError


def texts(path: Path, item: str | None = "item", text: str | None = "description") -> TextFile:
    return TextFile(path, item, text, "x.yml:1")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_image_ids_keep_their_dots_and_escapes_are_read_back(catalogue: Path) -> None:
    (catalogue / "images" / ".hidden.png").write_text("")
    (catalogue / "images" / "notes.txt").write_text("")
    source = ImageFolder(catalogue / "images", "x.yml:1")
    assert source.ids == ["../x", "a", "b.v1", "c"]
    assert source.read(1).size == (40, 30)


def test_a_missing_folder_names_its_neighbour(catalogue: Path) -> None:
    with pytest.raises(UserError, match=r"x.yml:1: no such folder of images: .*imges\n.*did you mean .*images\?"):
        ImageFolder(catalogue / "imges", "x.yml:1")


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "bomb"])
def test_broken_images_are_unusable_with_a_reason(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    content = {"truncated": buffer.getvalue()[:900], "text": b"no image", "empty": b"", "bomb": buffer.getvalue()}
    if kind == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    reason = {"truncated": "truncated", "text": "not an image", "empty": "empty", "bomb": "pixels"}[kind]
    with pytest.raises(Unusable, match=reason):
        read_image(write(tmp_path / "x.jpg", content[kind]))


def test_images_become_upright_rgb_on_white(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (20, 10), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (10, 20)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    Image.fromarray(np.full((2, 2), 0x8000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").getpixel((0, 0)) == (128, 128, 128)


def test_texts_are_taken_as_they_stand(catalogue: Path) -> None:
    source = texts(catalogue / "meta.tsv")
    assert source.ids == ["a", "b.v1", "c", "../x", "e/f"]
    assert source.read(1) == 'A 9" "blue" lamp with a paper shade.'
    assert source.read(2) == "nan"
    assert source.file(2).endswith("meta.tsv:4")


def test_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    source = texts(write(tmp_path / "m.tsv", "item\tdescription\r\na\tone\r\n\r\nb\ttwo"))
    assert [source.read(place) for place in range(2)] == ["one", "two"]
    assert source.file(1).endswith(":4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item\tdescription\n\tx\n", r"m.tsv:2: the item id is empty"),
        ("item\tdescriptoin\na\tx\n", r"no column 'description'; it has: item, descriptoin\n.*'descriptoin'"),
        ("item\tdescription\n", "a header and no item"),
        ("", "the file is empty"),
    ],
)
def test_faulty_tables_name_the_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        texts(write(tmp_path / "m.tsv", content))


def test_columns_may_be_left_out_only_where_there_is_no_doubt(tmp_path: Path, catalogue: Path) -> None:
    source = texts(write(tmp_path / "m.tsv", "asin\twords\na\tx\n"), None, None)
    assert (source.ids, source.read(0)) == (["a"], "x")
    with pytest.raises(UserError, match=r"`text_column` is missing.* 3 columns: item, title, description"):
        texts(catalogue / "meta.tsv", "item", None)


def test_joined_items_are_paired_by_id_and_the_others_listed(catalogue: Path) -> None:
    (catalogue / "images" / "c.png").rename(catalogue / "images" / "zz.png")
    source = JoinedSource(ImageFolder(catalogue / "images", ""), texts(catalogue / "meta.tsv"))
    assert source.ids == ["../x", "a", "b.v1"]
    image, text = source.read(1)
    assert image.size == (40, 30)
    assert text == "A red kettle of steel, for tea."
    assert [(note.item, note.reason) for note in source.left_out] == [
        ("zz", "no text for this image"),
        ("c", "no image for this text"),
        ("e/f", "no image for this text"),
    ]
