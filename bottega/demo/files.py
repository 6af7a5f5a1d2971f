"""The demo catalogue as files, laid out as a user's own data would be.

In the folder: ``images/<item>.jpg``; ``meta.tsv`` with the header item, title, description; ``reviews.tsv``
without a header: user, item, rating, unix time, in order of time; and ``catalogue.json``, which says what was
drawn. Both tables are separated by tabs and unquoted. Whatever else is in the folder is left alone.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.files import atomic_folder, read_json, write_json, write_text

from .catalogue import Catalogue, CatalogueSpec, draw
from .pictures import picture
from .words import words

VERSION = 1
"""Version of the generator: to be raised with any change that draws other files from the same spec."""

JPEG_QUALITY = 88

IMAGES, META, REVIEWS, RECORD = "images", "meta.tsv", "reviews.tsv", "catalogue.json"


def write(catalogue: Catalogue, folder: str | Path) -> None:
    """Write all files of a catalogue, each whole or not at all; last the record that they are complete."""
    folder = Path(folder)
    # Without the record, a drawing cut short is seen as none.
    (folder / RECORD).unlink(missing_ok=True)
    with atomic_folder(folder / IMAGES) as images:
        for item, item_id in enumerate(catalogue.item_ids):
            picture(catalogue, item).save(images / f"{item_id}.jpg", quality=JPEG_QUALITY)
    write_text(folder / META, _meta(catalogue))
    write_text(folder / REVIEWS, _reviews(catalogue))
    write_json(folder / RECORD, _record(catalogue.spec))


def ensure(folder: str | Path, spec: CatalogueSpec | None = None) -> bool:
    """Draw the catalogue of a spec (None: the default) unless the folder holds it; whether it was drawn."""
    folder, spec = Path(folder), spec or CatalogueSpec()
    if _holds(folder, spec):
        return False
    write(draw(spec), folder)
    return True


def _holds(folder: Path, spec: CatalogueSpec) -> bool:
    if not all((folder / name).is_file() for name in (META, REVIEWS, RECORD)):
        return False
    if sum(1 for _ in (folder / IMAGES).glob("*.jpg")) != spec.n_items:
        return False
    try:
        return bool(read_json(folder / RECORD) == _record(spec))
    except UserError:  # a record that cannot be read marks nothing
        return False


def _record(spec: CatalogueSpec) -> dict[str, Any]:
    return {"version": VERSION, "spec": asdict(spec)}


def _meta(catalogue: Catalogue) -> str:
    rows = [("item", "title", "description")]
    rows += [(item_id, *words(catalogue, item)) for item, item_id in enumerate(catalogue.item_ids)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _reviews(catalogue: Catalogue) -> str:
    columns = (catalogue.user, catalogue.item, catalogue.rating, catalogue.timestamp)
    return "".join(
        f"{catalogue.user_ids[user]}\t{catalogue.item_ids[item]}\t{rating}\t{timestamp}\n"
        for user, item, rating, timestamp in zip(*(column.tolist() for column in columns), strict=True)
    )
