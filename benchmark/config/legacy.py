"""The protocols of other systems, as `evaluation.legacy` names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmark.data.dataset import Candidates

Legacy = Literal["elliot", "mmrec", "align_macridvae"]
MMREC_DIGITS = 4


@dataclass(frozen=True)
class LegacyProtocol:
    """What is fixed besides the mask, which is `train` in all of them.

    Attributes
    ----------
    candidates : which items are ranked.
    names : what its names of metrics, in lower case, are called here.
    monitor : what chooses where the file does not say; None: the first metric of accuracy.
    digits : decimals left before anything is chosen, None for all.
    chooses_on_test : whether the test part chooses where there is no validation part.
    """

    candidates: Candidates
    names: Mapping[str, str] = field(default_factory=dict)
    monitor: str | None = None
    digits: int | None = None
    chooses_on_test: bool = True


PROTOCOLS: dict[Legacy, LegacyProtocol] = {
    "elliot": LegacyProtocol("train"),
    "mmrec": LegacyProtocol("all", {"ndcg": "nDCG_binary", "map": "MAP_standard"}, digits=MMREC_DIGITS),
    "align_macridvae": LegacyProtocol(
        "all",
        {"ndcg": "nDCG_binary", "recall": "Recall_min", "map": "MAP_longest"},
        monitor="nDCG_binary@100",
        chooses_on_test=False,
    ),
}
