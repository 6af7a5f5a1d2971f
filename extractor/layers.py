"""Choosing layers: what a configuration asks for, and what a backbone has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from extractor.config import LayerName, ModelSettings
from workbench.config import nearest
from workbench.errors import UserError


class Layer(NamedTuple):
    """One output of a backbone: the side (`visual` or `textual`) that it describes, and its name."""

    side: str
    name: str


def requested_layers(modality: str, model: ModelSettings, where: str) -> list[Layer]:
    """The layers of one model block.

    A joined model gives two tables: an int or one name stands for the same output on both sides, two names
    for the visual and the textual output.

    Raises
    ------
    UserError : more than two names for a joined model.
    """
    names = [str(name) for name in model.layer_names]
    if modality != "visual_textual":
        return [Layer(modality, name) for name in names]
    if len(names) > 2:
        raise UserError(
            f"`output_layers` of a joined model has {len(names)} names",
            where=where,
            mend="give a number, one name, or [visual name, textual name]",
        )
    return [Layer("visual", names[0]), Layer("textual", names[-1])]


def by_name(requested: Iterable[LayerName], legal: Sequence[str], where: str, backbone: str) -> list[str]:
    """Check that a backbone has the layers that were asked for by name.

    Raises
    ------
    UserError : naming the first that it has not, and the nearest that it has.
    """
    names = [str(name) for name in requested]
    for name in names:
        if name not in legal:
            raise UserError(f"{backbone} has no layer {name!r}", where=where, mend=nearest_layers(name, legal))
    return names


def nearest_layers(name: str, legal: Sequence[str]) -> str:
    """The nearest layer names, or the last few (the usual choice) where there are too many to list."""
    hint = nearest(name, legal)
    if hint.startswith("legal here") and len(legal) > 12:
        return f"it has {len(legal)} layers, the last of them: " + ", ".join(legal[-8:])
    return hint
