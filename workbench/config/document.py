"""A YAML file as plain Python values, with the line of every key and list entry."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import UserError

Location = tuple[str | int, ...]


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


class Loader(yaml.SafeLoader):
    """The safe loader, with `1e-5` (no dot) read as the number that it is."""


Loader.add_implicit_resolver(
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
        loader = Loader(path.read_text(encoding="utf-8-sig"))
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
        collect_lines(node, (), lines, path)
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


@contextmanager
def located(document: Document | None, at: Location) -> Iterator[None]:
    """Give errors that name no place that of `at` in a document, where there is one."""
    try:
        yield
    except UserError as error:
        if error.where is not None or document is None:
            raise
        raise UserError(error.what, where=document.where(at), mend=error.mend) from error


def literal(text: Any) -> Any:
    """A string such as `"('visual','textual')"` as the tuple that it spells; anything else as it came."""
    if isinstance(text, str) and text.strip()[:1] in ("(", "["):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            return text
    return text


def collect_lines(node: yaml.Node, at: Location, lines: dict[Location, int], path: Path) -> None:
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
            collect_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            collect_lines(value, (*at, index), lines, path)


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


def _yaml_names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.glob("*.y*ml")] if folder.is_dir() else []
