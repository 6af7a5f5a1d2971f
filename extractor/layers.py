"""Choosing layers: what a configuration asks for, and what a backbone has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from extractor.config import SIDES, ModelSettings
from workbench.config import nearest
from workbench.errors import UserError


class Layer(NamedTuple):
    """One output of a backbone: the side (`visual`, `textual`, `audio`) that it describes, and its name.

    The side of a fused table is the modality itself, `visual_textual` for example.
    """

    side: str
    name: str


def requested_layers(modality: str, model: ModelSettings, where: str) -> list[Layer]:
    """The layers of one model block: those whose tables are written.

    Raises
    ------
    UserError : more than two names for a joined model, or pairs of names for one that is not joined.
    """
    if modality in SIDES:
        pairs = requested_pairs(modality, model, where)
        if getattr(model, "fusion", None):
            return [fused_layer(modality, pair) for pair in pairs]
        return list(dict.fromkeys(layer for pair in pairs for layer in pair))
    for name in model.layer_names:
        if isinstance(name, tuple):
            raise UserError(
                f"`output_layers` pairs {name[0]!r} and {name[1]!r}, and {modality} models have one side",
                where=where,
                mend="write a list of names, or of numbers",
            )
    return [Layer(modality, str(name)) for name in model.layer_names]


def requested_pairs(modality: str, model: ModelSettings, where: str) -> list[tuple[Layer, Layer]]:
    """The layers of a joined model, first side and second side.

    A number or one name stands for the same output on both sides; two names for an output of each side, as
    in Ducho; a list of such pairs for several.

    Raises
    ------
    UserError : more than two names outside a pair.
    """
    names = model.layer_names
    pairs: list[tuple[Any, Any]] = [name for name in names if isinstance(name, tuple)]
    if not pairs and len(names) <= 2:
        pairs = [(names[0], names[-1])]
    elif len(pairs) < len(names):
        raise UserError(
            f"`output_layers` of a joined model has {len(names)} names",
            where=where,
            mend="give a number, one name, [first name, second name], or a list of such pairs",
        )
    first, second = SIDES[modality]
    return [(Layer(first, str(one)), Layer(second, str(other))) for one, other in pairs]


def fused_layer(modality: str, pair: tuple[Layer, Layer]) -> Layer:
    """The layer of a fused table: named after both, or once where both have one name."""
    names = dict.fromkeys(layer.name for layer in pair)
    return Layer(modality, "_".join(names))


def by_name(requested: Iterable[Any], legal: Sequence[str], where: str, backbone: str) -> list[str]:
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
