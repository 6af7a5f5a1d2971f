"""What is typed on the command line, checked."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from benchmark.config.data import ColumnNames, TableSettings
from benchmark.data.formats.layout import Layout
from workbench.errors import UserError

OUTPUTS = {"visual": "visual_embeddings", "textual": "textual_embeddings", "audio": "audio_embeddings"}
STEMS = {"visual": "image", "textual": "text", "audio": "audio"}  # as MMRec calls the modalities


def check_name(dataset: str) -> str:
    """The name of a folder in data/; `UserError` if it is a path."""
    if dataset != Path(dataset).name or dataset in ("", ".", ".."):
        raise UserError(f"{dataset!r} is no data set name", mend="give the name of a folder in data/")
    return dataset


def modality_of(name: str) -> str | None:
    """The modality behind the name of a feature matrix, such as `image`, `image_feat` or `visual_vec`; None: none."""
    starts = {"visual": ("image", "img", "vis"), "textual": ("text", "txt"), "audio": ("audio", "acoustic")}
    return next((modality for modality, heads in starts.items() if name.lower().startswith(heads)), None)


def layout_of(form: str, columns: str, separator: str) -> Layout:
    """The layout that `--columns user=a,item=b` and `--separator` describe.

    Raises
    ------
    UserError : a column that is no `role=name`, an unknown role, or an option that the form does not take.
    """
    pairs = [pair.partition("=") for pair in columns.split(",") if pair]
    named = {role.strip(): int(name) if name.isdecimal() else name for role, _, name in pairs}
    roles = list(ColumnNames.model_fields)
    unknown = [role for role in named if role not in roles]
    missing = [role for role in ("user", "item") if named and role not in named]
    if unknown or missing:
        what = f"{unknown[0]!r} is none of {', '.join(roles)}" if unknown else f"no column is named for {missing[0]}"
        raise UserError(what, where="--columns", mend="write e.g. user=reviewerID,item=asin,rating=3")
    try:
        settings = TableSettings(
            format=None if form in ("elliot", "recom_data") else form,
            columns=ColumnNames.model_validate(named) if named else None,
            separator=separator or None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        what = f"{key}: {first['msg']}" if key else first["msg"].removeprefix("Value error, ")
        raise UserError(
            what, where="--columns" if named else "--separator", mend="write e.g. user=reviewerID,item=asin,rating=3"
        ) from None
    if form in ("mmrec", "elliot", "recom_data") and (named or separator):
        raise UserError(f"{form} knows its files", where="--columns, --separator", mend="leave them out")
    return settings.layout()
