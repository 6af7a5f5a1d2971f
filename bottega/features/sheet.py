"""A contact sheet: items and their nearest neighbours, for a person to judge an encoder by."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np

from workbench.config import nearest
from workbench.errors import UserError
from workbench.features import FeatureTable
from workbench.files import unescape_name, write_text

_BLOCK = 4096
_SHOWN = 12  # items that are shown where none are named
_THUMBNAIL = 112  # pixels
_CAPTION = 90  # characters
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fafafa }
h1 { font-size: 1.2rem } table { border-collapse: collapse } td { padding: .4rem; vertical-align: top; width: 124px }
td:first-child { border-right: 3px solid #ccc } img { border-radius: 6px; display: block; max-width: 112px }
.id { font-weight: 600 } .near { color: #666 } .text { font-size: 12px; color: #444 }
"""


def nearest_rows(table: FeatureTable, queries: list[str], count: int) -> list[list[tuple[str, float]]]:
    """For each query the `count` other items of largest cosine, best first, as (item, cosine)."""
    ids = np.array([item if item is not None else "" for item in table.ids], dtype=object)
    rows = [table.row_of[item] for item in queries]
    wanted = _unit(np.asarray(table.matrix[rows]))
    best: np.ndarray = np.full((len(queries), 0), -np.inf)
    places: np.ndarray = np.zeros((len(queries), 0), dtype=np.int64)
    for start in range(0, len(ids), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(ids)))
        cosines = wanted @ _unit(np.asarray(table.matrix[block[0] : block[-1] + 1])).T
        cosines[:, ids[block] == ""] = -np.inf
        cosines[np.equal.outer(rows, block)] = -np.inf
        best = np.concatenate([best, cosines], axis=1)
        places = np.concatenate([places, np.broadcast_to(block, cosines.shape)], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :count]
        best, places = np.take_along_axis(best, order, 1), np.take_along_axis(places, order, 1)
    return [
        [(str(ids[place]), float(value)) for place, value in zip(line, values, strict=True) if np.isfinite(value)]
        for line, values in zip(places, best, strict=True)
    ]


def write_sheet(
    table: FeatureTable, out: Path, items: list[str], count: int, images: Path | None, texts: Path | None
) -> None:
    """Write the page; it holds its thumbnails and needs nothing else.

    Raises
    ------
    UserError : an item that the table does not have.
    """
    known = list(table.row_of)
    for item in items:
        if item not in table.row_of:
            raise UserError(f"the table has no item {item!r}", where=table.path, mend=nearest(item, known[:5000]))
    queries = items or [known[place] for place in np.linspace(0, len(known) - 1, min(_SHOWN, len(known))).astype(int)]
    captions = _captions(texts)
    files = (
        {}
        if images is None
        else {unescape_name(file.stem): file for file in sorted(images.iterdir()) if file.is_file()}
    )
    lines = []
    for query, found in zip(queries, nearest_rows(table, queries, count), strict=True):
        cells = [_cell(query, None, files, captions)]
        cells += [_cell(item, cosine, files, captions) for item, cosine in found]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    title = f"Nearest neighbours in {escape(str(table.path))}"
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    page += f"<h1>{title}</h1><p>Left: the item. Right: its neighbours by cosine, nearest first.</p>"
    write_text(out, f"{page}<table>{''.join(lines)}</table></html>\n")


def _cell(item: str, cosine: float | None, files: dict[str, Path], captions: dict[str, str]) -> str:
    near = "" if cosine is None else f'<div class="near">cosine {cosine:.3f}</div>'
    text = captions.get(item, "")
    text = text if len(text) <= _CAPTION else text[: _CAPTION - 1] + "…"
    thumbnail = _thumbnail(files[item]) if item in files else ""
    return f'<td>{thumbnail}<div class="id">{escape(item)}</div>{near}<div class="text">{escape(text)}</div></td>'


def _thumbnail(file: Path) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return '<div class="near">unreadable image</div>'
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _captions(texts: Path | None) -> dict[str, str]:
    """First column -> the others, joined."""
    if texts is None:
        return {}
    if not texts.is_file():
        raise UserError("no such file of texts", where=texts)
    lines = texts.read_text(encoding="utf-8-sig", errors="replace").splitlines()[1:]
    rows = [line.split("\t") for line in lines if line]
    return {row[0]: " · ".join(row[1:]) for row in rows}


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
