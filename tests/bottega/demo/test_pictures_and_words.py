"""Each modality shows its own attributes and none of the other's."""

import re

import numpy as np
import pytest
from skimage.color import rgb2hsv
from skimage.feature import hog
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifier

from bottega.demo import TEXTUAL, VISUAL, Catalogue, picture, words
from bottega.demo.words import MAKERS, OCCASIONS, OPENINGS, REMARKS, STYLES, SYNONYMS, TITLES, fill

LOOKS = frozenset(
    re.findall(
        "[a-z]+",
        """
        terracotta orange rust mustard yellow golden gold amber sage green olive teal turquoise navy
        blue indigo plum purple violet rose pink blush charcoal grey gray black white cream red
        brown silver brass copper colour color coloured colourful hue round rounded circular sphere
        square boxy slender slim tall squat wide low flared tapered conical curved shape shaped
        plain solid stripe stripes striped dot dots dotted polka spotted check checks checked
        chequered gingham zigzag chevron pattern patterned pale dark bright
        """,
    )
)
"""Words for colours, shapes and patterns."""


@pytest.fixture(scope="module")
def seen(shop: Catalogue) -> np.ndarray:
    """Colour histogram and gradients of every picture: (I, F)."""
    rows = []
    for item in range(shop.spec.n_items):
        pixels = np.asarray(picture(shop, item))
        hsv = rgb2hsv(pixels).reshape(-1, 3)
        colours = np.histogramdd(hsv, bins=(12, 4, 4), range=[(0, 1)] * 3)[0].ravel()
        edges = hog(pixels.mean(axis=2), pixels_per_cell=(12, 12), cells_per_block=(2, 2))
        rows.append(np.concatenate([np.sqrt(colours / colours.sum()), edges]))
    return np.array(rows)


@pytest.fixture(scope="module")
def said(shop: Catalogue) -> np.ndarray:
    """TF-IDF of every text: (I, F)."""
    texts = [" ".join(words(shop, item)) for item in range(shop.spec.n_items)]
    return TfidfVectorizer(sublinear_tf=True).fit_transform(texts).toarray()


def _accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Of a linear probe on the quarter of the items that it has not seen."""
    centred = features - features.mean(axis=0)
    cut = 3 * len(labels) // 4
    probe = RidgeClassifier(alpha=1.0).fit(centred[:cut], labels[:cut])
    return float((probe.predict(centred[cut:]) == labels[cut:]).mean())


@pytest.mark.parametrize(("name", "least"), [("colour", 0.9), ("shape", 0.8), ("pattern", 0.6), ("category", 0.8)])
def test_pictures_show_what_can_be_seen(shop: Catalogue, seen: np.ndarray, name: str, least: float) -> None:
    assert _accuracy(seen, shop.attributes[name]) > least


@pytest.mark.parametrize(("name", "least"), [*((name, 0.93) for name in TEXTUAL), ("category", 0.93)])
def test_texts_say_what_can_be_said(shop: Catalogue, said: np.ndarray, name: str, least: float) -> None:
    assert _accuracy(said, shop.attributes[name]) > least


def test_no_modality_gives_away_the_other(shop: Catalogue, seen: np.ndarray, said: np.ndarray) -> None:
    """Chance is about a fifth; on 100 items four standard errors are 0.16."""
    for features, hidden in ((seen, TEXTUAL), (said, VISUAL)):
        for name in hidden:
            assert _accuracy(features, shop.attributes[name]) < 0.37, name


def test_no_sentence_uses_a_word_for_looks() -> None:
    synonyms = [word for group in SYNONYMS.values() for word in group]
    grammar = " ".join([*TITLES, *OPENINGS, *STYLES, *OCCASIONS, *REMARKS, *MAKERS, *synonyms]).lower()
    assert not LOOKS & set(re.findall("[a-z]+", grammar))
    assert {value for values in VISUAL.values() for value in values} <= LOOKS


def test_no_word_says_two_values_and_no_filler_says_any() -> None:
    """A word of one value in another's synonyms, or in a remark, would blur the truth."""
    owners: dict[str, set[str]] = {}
    for value, synonyms in SYNONYMS.items():
        for synonym in synonyms:
            for word in re.findall("[a-z]+", synonym.lower()):
                owners.setdefault(word, set()).add(value)
    assert all(len(values) == 1 for values in owners.values()), owners
    fixed = " ".join([*TITLES, *OPENINGS, *STYLES, *OCCASIONS, *REMARKS, *MAKERS])
    bare = set(re.findall("[a-z]+", re.sub(r"\{.*?\}", " ", fixed).lower()))
    assert not bare & set(owners)


def test_texts_are_clean_single_lines_that_vary(shop: Catalogue) -> None:
    texts = [words(shop, item) for item in range(100)]
    assert texts == [words(shop, item) for item in range(100)]
    assert len({description for _, description in texts}) == 100
    for title, description in texts:
        assert title[0].isupper()
        assert description.endswith(".")
        assert not set('\t\n\r"{}') & set(title + description)


def test_every_text_says_the_values_of_its_item(shop: Catalogue) -> None:
    for item in range(100):
        text = " ".join(words(shop, item)).lower()
        for name, values in TEXTUAL.items():
            synonyms = SYNONYMS[values[shop.attributes[name][item]]]
            assert any(synonym.lower() in text for synonym in synonyms), (name, text)


def test_slots_take_articles_and_capitals() -> None:
    slots = {"material": "oak", "style": "retro"}
    assert fill("{An_material} and {a} {Style} {style}", {**slots, "a": "-"}) == "An oak and - Retro retro"
    assert fill("{an_style}", slots) == "a retro"


def test_pictures_repeat_to_the_pixel_and_vary_otherwise(shop: Catalogue) -> None:
    first = np.asarray(picture(shop, 0))
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, np.asarray(picture(shop, 0)))
    assert len({picture(shop, item).tobytes() for item in range(40)}) == 40
