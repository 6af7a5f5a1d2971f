"""Sets of features under which models are compared: named ones, and the combinations of alternative tables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from benchmark.config.side_information import SideInformation
from workbench.config import Document, Location, as_list, validate
from workbench.errors import UserError

_NAME = r"[^\s.\[\]/\\\x00-\x1f\x7f][^\[\]/\\\x00-\x1f\x7f]*"  # part of a cell of a table, and of a file's name
_SEARCHED = 8  # parts of a path, from the end, that may make its short name


@dataclass(frozen=True)
class FeatureSet:
    """What models that read features are given.

    Attributes
    ----------
    name : what rows are labelled with; empty where there are no alternatives.
    loaders : one a modality.
    at : where the set stands in the experiment file.
    """

    name: str = ""
    loaders: tuple[SideInformation, ...] = ()
    at: Location = field(default=(), compare=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(side.modality for side in self.loaders)

    @property
    def drops(self) -> bool:
        """Whether items leave the data set for want of features."""
        return any(side.missing.policy == "drop" for side in self.loaders)


def read_feature_sets(given: Any, document: Document, at: Location) -> list[FeatureSet]:
    """The sets behind `side_information`, at least one.

    A list of loaders is one set. A mapping of names to lists of loaders is a set a name. One loader as a mapping, as
    older files of Elliot's have it, is a list of one. Where loaders list several paths, a set becomes one for every
    combination, the last loader fastest.

    Raises
    ------
    UserError : anything else, a set without loaders, two loaders of one modality in a set.
    """
    if isinstance(given, dict) and "dataloader" not in given:
        if not given:
            raise UserError(
                "`side_information` names no set", where=document.where(at), mend="name a set, or remove the key"
            )
        sets = [each for name, loaders in given.items() for each in _named(name, loaders, document, (*at, str(name)))]
        _refuse_one_name(sets, document)
        return sets
    if not isinstance(given, dict | list):
        raise UserError(
            "`side_information` should be a list of loaders, or a mapping of names to such lists",
            where=document.where(at),
            mend="docs/sweeps.md shows both",
        )
    return list(_alternatives("", _loaders(given, document, at), at))


def _named(name: Any, given: Any, document: Document, at: Location) -> Iterator[FeatureSet]:
    where = document.where(at)
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise UserError(
            f"{name!r} cannot name a set of features", where=where, mend="take a text without brackets and slashes"
        )
    if not given or not isinstance(given, dict | list) or (isinstance(given, dict) and "dataloader" not in given):
        raise UserError(
            f"the set {name!r} should be a list of loaders",
            where=where,
            mend="write the loaders below its name; one loader without a name needs the key `dataloader`",
        )
    return _alternatives(name, _loaders(given, document, at), at)


def _refuse_one_name(sets: Sequence[FeatureSet], document: Document) -> None:
    first: dict[str, FeatureSet] = {}
    for each in sets:
        other = first.setdefault(each.name.casefold(), each)
        if other is not each:
            raise UserError(
                f"two sets of features would be called {other.name} and {each.name}",
                where=document.where(each.at),
                mend="take names that differ in more than the case of letters",
            )


def _loaders(given: Any, document: Document, at: Location) -> list[SideInformation]:
    below = [(*at, place) for place in range(len(given))] if isinstance(given, list) else [at]
    pairs = zip(as_list(given), below, strict=True)
    loaders = [validate(SideInformation, each, document, place) for each, place in pairs]
    names = [side.modality for side in loaders]
    if len(set(names)) < len(names):
        raise UserError(
            f"two loaders of one modality: {', '.join(names)}",
            where=document.where(at),
            mend="list both paths under one loader, or put the loaders into sets of their own, to compare them; "
            "or give them names (`dataloader: Attribute`), to read both",
        )
    return loaders


def _alternatives(name: str, loaders: Sequence[SideInformation], at: Location) -> Iterator[FeatureSet]:
    single = [[side.reading(path) for path in side.paths] for side in loaders]
    labels = [short_names(side.paths) for side in loaders]
    for places in itertools.product(*(range(len(side.paths)) for side in loaders)):
        chosen = tuple(sides[place] for sides, place in zip(single, places, strict=True))
        parts = [names[place] for names, place in zip(labels, places, strict=True) if len(names) > 1]
        yield FeatureSet(" ".join(filter(None, [name, "+".join(parts)])), chosen, at)


def short_names(paths: Sequence[str]) -> list[str]:
    """The fewest parts of each path that tell all of them apart, however their letters are cased.

    A feature table is `<output>/<backend>/<model>/<layer>`, so of several parts that would do the model's comes first,
    then the layer's, and then the others, from the end.
    """
    split = [PurePosixPath(path.removesuffix(".npy")).parts for path in paths]
    deepest = max(map(len, split))
    columns = [[parts[-back] if back <= len(parts) else "" for parts in split] for back in range(1, deepest + 1)]
    differing = [back for back, column in enumerate(columns, start=1) if len(set(column)) > 1]
    preferred = sorted(differing, key=lambda back: (back != 2, back))
    few = (chosen for size in (1, 2) for chosen in itertools.combinations(preferred[:_SEARCHED], size))
    for chosen in (*few, tuple(preferred)):
        places = sorted(chosen, reverse=True)
        joined = ["/".join(filter(None, (columns[back - 1][path] for back in places))) for path in range(len(paths))]
        names = [re.sub(r"[\s\[\]\x00-\x1f\x7f]+", "_", name) for name in joined]
        if all(names) and len({name.casefold() for name in names}) == len(names):
            return names
    return [str(number) for number in range(1, len(paths) + 1)]
