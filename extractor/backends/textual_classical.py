"""TF-IDF with truncated SVD (latent semantic analysis): text features that need no weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from loguru import logger

from extractor.backends.base import Encoder, Surroundings
from extractor.config import TextualModel
from extractor.layers import Layer, by_name
from extractor.sources import Unusable
from workbench.config import nearest
from workbench.errors import UserError

_SEED = 42  # of the randomised SVD
_DIM = 128
_TERMS = 50_000  # the most frequent ones; bounds the memory of a large corpus
_CHUNK = 4096


class Backend(Encoder[TextualModel]):
    """Layer `tfidf_svd` of model `tfidf`: (1 + log tf) * idf, reduced to `dim`, rows of length 1.

    Deerwester et al., Indexing by latent semantic analysis, 1990. The corpus is the file itself, so
    features of two catalogues cannot be compared.
    """

    uses = frozenset({"dim"})
    packages = ("scikit-learn", "numpy", "scipy")
    needs_corpus = True

    def __init__(self, model: TextualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        if model.model_name != "tfidf":
            raise UserError(
                f"classical has no textual model {model.model_name!r}",
                where=around.where,
                mend=nearest(model.model_name, ["tfidf"]),
            )
        by_name(model.layer_names, ["tfidf_svd"], around.where, "tfidf")
        self.chunk = _CHUNK
        self._dim = model.dim or _DIM

    def recipe(self) -> dict[str, Any]:
        terms = {"tf": "1 + log", "strip_accents": "unicode", "most_terms": _TERMS}
        return {"terms": terms, "svd": {"dim": self._dim, "seed": _SEED}, "norm": "l2"}

    def start(self, layers: Sequence[Layer]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._layer = layers[0]
        self._vectoriser = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", max_features=_TERMS)
        self._analyse = self._vectoriser.build_analyzer()

    def fit(self, prepared: Iterable[str]) -> None:
        from sklearn.decomposition import TruncatedSVD

        matrix = self._vectoriser.fit_transform(prepared)
        # a corpus of n texts and t terms spans at most min(n, t) dimensions
        dim = min(self._dim, *matrix.shape)
        if dim < self._dim:
            logger.warning("tfidf_svd: {} dimensions, not {}: the corpus is that small", dim, self._dim)
        with np.errstate(invalid="ignore"):  # texts that are all alike have no variance to explain
            svd = TruncatedSVD(dim, algorithm="randomized", n_iter=7, random_state=_SEED)
            self._svd = svd.fit(matrix)

    def prepare(self, content: str) -> str:
        if not self._analyse(content):
            raise Unusable("the text has no word of two letters or more")
        return content

    def encode(self, batch: Sequence[str]) -> Mapping[Layer, np.ndarray]:
        values = self._svd.transform(self._vectoriser.transform(batch))
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return {self._layer: (values / np.maximum(length, 1e-12)).astype(np.float32)}

    def describe(self) -> dict[str, Any]:
        explained = float(np.nan_to_num(self._svd.explained_variance_ratio_).sum())
        return {"terms": len(self._vectoriser.vocabulary_), "explained_variance": round(explained, 4)}
