"""The files: their layout, and when they are drawn again."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from bottega.demo import CatalogueSpec, draw, ensure, files, words, write


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_layout_is_that_of_a_users_own_data(tmp_path: Path, tiny: CatalogueSpec) -> None:
    shop = draw(tiny)
    write(shop, tmp_path / "demo")
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "images", "meta.tsv", "reviews.tsv", "catalogue.json",
    }  # fmt: skip
    assert {path.stem for path in (tmp_path / "demo" / "images").iterdir()} == set(shop.item_ids)
    with Image.open(tmp_path / "demo" / "images" / f"{shop.item_ids[3]}.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (32, 32))

    meta = pd.read_csv(tmp_path / "demo" / "meta.tsv", sep="\t", quoting=3, dtype=str)
    assert list(meta.columns) == ["item", "title", "description"]
    assert tuple(meta["item"]) == shop.item_ids
    assert tuple(meta.loc[5, ["title", "description"]]) == words(shop, 5)

    reviews = pd.read_csv(tmp_path / "demo" / "reviews.tsv", sep="\t", header=None, quoting=3)
    assert reviews.shape == (200, 4)
    assert reviews[0].tolist() == [shop.user_ids[user] for user in shop.user]
    assert reviews[1].tolist() == [shop.item_ids[item] for item in shop.item]
    assert reviews[2].tolist() == shop.rating.tolist()
    assert reviews[3].tolist() == shop.timestamp.tolist()


def test_the_same_spec_writes_the_same_bytes(tmp_path: Path, tiny: CatalogueSpec) -> None:
    write(draw(tiny), tmp_path / "one")
    write(draw(tiny), tmp_path / "two")
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_ensure_draws_once_for_a_spec_and_again_for_another(tmp_path: Path, tiny: CatalogueSpec) -> None:
    assert ensure(tmp_path, tiny)
    before = _contents(tmp_path)
    assert not ensure(tmp_path, tiny)
    assert _contents(tmp_path) == before

    other = replace(tiny, n_items=18, seed=8)
    assert ensure(tmp_path, other)
    assert len(list((tmp_path / "images").iterdir())) == 18
    assert json.loads((tmp_path / "catalogue.json").read_text())["spec"]["seed"] == 8
    assert not ensure(tmp_path, other)


@pytest.mark.parametrize("lost", ["meta.tsv", "reviews.tsv", "catalogue.json", "images/i0002.jpg"])
def test_ensure_draws_again_what_is_incomplete(tmp_path: Path, tiny: CatalogueSpec, lost: str) -> None:
    ensure(tmp_path, tiny)
    before = _contents(tmp_path)
    (tmp_path / lost).unlink()
    assert ensure(tmp_path, tiny)
    assert _contents(tmp_path) == before


def test_ensure_draws_again_under_a_broken_record(tmp_path: Path, tiny: CatalogueSpec) -> None:
    ensure(tmp_path, tiny)
    (tmp_path / "catalogue.json").write_text('{"version": 1, "sp')
    assert ensure(tmp_path, tiny)


def test_what_else_is_in_the_folder_stays(tmp_path: Path, tiny: CatalogueSpec) -> None:
    (tmp_path / "features").mkdir(parents=True)
    (tmp_path / "features" / "resnet.npy").write_bytes(b"mine")
    ensure(tmp_path, tiny)
    ensure(tmp_path, replace(tiny, seed=9))
    assert (tmp_path / "features" / "resnet.npy").read_bytes() == b"mine"


def test_a_drawing_cut_short_leaves_no_record_and_nothing_half_written(
    tmp_path: Path, tiny: CatalogueSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(tmp_path, tiny)

    def stumble(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "picture", stumble)
        with pytest.raises(KeyboardInterrupt):
            ensure(tmp_path, replace(tiny, seed=9))
    assert {path.name for path in tmp_path.iterdir()} == {"images", "meta.tsv", "reviews.tsv"}
    assert ensure(tmp_path, tiny)
