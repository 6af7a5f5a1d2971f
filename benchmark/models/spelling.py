"""Parameters that are spelled as tuples: a number for each modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BeforeValidator

from workbench.config import literal
from workbench.errors import UserError

Spelled = BeforeValidator(literal)  # "(0.1, 0.9)", as YAML reads it, is the tuple


def one_a_modality(names: tuple[str, ...], key: str, given: Sequence[Any], what: str) -> None:
    """Check that the key `key` holds as many `what` as there are modalities.

    Raises
    ------
    UserError : there are more or fewer.
    """
    if len(given) != len(names):
        raise UserError(
            f"`{key}` has {len(given)} {what} for {len(names)} modalities ({', '.join(names)})",
            mend=f"give one for each, in their order, or leave `{key}` out",
        )
