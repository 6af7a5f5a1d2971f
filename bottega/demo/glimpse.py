"""What one user had, was shown, and took: a table that a person can judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from workbench.console import table

SHOWN = 5


def glimpse(folder: Path, lists: Path) -> str:
    """The first user whose first five recommendations hold the most items of the test split.

    Parameters
    ----------
    folder : a data folder with `meta.tsv` and a split.
    lists : user, item, score, best first, under raw ids.
    """
    names = ["user", "item"]
    columns: dict[str, Any] = {"sep": "\t", "header": None, "dtype": {"user": str, "item": str}}
    recommended = pd.read_csv(lists, names=[*names, "score"], **columns).groupby("user").head(SHOWN)
    taken = pd.read_csv(folder / "test.tsv", usecols=[0, 1], names=names, **columns)
    known = pd.read_csv(folder / "train.tsv", usecols=[0, 1], names=names, **columns)
    hits = recommended.merge(taken, on=names)
    user = hits["user"].value_counts(sort=True).sort_index(kind="stable").idxmax() if len(hits) else taken["user"][0]
    meta = pd.read_csv(folder / "meta.tsv", sep="\t", dtype=str, quoting=3, keep_default_na=False)
    titles = dict(zip(meta["item"], meta["title"], strict=True))
    had = [titles[item] for item in known.loc[known["user"] == user, "item"]][:SHOWN]
    found = set(hits.loc[hits["user"] == user, "item"])
    shown = [
        f"{titles[item]}{'  <- taken' if item in found else ''}"
        for item in recommended.loc[recommended["user"] == user, "item"]
    ]
    had += [""] * (len(shown) - len(had))
    rows = list(zip(had, shown, strict=False))
    return table(("took before", "VBPR recommends"), rows, left=("VBPR recommends",))
