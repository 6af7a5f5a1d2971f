"""Titles and descriptions of the items, from a small grammar.

Material, style, occasion and category are said, each by one of a few synonyms; how an item looks is never
said, so no sentence below may use a word for a colour, a shape or a pattern. Opening, order, wording and the
remarks about the shop vary at random and carry no taste.
"""

from __future__ import annotations

from string import Formatter

import numpy as np

from .attributes import CATEGORY, TEXTUAL
from .catalogue import Catalogue

_STREAM = 60

SYNONYMS: dict[str, tuple[str, ...]] = {
    # Materials: fit both "an oak mug" and "in oak".
    "ceramic": ("ceramic", "stoneware", "earthenware"),
    "glass": ("glass", "crystal"),
    "wood": ("wood", "oak", "beech"),
    "metal": ("metal", "pewter", "enamel"),
    "stone": ("marble", "granite", "soapstone"),
    # Styles: adjectives.
    "coastal": ("coastal", "seaside", "nautical"),
    "woodland": ("woodland", "forest", "sylvan"),
    "folk": ("folk", "rustic", "cottage"),
    "retro": ("retro", "vintage", "mid-century"),
    "celestial": ("celestial", "cosmic", "astral"),
    "bistro": ("bistro", "Parisian", "brasserie"),
    # Occasions: fit "a wedding present".
    "wedding": ("wedding", "bridal", "engagement"),
    "housewarming": ("housewarming", "new-home"),
    "birthday": ("birthday", "name-day"),
    "holidays": ("Christmas", "yuletide", "midwinter"),
    "graduation": ("graduation", "commencement"),
    # Categories: nouns.
    "mug": ("mug", "cup"),
    "vase": ("vase", "flower vase"),
    "lamp": ("lamp", "table lamp"),
    "clock": ("clock", "mantel clock"),
    "jar": ("jar", "storage jar"),
    "teapot": ("teapot", "tea pot"),
}
"""Value of a textual or shared attribute -> the words that say it."""

TITLES = (
    "{Style} {noun} in {material}",
    "{Material} {noun} from our {style} range",
    "{maker} {material} {noun}",
    "{maker} {style} {noun}",
    "{Style} {noun}, a {occasion} favourite",
    "{maker} {noun} for {occasion} gifts",
)

OPENINGS = (
    "{An_material} {noun} from the {maker} workshop.",
    "This {noun} is made of {material} by {maker}.",
    "{maker} sent us this {noun}, worked in {material} by hand.",
    "We fell for this {material} {noun} at first sight.",
    "Made in {material}, this {noun} is built for daily use.",
)

STYLES = (
    "It brings {an_style} mood to any shelf.",
    "Part of our {style} collection.",
    "The maker grew up with {style} stories, and you can tell.",
    "For lovers of all things {style}.",
    "Goes well with the rest of the {style} series.",
)

OCCASIONS = (
    "Most people buy it as {an_occasion} present.",
    "Ideal as {an_occasion} gift.",
    "We wrap it with {an_occasion} card at no charge.",
    "Our first choice for {occasion} parties.",
    "Ask us about {occasion} orders of six or more.",
)

REMARKS = (
    "Wipe clean with a damp cloth.",
    "Every piece comes out a little different.",
    "Posted within two days in recycled paper.",
    "Made in small batches, so please allow for small variations.",
    "Free returns within a month.",
    "Last year's batch sold out by spring.",
    "A customer in Leeds has bought four.",
    "Signed underneath by the maker.",
    "Comes in a sturdy box.",
    "Sturdier than it looks.",
    "We keep one on the counter ourselves.",
    "Please handle with care.",
)

MAKERS = (
    "Hartwell", "Ashdown", "Penrose", "Marlowe", "Fenwick", "Thornbury", "Calder", "Winslow",
    "Larkin", "Everley", "Tamsin", "Okafor", "Lindqvist", "Moretti", "Sato", "Duarte",
)  # fmt: skip


def words(catalogue: Catalogue, item: int) -> tuple[str, str]:
    """Title and description of one item; the same for the same spec."""
    rng = np.random.default_rng([catalogue.spec.seed, _STREAM, item])

    def one_of(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    def slots() -> dict[str, str]:
        """A title and each sentence choose their own synonyms, but what a thing is made of stays the same."""
        chosen = {name: one_of(SYNONYMS[value]) for name, value in said.items()}
        return {**chosen, "noun": chosen[CATEGORY], "material": material, "maker": maker}

    said = {name: catalogue.vocabularies[name][catalogue.attributes[name][item]] for name in (*TEXTUAL, CATEGORY)}
    material, maker = one_of(SYNONYMS[said["material"]]), one_of(MAKERS)
    title = fill(one_of(TITLES), slots())
    body = [fill(one_of(STYLES), slots()), fill(one_of(OCCASIONS), slots())]
    body += [REMARKS[pick] for pick in rng.choice(len(REMARKS), size=int(rng.integers(1, 4)), replace=False)]
    order = rng.permutation(len(body))
    return title, " ".join([fill(one_of(OPENINGS), slots()), *(body[place] for place in order)])


def fill(sentence: str, slots: dict[str, str]) -> str:
    """Fill in the slots: ``{style}`` as it is, ``{Style}`` capitalised, ``{an_style}`` with its article."""
    forms = {}
    for _, form, _, _ in Formatter().parse(sentence):
        if form is None:
            continue
        article = form.lower().startswith("an_")
        word = slots[form[3:] if article else form.lower()]
        if article:
            word = f"{'an' if word[0].lower() in 'aeio' else 'a'} {word}"
        forms[form] = word[0].upper() + word[1:] if form[0].isupper() else word
    return sentence.format(**forms)
