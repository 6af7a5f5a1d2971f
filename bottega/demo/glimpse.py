"""What one user had, was shown, and took: a table that a person can judge."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workbench.console import table

SHOWN = 5


def glimpse(folder: Path, lists: Path) -> str:
    """The first user whose first five recommendations hold the most items of the test split.

    Parameters
    ----------
    folder : a data folder with `meta.tsv`, `items_map.tsv` and indexed splits.
    lists : user, item, score, best first, under the integer ids of the split.
    """
    names = ["user", "item"]
    recommended = pd.read_csv(lists, sep="\t", header=None, names=[*names, "score"]).groupby("user").head(SHOWN)
    taken = pd.read_csv(folder / "test_indexed.tsv", sep="\t", header=None, usecols=[0, 1], names=names)
    known = pd.read_csv(folder / "train_indexed.tsv", sep="\t", header=None, usecols=[0, 1], names=names)
    hits = recommended.merge(taken, on=names)
    user = hits["user"].value_counts(sort=True).sort_index(kind="stable").idxmax() if len(hits) else taken["user"][0]
    titles = _titles(folder)
    had = [titles[item] for item in known.loc[known["user"] == user, "item"]][:SHOWN]
    found = set(hits.loc[hits["user"] == user, "item"])
    shown = [
        f"{titles[item]}{'  <- taken' if item in found else ''}"
        for item in recommended.loc[recommended["user"] == user, "item"]
    ]
    had += [""] * (len(shown) - len(had))
    rows = list(zip(had, shown, strict=False))
    return table(("took before", "VBPR recommends"), rows, left=("VBPR recommends",))


def _titles(folder: Path) -> dict[int, str]:
    meta = pd.read_csv(folder / "meta.tsv", sep="\t", dtype=str, quoting=3, keep_default_na=False)
    title_of = dict(zip(meta["item"], meta["title"], strict=True))
    index = pd.read_csv(folder / "items_map.tsv", sep="\t", header=None, names=["item", "index"], dtype={"item": str})
    return {number: title_of[item] for item, number in zip(index["item"], index["index"], strict=True)}
