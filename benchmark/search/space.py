"""The search space of a model: what each of its parameters can be."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from loguru import logger
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from benchmark.search.distributions import NAMES, Axis, Choices, Distribution, as_number, read_distribution
from workbench.config import Document, Location, Settings, literal, located, nearest, validate
from workbench.errors import UserError
from workbench.files import fingerprint

Configuration = dict[str, Any]
_CALL = re.compile(r"\s*(\w+)\s*\(")


@dataclass(frozen=True)
class Space:
    """What each parameter of a model can be.

    Attributes
    ----------
    name : the model's.
    axes : parameter -> its alternatives, or the distribution that it is drawn from; one value is one alternative.
    schema : the parameters' types.
    document, at : where the parameters stand.
    """

    name: str
    axes: Mapping[str, Axis]
    schema: type[Settings]
    document: Document = field(repr=False)
    at: Location

    @cached_property
    def varied(self) -> list[str]:
        """The parameters that have several values, in the order of the file."""
        return [key for key, axis in self.axes.items() if axis.varies]

    @cached_property
    def drawn(self) -> list[str]:
        """The parameters that are drawn from a distribution."""
        return [key for key, axis in self.axes.items() if axis.drawn]

    @cached_property
    def size(self) -> int | None:
        """How many combinations there are, None where there is no end of them."""
        values = [axis.values for axis in self.axes.values()]
        return math.prod(map(len, values)) if None not in values else None  # type: ignore[arg-type]

    def point(self, units: Sequence[float]) -> Configuration:
        """The configuration at a point of the unit cube, one coordinate a varied parameter."""
        of = dict(zip(self.varied, units, strict=True))
        return {key: axis.at(of.get(key, 0.5)) for key, axis in self.axes.items()}

    def units(self, place: int) -> list[float]:
        """The point of the combination at a place of the list of all of them, the last parameter fastest."""
        units = []
        for key in reversed(self.varied):
            axis = self.axes[key]
            assert axis.values is not None
            place, index = divmod(place, len(axis.values))
            units.append(axis.unit(index))
        return units[::-1]

    def params(self, configuration: Configuration) -> Settings:
        """The parameters of a configuration, typed.

        Raises
        ------
        UserError : they are refused.
        """
        return validate(self.schema, configuration, self.document, self.at)

    def identity(self, configuration: Configuration) -> str:
        """Equal for configurations that are the same once typed: `8` and `"8"`.

        Raises
        ------
        UserError : the parameters are refused.
        """
        return fingerprint(self.params(configuration).model_dump(mode="json"))

    def where(self, *keys: str | int) -> str:
        """`file:line` of a parameter, or of a key of `meta`."""
        return self.document.where((*self.at, *keys))


def read_space(parameters: Mapping[str, Any], schema: type[Settings], document: Document, at: Location) -> Space:
    """Read a model's parameters: one value each, a list of alternatives, or a distribution such as
    `[loguniform, -10, -1]` (`benchmark.search.distributions`).

    Parameters
    ----------
    parameters : without `meta` and without the keys that have no effect on the model.
    schema : the model's `Params`.
    document, at : where the parameters stand; the last part of `at` is the model's name.

    Raises
    ------
    UserError : an unknown key, a value of the wrong type, an empty list, a misspelt distribution, or wrong arguments.
    """
    fields = _fields(schema)
    if unknown := set(parameters) - set(fields):
        validate(schema, dict.fromkeys(unknown), document, at)
    axes = {}
    for key, value in parameters.items():
        with located(document, (*at, key)):
            axes[key] = _read_axis(key, value, _Type(fields[key].annotation))
    space = Space(str(at[-1]).removeprefix("external."), axes, schema, document, at)
    _check_each_value(space)
    for key, axis in axes.items():
        if isinstance(axis, Distribution) and axis.log and axis.normal is None:
            low, high = axis.at(0.0), axis.at(1.0)
            logger.info("{}: `{}` is drawn from {:.4g} to {:.4g}, log-uniformly", space.where(key), key, low, high)
    return space


@dataclass(frozen=True)
class _Type:
    """What a parameter's annotation lets through."""

    annotation: Any

    @property
    def whole(self) -> bool:
        """Integers and no other numbers."""
        return int in self._leaves and float not in self._leaves

    def takes_text(self, text: str) -> bool:
        """Whether this text may be a value of the parameter as it is."""
        return any(leaf in (str, Any, text) or _is_enumeration_of(leaf, text) for leaf in self._leaves)

    @cached_property
    def _leaves(self) -> list[Any]:
        """Types and literal values, out of unions and annotations."""
        return _leaves_of(self.annotation)


