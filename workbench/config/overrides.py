"""Keys that the command line sets: dotted paths into a document, typed as YAML types them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from workbench.config.document import Document, Loader, Location, collect_lines
from workbench.errors import UserError

_LONGEST, _DEEPEST = 10_000, 100  # characters and nested brackets of a value from the command line


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


def _typed(text: str, where: str) -> Any:
    """The value of an override, with the care that a file gets."""
    if len(text) > _LONGEST:
        mend = "write long values into the YAML file"
        raise UserError(f"the value has {len(text)} characters, more than {_LONGEST}", where=where, mend=mend)
    try:
        _check_events(text)
        node = Loader(text).get_single_node()
        if node is not None:
            collect_lines(node, (), {}, Path("the value"))
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mend = "write it as in the YAML file; quote it for the shell"
        raise UserError(f"cannot read the value {text[:80]!r}", where=where, mend=mend) from error
    except UserError as error:
        raise UserError(error.what, where=where, mend=error.mend) from None


def _check_events(text: str) -> None:
    """Refuse aliases, and lists in lists without end before the parser has read on: it takes ever longer."""
    depth = 0
    for event in yaml.parse(text, Loader):
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
    """The key that the path means here, and the rest of the path.

    A new one is the first part, or has as many parts as those that begin like it: `external.EASE` beside
    `external.VBPR`.
    """
    there = {str(key): key for key in target}
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in there:
            return there[name], parts[end:]
    parents = {name.casefold(): name for name, key in there.items() if isinstance(target[key], dict | list | None)}
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if close := next((parents[each] for each in parents if _misspelt(name.casefold(), each)), None):
            raise UserError(f"there is no `{name}`", where=where, mend=f"did you mean {close!r}?")
    end = min((name.count(".") + 1 for name in there if name.startswith(parts[0] + ".")), default=1)
    return ".".join(parts[:end]), parts[end:]


def _misspelt(name: str, meant: str) -> bool:
    """Whether a key is likely meant to be another one; what both begin with up to a dot does not make them alike."""
    if name.count(".") != meant.count("."):
        return False
    (before, _, last), (same, _, other) = name.rpartition("."), meant.rpartition(".")
    if before and before == same:
        return difflib.SequenceMatcher(None, last, other).ratio() >= 0.75
    # nearer than `nearest` asks for: `validation_splitting` beside `test_splitting` is a key of its own
    return difflib.SequenceMatcher(None, name, meant).ratio() >= 0.8


def _place(items: list[Any], part: str, where: str) -> int:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        raise UserError(f"`{part}` is no place in a list of {len(items)}", where=where, mend="count from 0")
    return int(part)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
