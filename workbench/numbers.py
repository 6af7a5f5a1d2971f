"""Numbers that JSON cannot write."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator

# `workbench.files.write_json` writes NaN as null; a field of this type reads it as NaN again
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
