"""YAML files -> closed, typed settings; an error names the file, the line, the key and the nearest legal key."""

from __future__ import annotations

import ast
import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.errors import UserError

Location = tuple[str | int, ...]

_LONGEST, _DEEPEST = 10_000, 100  # characters and nested brackets of a value from the command line


class Settings(BaseModel):
    """Base of every configuration class: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True)
class Document:
    """A YAML file as plain Python values, with the line of every key and list entry.

    overridden : what the command line put there -> the words that did it, `--set KEY`.
    """

    path: Path
    data: dict[str, Any]
    lines: dict[Location, int] = field(default_factory=dict)
    overridden: dict[Location, str] = field(default_factory=dict)

    def where(self, location: Location) -> str:
        """`file:line` of a location or of its nearest known parent; `--set KEY` where the command line put it."""
        for end in range(len(location), -1, -1):
            if location[:end] in self.overridden:
                return self.overridden[location[:end]]
            if location[:end] in self.lines:
                return f"{self.path}:{self.lines[location[:end]]}"
        return str(self.path)


class _Loader(yaml.SafeLoader):
    """The safe loader, with `1e-5` (no dot) read as the number that it is."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: str | Path) -> Document:
    """Read one YAML mapping.

    Raises
    ------
    UserError : no such file, broken YAML (with its line), a key given twice, or no mapping at the top.
    """
    path = Path(path)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, _yaml_names(path.parent), n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "check the path"
        raise UserError("no such configuration file", where=path, mend=hint)
    try:
        loader = _Loader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", where=path, mend="save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line + 1) if error.problem_mark else 1
        mend = "mend the line or the one above it"
        if error.context == "while parsing a flow mapping":
            mend += "; inside {braces} quote a tuple: {key: \"('a', 'b')\"}"
        raise UserError(f"broken YAML: {error.problem}", where=f"{path}:{line}", mend=mend) from error
    except yaml.YAMLError as error:
        raise UserError(f"broken YAML: {error}", where=path) from error
    if not isinstance(node, yaml.MappingNode):
        raise UserError("the file holds no mapping of keys to values", where=path)
    lines: dict[Location, int] = {}
    try:
        _collect_lines(node, (), lines, path)
    except RecursionError:
        raise UserError("an alias contains itself", where=path, mend="write the value out") from None
    try:
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line + 1) if error.problem_mark else 1
        raise UserError(f"broken YAML: {error.problem}", where=f"{path}:{line}") from error
    except ValueError as error:  # a date such as 2024-99-99
        raise UserError(f"broken YAML: {error}", where=path, mend="quote text that looks like a date") from error
    return Document(path, data, lines)


def literal(text: Any) -> Any:
    """A string such as `"('visual','textual')"` as the tuple that it spells; anything else as it came."""
    if isinstance(text, str) and text.strip()[:1] in ("(", "["):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            return text
    return text


def assignments(words: Iterable[str]) -> list[tuple[str, str]]:
    """The `KEY=VALUE` words that follow `--set`, as pairs for `apply_overrides`.

    Raises
    ------
    UserError : a word without a key or without `=`.
    """
    pairs = [word.partition("=") for word in words]
    for key, equals, value in pairs:
        if not key.strip() or not equals:
            mend = "write `--set KEY=VALUE`, for example `--set models.external.VBPR.lr=0.001`"
            raise UserError(f"`{key}{equals}{value}` sets nothing", where="--set", mend=mend)
    return [(key.strip(), value) for key, _, value in pairs]


def apply_overrides(document: Document, arguments: Iterable[tuple[str, str]], root: str | None = None) -> Document:
    """Set dotted keys, typed as YAML would type them; a number in the path is a place in a list.

    A key may hold dots itself (`models.external.VBPR.lr`): the longest one that is there is meant. Parents that are not
    there are made, unless a parent that is there has nearly their name. Of two values for one key the last counts.

    Parameters
    ----------
    root : a key that holds everything else and may be left out of the paths, as `experiment` in an experiment file.

    Raises
    ------
    UserError : the path runs through something that is neither a mapping nor a list, past a list's end, or through a
        misspelt parent; the value is no YAML.
    """
    data, lines, overridden = _copy(document.data), dict(document.lines), dict(document.overridden)
    for dotted, text in arguments:
        where = f"--set {dotted}"
        value = _typed(text, where)
        parts = dotted.split(".")
        if not all(part.strip() for part in parts):
            raise UserError("a key of this path is empty", where=where, mend="write keys with single dots between them")
        if root is not None and parts[0] != root and isinstance(data.get(root), dict):
            parts.insert(0, root)
        at = _put(data, parts, value, where)
        for places in (lines, overridden):  # what stood below is gone
            for place in [place for place in places if place[: len(at)] == at]:
                del places[place]
        overridden |= {at[:end]: where for end in range(1, len(at) + 1) if at[:end] not in {*lines, *overridden}}
    return Document(document.path, data, lines, overridden)


