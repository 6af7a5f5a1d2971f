"""From the staged dumps and the pictures to the files of a data folder."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from bottega.amazon.download import Absent
from bottega.amazon.fetching import user_agent
from bottega.amazon.staging import Staged
from bottega.amazon.texts import describe
from workbench.files import atomic_file, sha256_file, write_json, write_text

Keep = Literal["everything", "any", "all", "image", "text"]

RECORD, REVIEWS, META = "amazon.json", "reviews.tsv", "meta.tsv"
MISSING_IMAGES, MISSING_TEXTS, QUARANTINE = "missing_images.tsv", "missing_texts.tsv", "quarantine.tsv"
EXTRACT = "extract.yml"
FILES = (RECORD, REVIEWS, META, MISSING_IMAGES, MISSING_TEXTS, QUARANTINE, EXTRACT)
_HEADER = ("item_id", "title", "brand", "categories", "features", "description", "text")
_NO_METADATA = "no metadata"

_KEPT: dict[str, Callable[[bool, bool], bool]] = {
    "everything": lambda image, text: True,
    "any": lambda image, text: image or text,
    "all": lambda image, text: image and text,
    "image": lambda image, text: image,
    "text": lambda image, text: text,
}


@dataclass(frozen=True)
class Modalities:
    """What the items of the reviews have.

    Attributes
    ----------
    items : all of them. described : those with metadata. texts : those with a text.
    absent : item -> why it has no picture; None where nobody asked for pictures.
    """

    items: set[str]
    described: set[str]
    texts: set[str]
    absent: dict[str, Absent] | None = None

    def has(self, item: str) -> tuple[bool, bool]:
        """Whether the item has a picture, and a text."""
        return self.absent is not None and item not in self.absent, item in self.texts

    def kept(self, keep: Keep) -> set[str]:
        """The items that stay."""
        return {item for item in self.items if _KEPT[keep](*self.has(item))}


def look_at_texts(staged: Staged, parts: Sequence[str]) -> Modalities:
    """Which items there are, and which have metadata and a text."""
    items = {item for _, item, _ in staged.reviews()}
    described, texts = set(), set()
    for product in staged.products():
        described.add(product["item"])
        if describe(product, parts):
            texts.add(product["item"])
    return Modalities(items, described, texts)


def may_need_image(keep: Keep, has_text: bool) -> bool:
    """Whether an item can stay once its picture is there; if not, nobody needs to ask for it."""
    return _KEPT[keep](True, has_text)


def write_dataset(
    folder: Path, staged: Staged, modalities: Modalities, parts: Sequence[str], keep: Keep, settings: dict[str, Any]
) -> list[tuple[str, int, int, int]]:
    """Write the files of the folder, the record last; returns rows of (step, users, items, interactions)."""
    (folder / RECORD).unlink(missing_ok=True)  # without the record, files cut short are seen as none
    kept = modalities.kept(keep)
    users: set[str] = set()
    interactions = 0
    with atomic_file(folder / REVIEWS) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for user, item, line in staged.reviews():
            if item in kept:
                users.add(user)
                interactions += 1
                stream.write(line)
    _write_table(folder / META, _HEADER, _meta_rows(staged, kept, parts))
    _write_missing(folder, modalities)
    counts = staged.counts
    steps = [
        ("reviews as read", counts["users"], counts["items"], counts["reviews_read"]),
        (f"one a user and item ({settings['duplicates']})", counts["users"], counts["items"], counts["reviews"]),
        (f"items kept ({keep})", len(users), len(kept), interactions),
    ]
    record = {
        "version": 1,
        "year": staged.year,
        "sources": staged.sources,
        "settings": {"keep": keep, "text": list(parts), **settings},
        "counts": {**counts, "kept_users": len(users), "kept_items": len(kept), "kept_reviews": interactions}
        | {"texts": len(modalities.texts)}
        | ({} if modalities.absent is None else {"images": len(modalities.items) - len(modalities.absent)}),
        "sha256": {name: sha256_file(folder / name) for name in (REVIEWS, META)},
        "made_by": {"agent": user_agent(), "python": platform.python_version(), "pillow": version("pillow")},
    }
    write_json(folder / RECORD, record)
    return steps


def coverage(modalities: Modalities) -> list[tuple[str, int]]:
    """How many items have a picture, a text, both or neither."""
    counts = dict.fromkeys(("image and text", "image only", "text only", "neither"), 0)
    names = {(True, True): "image and text", (True, False): "image only", (False, True): "text only"}
    for item in modalities.items:
        counts[names.get(modalities.has(item), "neither")] += 1
    return list(counts.items())


def write_extraction(folder: Path, with_images: bool) -> Path:
    """A configuration of the extractor for the folder; one that is there is left alone."""
    path = folder / EXTRACT
    if not path.exists():
        write_text(
            path, _HEAD.format(folder=folder.as_posix(), path=path.as_posix()) + _VISUAL * with_images + _TEXTUAL
        )
    return path


def _meta_rows(staged: Staged, kept: Collection[str], parts: Sequence[str]) -> Iterator[Sequence[str]]:
    for product in staged.products():
        if product["item"] in kept:
            categories, features = " | ".join(product["categories"]), " ".join(product["features"])
            names = (product["item"], product["title"], product["brand"])
            yield *names, categories, features, product["description"], describe(product, parts)


def _write_missing(folder: Path, modalities: Modalities) -> None:
    """Both lists are of all items, kept or not."""
    texts = (
        (item, "the text is empty" if item in modalities.described else _NO_METADATA)
        for item in sorted(modalities.items - modalities.texts)
    )
    _write_table(folder / MISSING_TEXTS, ("item_id", "reason"), texts)
    if modalities.absent is None:
        (folder / MISSING_IMAGES).unlink(missing_ok=True)
        return
    images = ((item, absent.url, absent.why) for item, absent in sorted(modalities.absent.items()))
    _write_table(folder / MISSING_IMAGES, ("item_id", "url", "reason"), images)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("\t".join(header) + "\n")
        stream.writelines("\t".join(" ".join(field.split()) for field in row) + "\n" for row in rows)


_HEAD = """\
# Features of the items in {folder}. Change what you like; `bottega amazon` does not write over this file.
#
#     python extractor/run.py --config {path}
#
dataset_path: {folder}
gpu_list: -1                            # -1 is the CPU; 0 the first GPU
"""
_VISUAL = """
visual:
  items:
    input_path: images
    output_path: visual_embeddings
    model:
      - model_name: ResNet50
        backend: torch
        output_layers: avgpool
        reshape: [224, 224]
        preprocessing: zscore
        batch_size: 32
"""
_TEXTUAL = """
textual:
  items:
    input_path: meta.tsv
    item_column: item_id
    text_column: text                   # or title, description, ...
    output_path: textual_embeddings
    model:
      - model_name: sentence-transformers/all-mpnet-base-v2
        backend: sentence_transformers
        output_layers: 1
        batch_size: 32
"""
