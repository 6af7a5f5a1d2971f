"""YAML files -> closed, typed settings; an error names the file, the line, the key and the nearest legal key."""

from workbench.config.document import Document, Location, literal, located, read_yaml
from workbench.config.overrides import apply_overrides, assignments
from workbench.config.settings import Settings, SettingsT, as_list, legal_keys, nearest, validate

__all__ = [
    "Document",
    "Location",
    "Settings",
    "SettingsT",
    "apply_overrides",
    "as_list",
    "assignments",
    "legal_keys",
    "literal",
    "located",
    "nearest",
    "read_yaml",
    "validate",
]