@contextmanager
def located(document: Document | None, at: Location) -> Iterator[None]:
    """Give errors that name no place that of `at` in a document, where there is one."""
    try:
        yield
    except UserError as error:
        if error.where is not None or document is None:
            raise
        raise UserError(error.what, where=document.where(at), mend=error.mend) from error


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


def legal_keys(schema: Any) -> list[str]:
    """Every spelling of every key that a settings class accepts."""
    return [key for spelled in _keys_of_fields(schema) for key in spelled]


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


def _collect_lines(node: yaml.Node, at: Location, lines: dict[Location, int], path: Path) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        if node.flow_style:
            _refuse_split_tuple(node, at, path)
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise UserError(
                    f"the key `{'.'.join(map(str, here))}` stands twice",
                    where=f"{path}:{key.start_mark.line + 1}",
                    mend=f"remove one; the first stands on line {lines[here]}",
                )
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*at, index), lines, path)


def _refuse_split_tuple(node: yaml.MappingNode, at: Location, path: Path) -> None:
    """`{mw: (0.1,0.9)}`: inside braces YAML splits at the comma and reads `mw: (0.1` and a key `0.9)` without value."""
    opened: yaml.Node | None = None
    pieces: list[str] = []
    for key, value in node.value:
        if isinstance(value.value, str) and value.style is None and value.value.startswith("("):
            opened, pieces = (key, [value.value]) if ")" not in value.value else (None, [])
        elif opened is None or value.value != "":
            opened = None
        else:
            pieces.append(str(key.value))
            if pieces[-1].endswith(")"):
                name = ".".join(map(str, (*at, opened.value)))
                raise UserError(
                    f"the tuple of `{name}` is split at its comma, and `{pieces[-1]}` is read as a key",
                    where=f"{path}:{key.start_mark.line + 1}",
                    mend=f"inside {{braces}} quote a tuple: {opened.value}: '{','.join(pieces)}'",
                )


def _typed(text: str, where: str) -> Any:
    """The value of an override, with the care that a file gets."""
    if len(text) > _LONGEST:
        mend = "write long values into the YAML file"
        raise UserError(f"the value has {len(text)} characters, more than {_LONGEST}", where=where, mend=mend)
    try:
        _check_events(text)
        node = _Loader(text).get_single_node()
        if node is not None:
            _collect_lines(node, (), {}, Path("the value"))
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mend = "write it as in the YAML file; quote it for the shell"
        raise UserError(f"cannot read the value {text[:80]!r}", where=where, mend=mend) from error
    except UserError as error:
        raise UserError(error.what, where=where, mend=error.mend) from None


def _check_events(text: str) -> None:
    """Refuse aliases, and lists in lists without end before the parser has read on: it takes ever longer."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise UserError("an alias has no place in a value", mend="write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise UserError(f"the value is nested more than {_DEEPEST} deep", mend="look for a stray bracket")


def _put(data: dict[str, Any], parts: list[str], value: Any, where: str) -> Location:
    """Set the value at the end of the path; returns its location."""
    at: Location = ()
    target: Any = data
    while True:
        if isinstance(target, list):
            key, rest = _place(target, parts[0], where), parts[1:]
            at = (*at, key)
        elif isinstance(target, dict):
            key, rest = _longest_key(target, parts, where)
            at = (*at, str(key))  # as `Document.lines` has it
        else:
            raise UserError(
                f"the path runs into a plain value before `{parts[0]}`",
                where=where,
                mend=f"`{'.'.join(map(str, at))}` is {target!r}: nothing lies below it",
            )
        if not rest:
            target[key] = value
            return at
        if isinstance(target, dict) and target.get(key) is None:
            target[key] = {}
        target, parts = target[key], rest


def _longest_key(target: dict[Any, Any], parts: list[str], where: str) -> tuple[Any, list[str]]:
    """The key that the path means here, and the rest of the path; a new one is the first part."""
    there = {str(key): key for key in target}
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in there:
            return there[name], parts[end:]
    parents = {name.casefold(): name for name, key in there.items() if isinstance(target[key], dict | list | None)}
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        # nearer than `nearest` asks for: `validation_splitting` beside `test_splitting` is a key of its own
        if close := difflib.get_close_matches(name.casefold(), parents, n=1, cutoff=0.8):
            raise UserError(f"there is no `{name}`", where=where, mend=f"did you mean {parents[close[0]]!r}?")
    return parts[0], parts[1:]


def _place(items: list[Any], part: str, where: str) -> int:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        raise UserError(f"`{part}` is no place in a list of {len(items)}", where=where, mend="count from 0")
    return int(part)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _yaml_names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.glob("*.y*ml")] if folder.is_dir() else []
