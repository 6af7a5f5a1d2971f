"""The products of a dump: what they are called, described as, and where their pictures are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bottega.amazon.lines import Numbered, Quarantine, read_dump
from bottega.amazon.reviews import read_id
from bottega.amazon.texts import clean, clean_all, clean_title

_MOST_ADDRESSES = 4
_LONGEST_ADDRESS = 2048
_SIZES_2023 = ("large", "hi_res", "thumb")  # 500 pixels first: enough for every encoder, and a fifth of the bytes


@dataclass(frozen=True)
class Product:
    """One item; texts are clean (`texts.clean`), `urls` are tried in order."""

    item: str
    title: str
    brand: str
    categories: list[str]
    features: list[str]
    description: str
    urls: list[str]


def read_products(path: Path, year: int, quarantine: Quarantine) -> Iterator[Product]:
    """Every product of a file of metadata, in file order; products may stand several times.

    Raises
    ------
    UserError : as `read_dump`.
    """
    parse = _parse_2023 if year == 2023 else _parse_2018 if year == 2018 else _parse_2014
    return read_dump(path, parse, quarantine)


def _parse_2014(record: Numbered) -> Product:
    values = record.values
    paths = [path for path in _list(values.get("categories")) if isinstance(path, (list, str))]
    categories = [name for path in paths for name in _list(path)]
    return _product(values, "asin", "brand", categories, _list(values.get("imUrl")))


def _parse_2018(record: Numbered) -> Product:
    values = record.values
    names = ("imageURLHighRes", "imageURL", "image")  # the last: an earlier edition of the same collection
    lists = [_list(values.get(name)) for name in names]
    urls = [images[place] for place in range(2) for images in lists if place < len(images)]
    return _product(values, "asin", "brand", _list(values.get("category")), urls, _list(values.get("feature")))


def _parse_2023(record: Numbered) -> Product:
    values = record.values
    categories = _list(values.get("categories")) or _list(values.get("main_category"))
    images = sorted(_images_2023(values.get("images")), key=lambda image: image.get("variant") != "MAIN")
    urls = [image.get(size) for image in images for size in _SIZES_2023]
    return _product(values, "parent_asin", "store", categories, urls, _list(values.get("features")))


def _images_2023(images: Any) -> list[Mapping[str, Any]]:
    """A list of mappings as it stands, or a mapping of lists turned into one."""
    if isinstance(images, Mapping):
        columns = {name: _list(values) for name, values in images.items()}
        count = max((len(values) for values in columns.values()), default=0)
        return [
            {name: values[place] for name, values in columns.items() if place < len(values)} for place in range(count)
        ]
    return [image for image in _list(images) if isinstance(image, Mapping)]


def _product(
    values: Mapping[str, Any],
    item: str,
    brand: str,
    categories: Sequence[Any],
    urls: Sequence[Any],
    features: Sequence[Any] = (),
) -> Product:
    addresses = [url.strip() for url in urls if isinstance(url, str) and 0 < len(url.strip()) <= _LONGEST_ADDRESS]
    return Product(
        item=read_id(values, item),
        title=clean_title(values.get("title")),
        brand=clean(values.get(brand)),
        categories=clean_all(categories),
        features=clean_all(features),
        description=" ".join(clean_all(_list(values.get("description")))),
        urls=list(dict.fromkeys(addresses))[:_MOST_ADDRESSES],
    )


def _list(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty one, a single value as a list of one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
