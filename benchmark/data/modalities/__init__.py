"""Item features in the order of the data set's items, with a mask that says whose were observed.

A modality passes through five steps, in this order: rows are found by item id (`sources`, `reviews`), a share of them
is taken away where an experiment asks for it (`missingness`), a control takes the place of what is left (`controls`),
the observed rows are normalised (`normalisation`), and the others are filled (`imputation`, `propagation`). A control
goes through the same normalisation and imputation as the features that it replaces, so nothing but their content
differs.
"""

from benchmark.data.modalities.base import Imputer, Modality, Observed
from benchmark.data.modalities.controls import Control
from benchmark.data.modalities.imputation import POLICIES, Mean, Noise, Zeros
from benchmark.data.modalities.loading import Policy, load_modality
from benchmark.data.modalities.missingness import MissingItems, drop_items, is_removed
from benchmark.data.modalities.normalisation import Normalisation
from benchmark.data.modalities.propagation import Heat, MultiHop, NeighbourMean, PageRank
from benchmark.data.modalities.reviews import Reviews, held_out_reviews, is_pair_table
from benchmark.data.modalities.sources import Matrix, Rows, Source, open_source

__all__ = [
    "POLICIES",
    "Control",
    "Heat",
    "Imputer",
    "Matrix",
    "Mean",
    "MissingItems",
    "Modality",
    "MultiHop",
    "NeighbourMean",
    "Noise",
    "Normalisation",
    "Observed",
    "PageRank",
    "Policy",
    "Reviews",
    "Rows",
    "Source",
    "Zeros",
    "drop_items",
    "held_out_reviews",
    "is_pair_table",
    "is_removed",
    "load_modality",
    "open_source",
]
