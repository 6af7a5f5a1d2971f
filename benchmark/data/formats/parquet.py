"""Parquet tables, read column by column in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.formats.headers import places_of, usual_columns
from benchmark.data.formats.layout import Layout
from benchmark.data.formats.rows import Coder, Rows, coded_numbers
from workbench.errors import UserError

_BATCH = 1 << 19  # rows


def read_parquet(path: Path, layout: Layout) -> Rows:
    """Read a Parquet table. Ids are strings or integers; timestamps are unix seconds or of a time type.

    Without `columns` the names must leave no doubt (user, item; user_id, item_id; userId, itemId; userID, itemID).

    Raises
    ------
    UserError : pyarrow is not installed, no Parquet file, no such column, a type that does not fit, an empty cell.
    """
    arrow, parquet = _pyarrow()
    try:
        file = parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"not readable as Parquet: {error}", where=path, mend="write it again") from error
    schema = file.schema_arrow
    columns = layout.columns or usual_columns(schema.names)
    if columns is None:
        raise UserError(
            f"nothing says which columns are users and items; there are: {', '.join(schema.names)}",
            where=path,
            mend="say `columns: {user: ..., item: ...}` below data_config",
        )
    names = {role: schema.names[place] for role, place in places_of(columns, schema.names, path).items()}
    for role, name in names.items():
        _check_type(role, name, schema.field(name).type, path)
    coders = {role: Coder() for role in ("user", "item")}
    numbers: dict[str, list[np.ndarray]] = {role: [] for role in names if role not in coders}
    count = 0
    try:
        for batch in file.iter_batches(_BATCH, columns=list(names.values())):
            for role, name in names.items():
                column = batch.column(name)
                _refuse_nulls(role, name, column, count, path)
                if role in coders:
                    coders[role].add(*_coded(column))
                else:
                    numbers[role].append(_floats(column))
            count += len(batch)
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"not readable as Parquet: {error}", where=path, mend="write it again") from error
    if count == 0:
        raise UserError("the file holds no interactions", where=path)
    ratings = coded_numbers(np.concatenate(numbers["rating"])) if "rating" in numbers else None
    times = np.concatenate(numbers["timestamp"]) if "timestamp" in numbers else None
    return Rows(coders["user"].finish(), coders["item"].finish(), ratings, times, None, lambda row: row + 1)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("reading Parquet needs pyarrow", mend="pip install 'bottega[parquet]'") from error
    return pyarrow, pyarrow.parquet


def _check_type(role: str, name: str, kind: Any, path: Path) -> None:
    import pyarrow.types as types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    if role in ("user", "item"):
        fits = types.is_string(inner) or types.is_large_string(inner) or types.is_integer(inner)
        wanted = "strings or integers"
    elif role == "rating":
        fits, wanted = types.is_integer(kind) or types.is_floating(kind), "numbers"
    else:
        fits = types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind)
        wanted = "unix seconds or of a time type"
    if not fits:
        raise UserError(
            f"the column {name!r} ({role}) holds {kind}", where=path, mend=f"it should hold {wanted}; write it so"
        )


def _refuse_nulls(role: str, name: str, column: Any, before: int, path: Path) -> None:
    if column.null_count:
        row = before + int(np.asarray(column.is_null()).argmax())
        raise UserError(f"no {role} in row {row + 1} (column {name!r})", where=path, mend="complete or remove the row")


def _coded(column: Any) -> tuple[np.ndarray, list[str]]:
    import pyarrow.types as types

    encoded = column if types.is_dictionary(column.type) else column.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), [str(value) for value in encoded.dictionary.to_pylist()]


def _floats(column: Any) -> np.ndarray:
    import pyarrow
    import pyarrow.types as types

    if types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("s"), safe=False).cast(pyarrow.int64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
