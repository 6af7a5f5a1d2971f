"""Closed, typed settings: a fault is told with file, line, key and the nearest legal key."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.config.document import Document, Location
from workbench.errors import UserError


class Settings(BaseModel):
    """Base of every configuration class: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


def as_list(value: Any) -> Any:
    """One value where several are meant, as a list; for `pydantic.BeforeValidator`."""
    return value if value is None or isinstance(value, list) else [value]


def validate(schema: type[SettingsT], data: Any, document: Document, at: Location = ()) -> SettingsT:
    """Check `data`, which stands at location `at` of `document`, against a schema.

    Raises
    ------
    UserError : naming the file, the line and the key of the first fault, and the nearest legal key or value.
    """
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise _explain(schema, _first_fault(error, data), data, document, at) from None


def nearest(word: str, legal: Iterable[str]) -> str:
    """`did you mean X?` for a misspelt word, or the legal words where none is near."""
    names = sorted(set(legal))
    by_folded = {name.casefold(): name for name in names}
    match = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f"did you mean {by_folded[match[0]]!r}?" if match else "legal here: " + ", ".join(names)


def legal_keys(schema: Any) -> list[str]:
    """Every spelling of every key that a settings class accepts."""
    return [key for spelled in _keys_of_fields(schema) for key in spelled]


def _first_fault(error: ValidationError, data: Any) -> Mapping[str, Any]:
    """The fault to tell: an unknown key before others; of the branches of a union the one that reached deepest."""
    faults = error.errors()
    first = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    key = _known_parts(first, data)
    return max(
        (fault for fault in faults if _known_parts(fault, data)[: len(key)] == key),
        key=lambda fault: (fault["type"] == "extra_forbidden", len(_known_parts(fault, data))),
    )


def _known_parts(fault: Mapping[str, Any], data: Any) -> Location:
    """Where the fault is, without the names that pydantic gives to the branches of unions."""
    known: list[str | int] = []
    for place, part in enumerate(fault["loc"]):
        there = isinstance(data, Mapping) and part in data
        named = fault["type"] == "missing" and place == len(fault["loc"]) - 1
        if there or named or not _is_union_tag(part):
            known.append(part)
            data = _inside(data, part)
    return tuple(known)


def _inside(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def _explain(
    schema: type[BaseModel], fault: Mapping[str, Any], data: Any, document: Document, at: Location
) -> UserError:
    known = _known_parts(fault, data)
    key = ".".join(str(part) for part in (*at, *known))
    where = document.where((*at, *known))
    if fault["type"] == "extra_forbidden":
        owner = _schema_at(schema, known[:-1])
        beside = functools.reduce(_inside, known[:-1], data) or {}
        same = next((keys for keys in _keys_of_fields(owner) if known[-1] in keys), [])
        twins = [each for each in same if each != known[-1] and each in beside]
        if twins:
            mend = f"keep it or `{twins[0]}`"
            return UserError(f"`{key}` is given twice, under two spellings", where=where, mend=mend)
        return UserError(f"unknown key `{key}`", where=where, mend=nearest(str(known[-1]), legal_keys(owner)))
    if fault["type"] == "missing":
        return UserError(f"the key `{key}` is missing", where=where, mend=f"add `{known[-1]}:` there")
    message = fault["msg"]
    own = message.removeprefix("Value error, ")  # a validator of ours; it may begin with a name
    message = message[:1].lower() + message[1:] if own == message else own
    if fault["type"] in ("model_type", "dict_type", "model_attributes_type"):
        message = "should be a mapping of keys to values"
    given = fault.get("input")
    told = isinstance(given, (dict, list, BaseModel)) or repr(given) in message
    shown = "" if told else f", not {given!r}"
    mend = f"mend `{key}`"
    if fault["type"] == "literal_error":
        legal = re.findall(r"'([^']*)'", str(fault["ctx"].get("expected", "")))
        mend = nearest(str(given), legal) if legal else mend
    return UserError(f"`{key}`: {message}{shown}" if key else message, where=where, mend=mend)


def _keys_of_fields(schema: Any) -> Iterator[list[str]]:
    """Of each field of a settings class the spellings."""
    for name, info in getattr(schema, "model_fields", {}).items():
        alias = info.validation_alias or info.alias
        yield [str(key) for key in getattr(alias, "choices", [alias] if alias else [name])]


def _schema_at(schema: Any, location: Sequence[Any]) -> Any:
    for part in location:
        if isinstance(part, int):
            continue
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            by_alias = {
                key: info.annotation
                for info_name, info in schema.model_fields.items()
                for key in _spellings(info_name, info)
            }
            schema = _settings_in(by_alias.get(str(part)), part)
    return schema


def _spellings(name: str, info: Any) -> list[str]:
    alias = info.validation_alias or info.alias
    return [name, *(str(choice) for choice in getattr(alias, "choices", [alias] if alias else []))]


def _settings_in(annotation: Any, part: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is None:
        return annotation
    for argument in get_args(annotation):
        found = _settings_in(argument, part)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation


def _is_union_tag(part: Any) -> bool:
    # `list[str]`, `function-before[...]`, `constrained-int`, a class name
    return isinstance(part, str) and bool(re.search(r"[\[\]()-]|^(str|int|float|bool)$|^[A-Z]\w+Settings$", part))
