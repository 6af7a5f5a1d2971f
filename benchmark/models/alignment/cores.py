"""Where concepts start: the centres of k-means in the aligned vectors."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.base import TrainingData
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_array, sha256_file

_MANY = 50_000  # rows from which fewer starts are compared


def concept_cores(vectors: Tensor, k: int, seed: int, spherical: bool) -> Tensor:
    """The best of ten runs of k-means (four where there are more than 50,000 rows) by scikit-learn.

    Rows of zeros are those of items without the modality, and are left out.

    Parameters
    ----------
    vectors : (N, d).
    spherical : whether rows are divided by their lengths first, since a model that only compares directions has no use
        for clusters of lengths. The centres are means then, too, and not of length 1.

    Returns
    -------
    Tensor : (k, d) float32, where `vectors` are.

    Raises
    ------
    UserError : there are fewer than k distinct rows.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with torch.no_grad():
        rows = vectors[vectors.any(dim=1)].float()
        rows = (functional.normalize(rows, dim=1) if spherical else rows).cpu()
    if k > len(rows):
        raise _too_many(k, len(rows))
    means = KMeans(k, n_init=10 if len(rows) <= _MANY else 4, random_state=seed % 2**32)
    with warnings.catch_warnings(), threadpool_limits(torch.get_num_threads()):
        warnings.simplefilter("ignore", ConvergenceWarning)  # told below
        means.fit(rows.numpy())
    filled = len(set(means.labels_.tolist()))
    if filled < k:
        raise _too_many(k, filled)
    return torch.from_numpy(means.cluster_centers_).float().to(vectors.device)


def kept_concept_cores(data: TrainingData, vectors: Tensor, k: int, seed: int, spherical: bool) -> Tensor:
    """`concept_cores`, computed once for all trials."""
    hashed = sha256_array(vectors.detach().cpu().numpy())
    code = [sha256_file(Path(__file__)), version("scikit-learn")]
    key = fingerprint(["cores", *code, list(vectors.shape), hashed, k, seed, spherical])
    return data.kept(f"cores {key}", lambda: {"cores": concept_cores(vectors, k, seed, spherical)})["cores"]


def _too_many(k: int, there: int) -> UserError:
    return UserError(f"{k} concepts are asked for, and the items have {there} distinct vectors", mend="ask for fewer")
