"""Reviews: user-item pairs as rows, under ids that no two pairs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from extractor_cases import DESCRIPTORS, TFIDF
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extractor import extract
from workbench.errors import UserError
from workbench.pairs import pair_id, split_pair

REVIEWS = "rating\tuser\titem\treview\n5\tu1\ti1\tlovely red kettle\n4\tu1\ti2\tgood lamp\n1\tu2/x\ti1\tbroken kettle\n"
halves = st.text(st.sampled_from("_%5Fa/"), min_size=1, max_size=6)


@given(halves, halves, halves, halves)
@settings(max_examples=300, deadline=None)
def test_no_two_pairs_have_one_id_and_each_can_be_taken_apart(user: str, item: str, other: str, another: str) -> None:
    assert split_pair(pair_id(user, item)) == (user, item)
    assert (pair_id(user, item) == pair_id(other, another)) == ((user, item) == (other, another))


@pytest.mark.parametrize(
    ("pair", "identifier"),
    [
        (("A2X", "B0_01"), "A2X__B0_01"),
        (("a_", "b"), "a%5F__b"),
        (("a", "_b"), "a__%5Fb"),
        (("a__b", "c"), "a%5F%5Fb__c"),
        (("5%", "c"), "5%25__c"),
    ],
)
def test_most_ids_stay_as_they_are(pair: tuple[str, str], identifier: str) -> None:
    assert pair_id(*pair) == identifier
    assert split_pair("no pair") is split_pair("a___b") is split_pair("a__") is None


def run(folder: Path, modality: str, **source: Any) -> Any:
    config = {"dataset_path": str(folder), modality: {"interactions": source}}
    (folder / "x.yml").write_text(yaml.safe_dump(config))
    return extract(folder / "x.yml")


def texts(**keys: Any) -> dict[str, Any]:
    return {
        "input_path": "reviews.tsv", "output_path": "txt", "interaction_columns": ["user", "item"],
        "text_column": "review", "model": [{**TFIDF, "dim": 2}], **keys,
    }  # fmt: skip


def test_reviews(tmp_path: Path) -> None:
    (tmp_path / "reviews.tsv").write_text(REVIEWS + "3\tu1\ti1\tsecond thoughts\n2\t\ti9\tnobody\n")
    (table,) = run(tmp_path, "textual", **texts())
    assert table.ids == ["u1__i1", "u1__i2", "u2/x__i1"]
    assert sorted(path.name for path in table.path.iterdir()) == ["u1__i1.npy", "u1__i2.npy", "u2%2Fx__i1.npy"]
    listed = (tmp_path / "txt" / "quarantine.tsv").read_text()
    assert "u1__i1\t" in listed
    assert "the item stands on line 2 already" in listed
    assert "the user id or the item id is empty" in listed
    assert table.manifest["recipe"]["modality"] == "textual interactions"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"interaction_columns": ["user"]}, "interaction_columns"),
        ({"interaction_columns": ["user", "item", "rating"]}, "interaction_columns"),
        ({"interaction_columns": ["usr", "item"]}, r"no column 'usr'.*\n.*'user'"),
        ({"interaction_columns": ["user", "user"]}, "need a column each"),
        ({"item_column": "item"}, r"unknown key `textual.interactions.item_column`.*\n.*text_column"),
    ],
)
def test_refusals(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    (tmp_path / "reviews.tsv").write_text(REVIEWS)
    with pytest.raises(UserError, match=message):
        run(tmp_path, "textual", **texts(**keys))


def test_photos_of_reviews(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("u1__i1.png", "u2%2Fx__i1.png", "no pair.png", "a___b.png"):
        noise = np.random.default_rng(len(name)).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / name)
    source = {"input_path": "images", "output_path": "vis", "model": [DESCRIPTORS]}
    (table,) = run(tmp_path, "visual", **source)
    assert table.ids == ["u1__i1", "u2/x__i1"]
    assert (tmp_path / "vis" / "quarantine.tsv").read_text().count("the name is not <user>__<item>") == 2
    (tmp_path / "reviews.tsv").write_text(REVIEWS)
    pair = {"model_name": "descriptors + tfidf", "backend": "classical", "output_layers": ["colour", "tfidf_svd"]}
    joined = texts(model=[{**pair, "dim": 2, "fusion": "concat"}])
    joined |= {
        "input_path": {"visual": "images", "textual": "reviews.tsv"},
        "output_path": {"visual": "v", "textual": "t"},
    }
    (table,) = run(tmp_path, "visual_textual", **joined)
    assert table.ids == ["u1__i1", "u2/x__i1"]
    assert table.path.relative_to(tmp_path).parts[0] == "v_t_concat"
