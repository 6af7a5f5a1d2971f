"""Bad content of every kind: the message that says what is wrong, and that everything else was extracted."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS, RESNET, TEXTS, TFIDF, Run, write_texts
from PIL import Image

from workbench.errors import UserError
from workbench.features import FeatureTable

MFCC = {"model_name": "mfcc", "backend": "classical", "output_layers": "mfcc"}
COLUMNS = "item\ttitle\tdescription\n"


def left_out(output: Path) -> dict[str, tuple[str, str]]:
    """`quarantine.tsv` as item -> (name of the file and line, reason)."""
    path = output / "quarantine.tsv"
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    fields = [line.split("\t") for line in lines]
    return {item: (Path(file).name, reason) for _, item, file, reason in fields}


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


def jpeg(image: Image.Image, **keys: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **keys)
    return buffer.getvalue()


# ---- images


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("bad.jpg", lambda: jpeg(noise())[:700], "truncated"),
        ("bad.jpg", lambda: b"", "the file is empty"),
        ("bad.jpg", lambda: b"item\ttext\n", "not an image that Pillow can read"),
        ("bad.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), ""),
        ("bad.tif", lambda: b"MM nonsense", ""),
    ],
)
def test_a_broken_image_is_listed(
    run: Run, catalogue: Path, name: str, content: Callable[[], bytes], reason: str
) -> None:
    (catalogue / "images" / name).write_bytes(content())
    (table,) = run(visual=[DESCRIPTORS])
    assert table.ids == ["../x", "a", "b.v1", "c"]
    file, why = left_out(catalogue / "vis")["bad"]
    assert file == name
    assert reason in why
    assert "\n" not in why


def test_a_huge_image_is_listed(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise((400, 300)).save(catalogue / "images" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    (table,) = run(visual=[DESCRIPTORS])
    assert len(table.ids) == 4
    assert left_out(catalogue / "vis")["huge"] == ("huge.png", "400 x 300 pixels is more than 100000")


def test_an_image_that_may_not_be_read_is_listed(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Image.open

    def refuse(path: Any, *rest: Any) -> Any:
        if str(path).endswith("a.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr(Image, "open", refuse)
    (table,) = run(visual=[DESCRIPTORS])
    assert table.ids == ["../x", "b.v1", "c"]
    assert "Permission denied" in left_out(catalogue / "vis")["a"][1]


def test_images_of_every_mode_are_taken(run: Run, catalogue: Path) -> None:
    folder = catalogue / "images"
    for path in folder.iterdir():
        path.unlink()
    plain = noise()
    grey = plain.convert("L")
    (folder / "cmyk.jpg").write_bytes(jpeg(plain.convert("CMYK")))
    grey.save(folder / "grey.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "deep.png")
    plain.convert("P").save(folder / "palette.gif")
    plain.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")])
    exif = Image.Exif()
    exif[0x0112] = 6
    plain.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    plain.save(folder / "upright.png")
    plain.save(folder / "png.jpg", "PNG")  # the wrong extension
    (folder / "text.txt").write_text("no image, and not called one")
    (table,) = run(visual=[{**RESNET, "preprocessing": None, "reshape": [48, 48]}])
    assert len(table.ids) == 8
    assert left_out(catalogue / "vis") == {}

    def row(item: str) -> np.ndarray:
        values: np.ndarray = table.gather([item])[0][0]
        return values

    np.testing.assert_allclose(row("turned"), row("upright"), atol=1e-4)
    np.testing.assert_allclose(row("png"), row("upright"), atol=1e-4)
    np.testing.assert_allclose(row("deep"), row("grey"), atol=0.02)


def test_an_unreadable_folder(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("extractor.sources.folder.os.scandir", refuse)
    with pytest.raises(UserError, match=r"extract.yml:\d+: the folder .*images cannot be read: Permission denied"):
        run(visual=[DESCRIPTORS])


# ---- texts


def rewrite(catalogue: Path, rows: str | bytes) -> None:
    content = rows if isinstance(rows, bytes) else rows.encode()
    (catalogue / "meta.tsv").write_bytes(COLUMNS.encode() + content)


@pytest.mark.parametrize(
    ("bad", "item", "reason"),
    [
        (b"bad\tt\ta tab\twithin", "bad", "4 fields where the header has 3 (a tab or a line break within a text?"),
        (b"bad\tt\tcaf\xe9 au lait", "bad", "not UTF-8: invalid continuation byte at byte 9 of the line"),
        (b"bad\tt\ta NUL \0 within", "bad", "a NUL at character 12 of the line"),
        (b"bad\tonly two", "bad", "2 fields where the header has 3"),
        (b"bad\tt\t ", "bad", "the text is empty"),
        (b"\tt\tno id", "", "the item id is empty"),
        (b"a\tt\tanother text", "a", "the item stands on line 2 already, whose text was taken"),
        (b"b\xe9d\tt\twords here", "", "not UTF-8"),
        (b"a\tt\twords\tand a tab", "a", "4 fields where the header has 3"),
    ],
)
def test_a_broken_line_is_listed(run: Run, catalogue: Path, bad: bytes, item: str, reason: str) -> None:
    rewrite(catalogue, b"a\tt\tred kettle\n" + bad + b"\nc\tt\tgreen chair\n")
    (table,) = run(textual=[{**TFIDF, "dim": 2}])
    assert table.ids == ["a", "c"]
    file, why = left_out(catalogue / "txt")[item]
    assert file == "meta.tsv:3"
    assert why.startswith(reason)


def test_quotes_nan_bom_and_carriage_returns_are_no_harm(run: Run, catalogue: Path) -> None:
    rows = 'a\tt\t"a stray quote\r\nb\tt\tnan\r\nc\t"\tmore" words\r\nd\tt\tN/A\r\n'
    (catalogue / "meta.tsv").write_bytes(b"\xef\xbb\xbf" + (COLUMNS + rows).encode())
    (table,) = run(textual=[{**TFIDF, "dim": 2}])
    assert table.ids == ["a", "b", "c"]
    assert left_out(catalogue / "txt") == {"d": ("meta.tsv:5", "tfidf: the text has no word of two letters or more")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"item\ttitle\tdescripton\na\tt\tx\n",
            r"extract.yml:\d+: .* has no column 'description'; it has: item",
        ),
        (
            "item\tdescription\na\tred\n".encode("utf-16"),
            r"meta.tsv:1: the header: not UTF-8.*\n.*save the file as UTF-8",
        ),
        (b"item\titem\tdescription\n", "the column 'item' stands twice"),
        (b"\n", "has no column 'item'"),
        (b"item\ttitle\tdescription\n\tx\ty\n", r"a header and no item\n.*meta.tsv:2: the item id is empty"),
    ],
)
def test_a_broken_header_stops_before_anything_is_extracted(
    run: Run, catalogue: Path, content: bytes, message: str
) -> None:
    (catalogue / "meta.tsv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        run(visual=[DESCRIPTORS], textual=[TFIDF])
    assert not (catalogue / "vis").exists()


# ---- recordings


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"RIFF nonsense", "not a recording that libsndfile can read"),
        (None, "the recording has no samples"),
        (np.array([0.1, np.nan, 0.2]), "samples that are no numbers"),
    ],
)
def test_a_broken_recording_is_listed(run: Run, catalogue: Path, sounds: Any, content: Any, reason: str) -> None:
    import soundfile

    path = catalogue / "sounds" / "bad.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, np.zeros(0) if content is None else content, 8000, subtype="FLOAT")
    (table,) = run(audio=[MFCC])
    assert sorted(table.ids) == sorted(sounds)
    assert reason in left_out(catalogue / "aud")["bad"][1]


def test_a_recording_of_hours_and_one_cut_short(
    run: Run, catalogue: Path, sounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (catalogue / "sounds" / "b.v1.flac").read_bytes()
    (catalogue / "sounds" / "cut.flac").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr("extractor.sources.recordings.MOST_SECONDS", 0.4)
    (table,) = run(audio=[MFCC])
    assert "c" in table.ids
    assert "minutes are more than" in left_out(catalogue / "aud")["a"][1]


@pytest.mark.parametrize("format", ["ogg", "mp3", "flac"])
def test_compressed_recordings_are_read(run: Run, catalogue: Path, sounds: Any, format: str) -> None:
    import soundfile

    soundfile.write(catalogue / "sounds" / f"new.{format}", np.sin(np.arange(8000) / 9), 16_000)
    (table,) = run(audio=[MFCC])
    assert "new" in table.ids


def test_without_soundfile_there_is_one_sentence(run: Run, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (catalogue / "sounds").mkdir()
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(UserError, match=r"recordings need the package soundfile\n.*bottega\[audio\]"):
        run(audio=[MFCC])


# ---- ids and pairs


def test_ids_that_look_like_trouble(run: Run, catalogue: Path) -> None:
    odd = ["a", "A", "a.b", "a.c", "../x", "..", "/etc/passwd", "x" * 300, "x" * 300 + "y", "\U0001f3a8", "a b", "%2E"]
    write_texts(catalogue / "meta.tsv", {item: f"text number {place} of kettle" for place, item in enumerate(odd)})
    (table,) = run(textual=[{**TFIDF, "dim": 3}])
    assert list(table.ids) == odd
    files = list(table.path.iterdir())
    assert len(files) == len(odd)
    assert {path.parent for path in files} == {table.path}
    bare = FeatureTable(table.path, table.ids, table.matrix, {})
    for item in odd:
        np.testing.assert_array_equal(bare.gather([item])[0][0], table.matrix[odd.index(item)])
    assert not (catalogue / "etc").exists()


def test_images_whose_names_differ_in_case_or_after_the_dot(run: Run, catalogue: Path) -> None:
    for name in ("Case.png", "case.png", "a.b.png", "\U0001f3a8.png", f"{'x' * 240}.png"):
        noise().resize((30, 20 + len(os.fsencode(name)) % 9)).save(catalogue / "images" / name)
    (table,) = run(visual=[DESCRIPTORS])
    assert {"Case", "case", "a.b", "\U0001f3a8", "x" * 240} <= set(table.ids)


def test_two_images_of_one_item(run: Run, catalogue: Path, warnings_seen: list[str]) -> None:
    (catalogue / "images" / "a.jpg").write_bytes(jpeg(noise()))
    (table,) = run(visual=[DESCRIPTORS])
    assert len(table.ids) == 4
    assert left_out(catalogue / "vis") == {"a": ("a.png", "a.jpg is this item's image already")}
    assert any("1 files left out" in text for text in warnings_seen)


def test_items_without_their_other_half_are_listed(run: Run, catalogue: Path, sounds: Any) -> None:
    (catalogue / "images" / "c.png").rename(catalogue / "images" / "picture only.png")
    pair = {"model_name": "descriptors + tfidf", "backend": "classical", "output_layers": ["colour", "tfidf_svd"]}
    visual, textual = run(joined=[{**pair, "dim": 2}])
    assert visual.ids == textual.ids == ["../x", "a", "b.v1"]
    reasons = {item: reason for item, (_, reason) in left_out(catalogue / "vis").items()}
    assert reasons == {
        "picture only": "no text for this image",
        "c": "no image for this text",
        "e/f": "no image for this text",
    }
    run(visual_audio=[{**pair, "model_name": "descriptors + mfcc", "output_layers": ["colour", "mfcc"]}])
    reasons = {item: reason for item, (_, reason) in left_out(catalogue / "aud").items()}
    assert reasons == {"picture only": "no recording for this image", "c": "no image for this recording"}
    write_texts(catalogue / "meta.tsv", {f"other {item}": text for item, text in TEXTS.items()})
    with pytest.raises(UserError, match=r"no item has both an image and a text: images are called '\.\./x', \.\.\."):
        run(joined=[{**pair, "dim": 2}])
