"""The stage as a whole: from features to vectors in one space, once for all trials that ask for the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import torch
from loguru import logger
from torch import Tensor
from torch.nn import functional

from benchmark.models.alignment.closed_forms import cca, pca, procrustes
from benchmark.models.alignment.contrastive import train
from benchmark.models.alignment.retrieval import DEPTHS, ordered_pairs, retrieval
from benchmark.models.alignment.settings import AlignmentParams
from benchmark.models.base import Features, TrainingData
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_file

_CLOSED_FORMS = {"cca": cca, "procrustes": procrustes, "pca": pca}


@dataclass(frozen=True)
class Alignment:
    """Modalities in one space. The tensors are shared by all trials: do not write to them.

    Attributes
    ----------
    weights, biases : (d, D_r) and (d,) a modality: z_r(i) = W_r f_r(i) + b_r, for items that were not aligned, too.
    vectors : z (R, I, d) float32; 0 where an item has not the modality.
    known : (R, I) bool: where it has.
    losses : mean loss of each epoch; empty for closed forms.
    retrieval : `visual to textual, top 1` -> share of items; see `retrieval`.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    vectors: Tensor
    known: Tensor
    losses: list[float]
    retrieval: dict[str, float]


def align(
    data: TrainingData, modalities: Mapping[str, Features], size: int, params: AlignmentParams, seed: int
) -> Alignment:
    """Map modalities into one space of `size` dimensions, by what the items have in them alone.

    One modality has nothing to be aligned with: it gets its PCA, whatever the method. The same features, size and
    settings are aligned once, in this process and, where the data have a `store`, anywhere: `seed` counts for the
    contrastive method only.

    Raises
    ------
    UserError : fewer than two items have both modalities of a pair (by contrast: of every pair), the features of a
        modality are the same for all items, or a closed form is asked for more dimensions than features vary in.
    Diverged : the training of the contrastive method.
    """
    views = list(modalities.values())
    method = params.method if len(views) > 1 else "pca"
    drawn = seed if method == "contrastive" else None
    settings = str(params) if method == "contrastive" else method
    made_of = [[each.digest, list(each.values.shape)] for each in views]
    key = fingerprint(["alignment", _code(), data.device.type, made_of, size, settings, drawn])

    def make() -> dict[str, Tensor]:
        _check(modalities, method)
        if method == "contrastive":
            weights, biases, losses = train([each.values for each in views], [each.known for each in views],
                                            size, params, seed)  # fmt: skip
        else:
            found = _CLOSED_FORMS[method](modalities, size)
            weights, biases = ([part.float().to(data.device) for part in parts] for parts in found)
            losses = torch.zeros(0)
        vectors, known = _project(views, weights, biases)
        shares = retrieval(vectors, known)
        _tell(method, losses, _named(shares, modalities))
        maps = {f"{kind}.{place}": part for kind, parts in (("weight", weights), ("bias", biases))
                for place, part in enumerate(parts)}  # fmt: skip
        return maps | {"losses": losses, "retrieval": shares}

    def whole() -> Alignment:
        kept = data.kept(key, make)
        weights, biases = ([kept[f"{kind}.{place}"] for place in range(len(views))] for kind in ("weight", "bias"))
        vectors, known = _project(views, weights, biases)
        return Alignment(
            weights, biases, vectors, known, kept["losses"].tolist(), _named(kept["retrieval"], modalities)
        )

    return data.derived(f"aligned {key} {fingerprint(list(modalities))}", whole)


def _check(modalities: Mapping[str, Features], method: str) -> None:
    """By contrast, a modality that can be aligned with no other is only told, as long as others can be."""
    for name, each in modalities.items():
        rows = each.values[each.known]
        if len(rows) > 1 and bool((rows == rows[0]).all()):
            raise _unusable(name, f"the features of the modality {name!r} are the same for all items")
        if len(rows) < 2 and (method != "contrastive" or len(modalities) == 2):
            raise _unusable(name, f"{len(rows)} items have features of the modality {name!r}")
    pairs = list(combinations(modalities.items(), 2))
    both = [int((left.known & right.known).sum()) for (_, left), (_, right) in pairs]
    for ((one, _), (other, _)), common in zip(pairs, both, strict=True):
        if common < 2:
            what = f"{common} items have both {one!r} and {other!r}, so that nothing can be aligned"
            if method != "contrastive" or max(both) < 2:
                raise _unusable(other, what)
            logger.warning(what)


def _unusable(name: str, what: str) -> UserError:
    return UserError(what, mend=f"leave {name!r} out of `modalities`, or mend its features")


def _project(views: list[Features], weights: list[Tensor], biases: list[Tensor]) -> tuple[Tensor, Tensor]:
    """z (R, I, d) and where it is known (R, I)."""
    known = torch.stack([each.known for each in views])
    with torch.no_grad(), torch.autocast(known.device.type, enabled=False):
        rows = [functional.linear(each.values, *part) for each, *part in zip(views, weights, biases, strict=True)]
        return torch.stack(rows).where(known[:, :, None], 0.0), known


def _named(shares: Tensor, modalities: Mapping[str, Features]) -> dict[str, float]:
    names = list(modalities)
    return {
        f"{names[one]} to {names[other]}, top {depth}": share
        for (one, other), row in zip(ordered_pairs(len(names)), shares.tolist(), strict=True)
        for depth, share in zip(DEPTHS, row, strict=True)
        if not math.isnan(share)
    }


def _tell(method: str, losses: Tensor, found: dict[str, float]) -> None:
    parts = [f"loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last"] if len(losses) else []
    parts += [f"{name}: {share:.3f}" for name, share in found.items()]
    logger.info("alignment by {}: {}", method, "; ".join(parts) or "one modality")


@cache
def _code() -> str:
    """Hash of the sources of this package: what an older version kept is not taken for this one's."""
    return fingerprint([torch.__version__, *(sha256_file(path) for path in sorted(Path(__file__).parent.glob("*.py")))])
