"""How far apart the parts of a disentangled model lie, and whether its concepts mean something; and a map of vectors.

Independence is the level of independence of Ma et al., "Learning Disentangled Representations for Recommendation",
NeurIPS 2019, concept by concept; adjusted Rand index and normalised mutual information (by the arithmetic mean of the
entropies) are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.errors import UserError

_ROWS = 2048  # of a table that are held in float64 at a time
_CONSTANT = 1e-12  # standard deviation over root mean square up to which a dimension is one number, and rounding


def user_independence(blocks: Tensor | Iterable[Tensor]) -> float:
    """Mean over the concepts of 1 - sum_{i != j} |rho_ij| / (d (d - 1)).

    rho (d, d) is Pearson's correlation, over the users, of the dimensions of mu_k. The K d numbers of a user are scaled
    to length 1 together before. A dimension that is the same for all users is correlated with none; a single dimension
    (d = 1) is independent.

    Parameters
    ----------
    blocks : mu (U, K, d), whole or as blocks of users (B, K, d); sums are float64, K d^2 numbers whatever U is.

    Raises
    ------
    UserError : fewer than two users, or values that are no finite numbers.
    """
    moments = _Moments()
    for block in [blocks] if isinstance(blocks, Tensor) else blocks:
        for rows in block.split(_ROWS):
            moments.add(_unit(rows.double().flatten(1)).reshape(rows.shape))
    return moments.independence()


def item_independence(items: Tensor) -> float:
    """The same of a table of items (N, d), each row scaled to length 1: 1 - sum_{i != j} |rho_ij| / (d (d - 1)).

    Raises
    ------
    UserError : fewer than two items, or values that are no finite numbers.
    """
    return user_independence(items[:, None])


class _Moments:
    """Means (K, d), and sums of products of deviations from them (K, d, d), merged by blocks (Chan et al., 1979)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        """Rows (B, K, d) in float64."""
        count = len(rows)
        if count == 0:
            return
        mean = rows.mean(dim=0)
        centred = (rows - mean).transpose(0, 1)  # (K, B, d)
        between = mean - self._mean
        share = self._count * count / (self._count + count)
        self._products = (
            self._products + centred.transpose(1, 2) @ centred + share * between[:, :, None] * between[:, None, :]
        )
        self._mean = self._mean + between * (count / (self._count + count))
        self._count += count

    def independence(self) -> float:
        """The measure, for what was added."""
        if self._count < 2 or not isinstance(self._products, Tensor) or not isinstance(self._mean, Tensor):
            raise UserError(f"independence needs at least two rows, and there are {self._count}")
        if not self._products.isfinite().all():
            raise UserError("independence: the vectors have values that are no finite numbers")
        size = self._products.shape[-1]
        if size == 1:
            return 1.0
        squares = self._products.diagonal(dim1=1, dim2=2)  # (K, d)
        varies = squares > _CONSTANT**2 * (squares + self._count * self._mean.square())
        scale = torch.where(varies, squares, 1.0).rsqrt() * varies
        correlations = (self._products * scale[:, :, None] * scale[:, None, :]).abs()
        beside = correlations.sum(dim=(1, 2)) - correlations.diagonal(dim1=1, dim2=2).sum(dim=1)
        return float(1 - beside.mean() / (size * (size - 1)))


def _unit(rows: Tensor) -> Tensor:
    """Rows of length 1; those of zeros stay."""
    lengths = rows.norm(dim=-1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class Interpretability:
    """How well concepts agree with categories, over the items that have both.

    Attributes
    ----------
    adjusted_rand : adjusted Rand index; 0 is chance, 1 the same partition.
    mutual_information : normalised to 0 to 1.
    purity : of each concept, the share of its commonest category; NaN of a concept without items.
    commonest : these categories; -1 of a concept without items.
    """

    adjusted_rand: float
    mutual_information: float
    purity: tuple[float, ...]
    commonest: tuple[int, ...]


def interpretability(concepts: Tensor, categories: Tensor, n_concepts: int | None = None) -> Interpretability:
    """Agreement of the concepts of items with categories that people gave them.

    Parameters
    ----------
    concepts : (I,) integers, -1 for none; of probabilities (I, K), `probabilities.argmax(1)`.
    categories : (I,) integers, -1 where it is not known.
    n_concepts : K, where the last concepts may have no items.

    Raises
    ------
    UserError : no item has both.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    both = (concepts >= 0) & (categories >= 0)
    found, wanted = concepts[both].long().cpu(), categories[both].long().cpu()
    if len(found) == 0:
        raise UserError("no item has both a concept and a category")
    sizes = (max(n_concepts or 0, int(concepts.max()) + 1), int(wanted.max()) + 1)
    table = torch.bincount(found * sizes[1] + wanted, minlength=sizes[0] * sizes[1]).reshape(sizes).double()
    most, commonest = table.max(dim=1)
    filled = table.sum(dim=1) > 0
    return Interpretability(
        float(adjusted_rand_score(wanted.numpy(), found.numpy())),
        float(normalized_mutual_info_score(wanted.numpy(), found.numpy())),
        tuple((most / table.sum(dim=1)).tolist()),  # 0 / 0 is NaN
        tuple(torch.where(filled, commonest, -1).tolist()),
    )


def plane(vectors: Tensor) -> Tensor:
    """Vectors (N, D) in two dimensions (N, 2) float32: their first two principal components.

    The largest entry of each axis is positive, so that the same vectors always give the same map. Rows with values that
    are no finite numbers are left out and stay NaN. For a map of several tables, place them together and split.
    """
    known = vectors.isfinite().all(dim=1).nonzero().flatten()
    placed = torch.full((len(vectors), 2), torch.nan, device=vectors.device)
    if len(known) == 0 or vectors.shape[1] == 0:
        return placed
    mean = torch.stack([vectors[rows].double().sum(dim=0) for rows in known.split(_ROWS)]).sum(dim=0) / len(known)
    products = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=vectors.device)
    for rows in known.split(_ROWS):
        centred = vectors[rows].double() - mean
        products += centred.T @ centred
    axes = torch.linalg.eigh(products).eigenvectors.flip(1)[:, :2]  # (D, 2), eigenvalues ascend
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    axes = torch.nn.functional.pad(axes, (0, 2 - axes.shape[1]))
    for rows in known.split(_ROWS):
        placed[rows] = ((vectors[rows].double() - mean) @ axes).float()
    return placed