def _leaves_of(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation))
    if origin is Annotated:
        return _leaves_of(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [leaf for part in get_args(annotation) for leaf in _leaves_of(part)]
    return [annotation]


def _is_enumeration_of(leaf: Any, text: str) -> bool:
    return isinstance(leaf, type) and text in [member.value for member in getattr(leaf, "__members__", {}).values()]


def _fields(schema: type[Settings]) -> dict[str, FieldInfo]:
    """Every spelling of every key -> its field."""
    spelled = {}
    for name, info in schema.model_fields.items():
        alias = info.validation_alias or info.alias
        for key in (name, *getattr(alias, "choices", [alias] if alias else [])):
            spelled[str(key)] = info
    return spelled


def _read_axis(key: str, value: Any, kind: _Type) -> Axis:
    if value == []:
        raise UserError(f"`{key}` is an empty list", mend="give at least one value")
    entries = _joined_tuples(value) if isinstance(value, list) else [value]
    first, rest = entries[0], entries[1:]
    if isinstance(first, str) and not kind.takes_text(first):
        _refuse_misspelt(key, first, rest)
    if (
        isinstance(value, list)
        and isinstance(first, str)
        and first in NAMES
        and _spells_distribution(first, rest, kind)
    ):
        try:
            axis = read_distribution(first, rest, kind.whole)
        except UserError as error:
            raise UserError(f"`{key}`: {error.what}", mend=error.mend) from error
        if axis.drawn:
            return axis
        entries = _joined_tuples(axis.values or ())
    alternatives = [_spelled_out(entry, kind) for entry in entries]
    return Choices(list({repr(each): each for each in alternatives}.values()))


def _spells_distribution(word: Any, rest: Sequence[Any], kind: _Type) -> bool:
    """False, too, for a list of texts whose first, such as `uniform`, happens to be the name of a distribution."""
    if not (isinstance(word, str) and word in NAMES):
        return False
    return not kind.takes_text(word) or (bool(rest) and all(as_number(entry) is not None for entry in rest))


def _refuse_misspelt(key: str, word: str, rest: Sequence[Any]) -> None:
    """`[loguniformm, -10, -1]`, and `uniform(0, 1)`, which looks like a distribution and is none."""
    call = _CALL.match(word)
    if call and call[1] in NAMES:
        raise UserError(f"`{key}`: {word!r} is no value", mend=f"write a distribution as a list: [{call[1]}, 0, 1]")
    looks_like_one = bool(rest) and all(as_number(entry) is not None for entry in rest)
    if looks_like_one and word not in NAMES and as_number(word) is None and isinstance(literal(word), str):
        raise UserError(f"`{key}`: {word!r} is no distribution", mend=nearest(word, NAMES))


def _spelled_out(entry: Any, kind: _Type) -> Any:
    """A text such as `('visual', 'textual')` as the tuple that it spells, unless the parameter is a text."""
    return entry if isinstance(entry, str) and kind.takes_text(entry) else literal(entry)


def _joined_tuples(entries: Sequence[Any]) -> list[Any]:
    """Put together what YAML takes apart: it reads `[(32, 16), (8, 4)]` as the entries `(32`, `16)`, `(8`, `4)`."""
    joined: list[Any] = []
    pieces: list[str] = []
    for entry in entries:
        if pieces or (isinstance(entry, str) and entry.startswith("(")):
            pieces.append(str(entry))
            whole = ", ".join(pieces)
            if whole.count("(") > whole.count(")"):
                continue
            joined.append(whole)
            pieces = []
        else:
            joined.append(entry)
    return joined + pieces


def _check_each_value(space: Space) -> None:
    """Refuse a value that its parameter does not take, whatever the others are."""
    firsts = {key: axis.at(axis.telling[0]) for key, axis in space.axes.items()}
    _check(space, firsts)
    for key, axis in space.axes.items():
        values = [axis.at(unit) for unit in axis.telling] if axis.drawn else list(axis.values or ())
        for value in values[1:]:
            _check(space, firsts | {key: value})


def _check(space: Space, configuration: Configuration) -> None:
    try:
        space.schema.model_validate(configuration)
    except ValidationError as error:
        keys = [str(fault["loc"][0]) for fault in error.errors() if fault["loc"]]
        if not keys:
            return  # it is the combination that is refused
        if keys[0] not in space.drawn:
            try:
                space.params(configuration)
            except UserError as refused:
                remedy = _tuple_remedy(space, keys[0]) if f".{keys[0]}`" in refused.what else None
                raise UserError(refused.what, where=refused.where, mend=remedy or refused.mend) from None
        raise UserError(
            f"`{keys[0]}` can be drawn as {configuration[keys[0]]:.4g}: {error.errors()[0]['msg']}",
            where=space.where(keys[0]),
            mend="change the arguments of the distribution",
        ) from None


def _tuple_remedy(space: Space, key: str) -> str | None:
    """For `mw: [0.1, 0.9]`, where the values of a list are no values of the parameter and together are one."""
    values = tuple(space.axes[key].values or ()) if key in space.axes else ()
    if len(values) < 2 or isinstance(values[0], tuple):
        return None
    try:
        space.schema.model_validate({key: values})
    except ValidationError as error:
        if any(fault["loc"][:1] == (key,) for fault in error.errors()):
            return None
    return f"a list is a grid; one value is written '{values}', a grid of them ['{values}', ...]"
