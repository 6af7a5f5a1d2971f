"""The portrait of a row's model: asked for, checked, thinned out, and put under raw ids."""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import torch
from loguru import logger

from benchmark.data.raw_ids import raw_of
from benchmark.evaluation.slices import Slice
from benchmark.experiment.fold import Fold
from benchmark.models.base import Recommender
from benchmark.models.disentanglement import interpretability
from benchmark.models.portrait import TOPS, Portrait
from benchmark.reports.portrait import ShownPortrait
from workbench.errors import UserError

POINTS = 4_000  # on a map, of all modalities together


def draw_portrait(model: Recommender, fold: Fold, row: str) -> dict[str, Any] | None:
    """What a trained model shows of itself, for the journal; None where it shows nothing.

    A portrait that cannot be drawn is a warning: the figures of its row are worth more.
    """
    if type(model).portrait is Recommender.portrait:
        return None
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            portrait = model.portrait()
            if portrait is None:
                return None
            portrait.check(fold.dataset.n_items)
            return asdict(_shown(portrait, fold))
    except (Exception, SystemExit) as error:
        reason = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        logger.warning("{}: the report shows nothing of the inside of the model: {}", row, reason)
        return None
    finally:
        model.train(training)


def _shown(portrait: Portrait, fold: Fold) -> ShownPortrait:
    ids = raw_of(fold.dataset.item_ids, fold.judges.raw_ids.items)
    places = {name: placed.double().cpu().numpy() for name, placed in portrait.places.items()}
    groups = None if portrait.groups is None else portrait.groups.long().cpu().numpy()
    known = np.zeros(fold.dataset.n_items, dtype=bool)
    for placed in places.values():
        known |= np.isfinite(placed).all(axis=1)
    numbers = np.flatnonzero(known)
    kept = numbers
    if places:
        kept = sample(numbers, None if groups is None else groups[numbers], POINTS // len(places))
    tops = [[ids[item] for item in islice(top, TOPS)] for top in portrait.tops]
    figures, captions = _meanings(portrait, fold, max(len(tops), 0 if groups is None else int(groups.max()) + 1))
    return ShownPortrait(
        {name: _short(number) for name, number in portrait.numbers.items()} | figures,
        {name: [_short(value) for value in curve] for name, curve in portrait.curves.items()},
        len(numbers),
        [ids[item] for item in kept],
        [] if groups is None else groups[kept].tolist(),
        {name: [[_short(x), _short(y)] for x, y in placed[kept]] for name, placed in places.items()},
        tops,
        captions,
    )


def sample(items: np.ndarray, groups: np.ndarray | None, most: int) -> np.ndarray:
    """At most so many of the items (N,), drawn under a fixed seed; some of every group (N,) come first.

    The first half is shared evenly among the groups as far as they have items, so every beginning shows all of them.
    """
    order = np.random.default_rng(0).permutation(len(items))
    if groups is not None:
        drawn = groups[order]
        by_group = np.argsort(drawn, kind="stable")
        ranks = np.empty(len(items), dtype=np.int64)  # of each item in its group, by the order drawn
        ranks[by_group] = np.arange(len(items)) - np.searchsorted(drawn[by_group], drawn[by_group])
        share = max(1, most // (2 * max(len(np.unique(groups)), 1)))
        order = order[np.lexsort((np.where(ranks < share, ranks, share),))]
    return np.asarray(items[order[:most]])


def _meanings(portrait: Portrait, fold: Fold, n_concepts: int) -> tuple[dict[str, float], list[str]]:
    """Agreement of the concepts with the groupings of items that the file names: figures, and a line a concept."""
    figures: dict[str, float] = {}
    lines: list[list[str]] = [[] for _ in range(n_concepts)]
    for each in fold.item_groupings if portrait.groups is not None else []:
        assert portrait.groups is not None
        codes = torch.from_numpy(each.codes[: fold.dataset.n_items]).to(portrait.groups.device)
        if not ((codes >= 0) & (portrait.groups >= 0)).any():
            continue
        found = interpretability(portrait.groups, codes, n_concepts)
        figures[f"{each.name}: adjusted Rand index"] = _short(found.adjusted_rand)
        figures[f"{each.name}: normalised mutual information"] = _short(found.mutual_information)
        for line, share, code in zip(lines, found.purity, found.commonest, strict=True):
            line += [_line(each, share, code)] if code >= 0 else []
    return figures, ["; ".join(line) for line in lines] if figures else []


def _line(grouping: Slice, share: float, code: int) -> str:
    return f"{grouping.name}: {grouping.groups[code]} {share:.0%}"


def _short(value: float) -> float:
    """Five significant digits: a map has thousands of numbers."""
    return float(f"{value:.5g}") if math.isfinite(value) else math.nan
