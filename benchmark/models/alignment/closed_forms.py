"""Alignment in closed form. Nothing is drawn, and all of it is computed in float64 on the CPU, whatever the device.

X_r are the features of modality r less their mean over the items that have them, C_rs the mean of X_r^T X_s over the
items that have both, and w_r (D_r, d) the maps: z_r(i) = w_r^T (f_r(i) - mean_r).

pca         w_r = the d leading eigenvectors of C_rr: each modality by itself, with zeros where it varies in fewer
            directions.
procrustes  the same, divided by the square roots of the eigenvalues (whitened), and then turned by the orthogonal Q_r
            that minimises |Z_r Q_r - Z_1|_F over the items that have both (Schoenemann, Psychometrika 1966).
cca         [w_1; ..; w_R] = the d leading solutions of C w = lambda D w, where D has the blocks S_r on its diagonal,
            and C the same and the blocks C_rs beside it: the MAXVAR form of the canonical correlations of several sets
            (Kettenring, Biometrika 1971), which for two sets are those of Hotelling (1936), lambda = 1 + rho. S_r is
            C_rr drawn to a multiple of 1 by as much as Ledoit and Wolf (2004) find best for so many items: without it
            features of many dimensions correlate by chance. Each direction is multiplied by its mean correlation,
            (lambda - 1) / (R - 1) or 0, so that what the modalities do not share weighs little in a cosine.

The sign of a direction is such that its entry of largest size is positive: then the result is that of every linear
algebra library, wherever eigenvalues differ. The cost is that of the eigenvectors, O(D_r^3), of cca O((sum of D_r)^3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.base import Features
from workbench.errors import UserError

_NOISE = 1e-13  # share of the largest variance below which there is only the rounding of float32
_LEAST_SHARE = 1e-6  # by which a covariance is shrunk, so that it has an inverse
_BLOCK_ROWS = 4096  # of the features, in float64 at a time


class Found(NamedTuple):
    """w_r^T (d, D_r) and the biases (d,) of each modality, float64 on the CPU."""

    weights: list[Tensor]
    biases: list[Tensor]


def pca(modalities: Mapping[str, Features], size: int) -> Found:
    """Leading eigenvectors of each modality by itself; `size` is d."""
    views = _Views(modalities, least=1)
    leading = (_leading(own, min(size, rank))[1].t() for own, rank in zip(views.covariances, views.ranks, strict=True))
    return views.maps([functional.pad(each, (0, 0, 0, size - len(each))) for each in leading])


def procrustes(modalities: Mapping[str, Features], size: int) -> Found:
    """Each modality whitened and turned to the first.

    Parameters
    ----------
    size : d.

    Raises
    ------
    UserError : the features of a modality vary in fewer than d directions.
    """
    views, weights = _Views(modalities, size), list[Tensor]()
    for place, own in enumerate(views.covariances):
        variances, directions = _leading(own, size)
        weight = (directions / variances.sqrt()).t()
        if place:
            left, _, right = torch.linalg.svd(weight @ views.covariance(place, 0) @ weights[0].t())
            weight = (left @ right).t() @ weight
        weights.append(weight)
    return views.maps(weights)


def cca(modalities: Mapping[str, Features], size: int) -> Found:
    """Canonical correlations of R >= 2 modalities; parameters and errors as of `procrustes`."""
    views = _Views(modalities, size)
    shrunk = [views.shrunk(place) for place in range(len(modalities))]
    dims = [len(own) for own in shrunk]
    inverse = torch.block_diag(*(torch.linalg.inv(torch.linalg.cholesky(own)) for own in shrunk))  # K: K D K^T = 1
    pairs = [[views.covariance(one, other) for other in range(len(dims))] for one in range(len(dims))]
    for place, own in enumerate(shrunk):
        pairs[place][place] = own
    whole = torch.cat([torch.cat(row, dim=1) for row in pairs])
    values, vectors = _leading(inverse @ whole @ inverse.t(), size)
    correlations = ((values - 1) / (len(dims) - 1)).clamp(min=0)
    stacked = _signed(inverse.t() @ vectors) * correlations
    return views.maps([each.t() for each in stacked.split(dims)])


class _Views:
    """Means, covariances and numbers of directions (`ranks`) of modalities that vary in at least so many."""

    def __init__(self, modalities: Mapping[str, Features], least: int) -> None:
        self._views = [(each.values.cpu(), each.known.cpu()) for each in modalities.values()]
        # float64 before the sum: the mean of many rows in float32 would not be the mean
        self._means = [
            sum(some.double().sum(dim=0) for some in values[known].split(_BLOCK_ROWS)) / known.sum()
            for values, known in self._views
        ]
        self.covariances = [self.covariance(place, place) for place in range(len(self._views))]
        self.ranks = []
        for name, own, (_, known) in zip(modalities, self.covariances, self._views, strict=True):
            variances = torch.linalg.eigvalsh(own)
            self.ranks.append(rank := int((variances > _NOISE * variances[-1]).sum()))
            if least > rank:
                shape = f"{int(known.sum())} items, {len(own)} features"
                raise UserError(
                    f"vectors of {least} numbers are asked for, and the modality {name!r} varies in {rank} directions "
                    f"only ({shape})",
                    mend=f"make them {rank} or shorter"
                    + (", or align by `contrastive`" if len(modalities) > 1 else ""),
                )

    def covariance(self, one: int, other: int) -> Tensor:
        """C_rs (D_r, D_s)."""
        (left, left_known), (right, right_known) = self._views[one], self._views[other]
        items = (left_known & right_known).nonzero().flatten()
        total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64)
        for some in items.split(_BLOCK_ROWS):
            total += (left[some].double() - self._means[one]).t() @ (right[some].double() - self._means[other])
        return total / len(items)

    def shrunk(self, place: int) -> Tensor:
        """S_r = (1 - s) C_rr + s m 1, m the mean variance and s = min(1, (E|x|^4 - |C_rr|^2) / (n |C_rr - m 1|^2))."""
        own, (values, known) = self.covariances[place], self._views[place]
        rows = values[known].split(_BLOCK_ROWS)
        fourth = sum((some.double() - self._means[place]).square().sum(dim=1).square().sum() for some in rows)
        target = own.diagonal().mean() * torch.eye(len(own))
        n_items = int(known.sum())
        error = (fourth / n_items - own.square().sum()) / n_items
        apart = (own - target).square().sum()
        share = max(_LEAST_SHARE, float(error / apart.clamp(min=error)) if apart > 0 else 0.0)
        return (1 - share) * own + share * target

    def maps(self, weights: list[Tensor]) -> Found:
        """With the biases that take the means to 0."""
        return Found(weights, [-(weight @ mean) for weight, mean in zip(weights, self._means, strict=True)])


def _leading(symmetric: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues (d,), descending, and their eigenvectors (D, d)."""
    values, vectors = torch.linalg.eigh(symmetric)
    return values[-size:].flip(0), _signed(vectors[:, -size:].flip(1))


def _signed(columns: Tensor) -> Tensor:
    """Columns with a positive entry of largest size."""
    largest = columns.gather(0, columns.abs().argmax(dim=0, keepdim=True))
    return columns * largest.sign()
