"""Where the parts of a split lie in a data folder: their stems, which are paths without `.tsv`.

One split: `train`, `val`, `test`, with whole users held out also `val_input` and `test_input` (what those users show),
and beside each its twin `<stem>_indexed`. Several folds, in Elliot's tree: `folds/<t>/test`, `folds/<t>/<v>/train` and
`folds/<t>/<v>/val` (`test_input` and `val_input` beside their targets), and the indexed twins under `folds_indexed/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import Parts

PARTS = ("train", "val", "test")
INPUTS = ("val_input", "test_input")
TREE, INDEXED_TREE = "folds", "folds_indexed"


def stems_of(folds: Sequence[Sequence[Parts]]) -> dict[str, Interactions]:
    """Every part by its stem, in the order train, val, test, inputs within a fold."""
    if len(folds) == 1 and len(folds[0]) == 1:
        return _present(_named(folds[0][0], "", ""))
    return {
        stem: part
        for t, inner in enumerate(folds)
        for v, parts in enumerate(inner)
        for stem, part in _present(_named(parts, f"{TREE}/{t}/", f"{TREE}/{t}/{v}/")).items()
    }


def indexed(stem: str) -> str:
    """The stem of the twin under integer ids."""
    return f"{INDEXED_TREE}{stem[len(TREE) :]}" if stem.startswith(f"{TREE}/") else f"{stem}_indexed"


def training_of(stem: str, stems: Iterable[str]) -> list[str]:
    """Stems of the training parts that a part stands beside: that of its fold, or of all folds below a test part."""
    folder = stem[: stem.rfind("/") + 1]
    return [other for other in stems if other.startswith(folder) and other.split("/")[-1] == "train"]


def _named(parts: Parts, outer: str, inner: str) -> dict[str, Interactions | None]:
    return {
        f"{inner}train": parts.train,
        f"{inner}val": parts.validation,
        f"{outer}test": parts.test,
        f"{inner}val_input": parts.validation_input,
        f"{outer}test_input": parts.test_input,
    }


def _present(parts: dict[str, Interactions | None]) -> dict[str, Interactions]:
    return {stem: part for stem, part in parts.items() if part is not None}
