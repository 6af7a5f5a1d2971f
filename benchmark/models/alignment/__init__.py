"""Modalities of items, mapped into one space: the stage before AlignMacridVAE, which reads no interactions."""

from benchmark.models.alignment.cores import concept_cores, kept_concept_cores
from benchmark.models.alignment.settings import IGUI, AlignmentParams
from benchmark.models.alignment.stage import Alignment, align

__all__ = ["IGUI", "Alignment", "AlignmentParams", "align", "concept_cores", "kept_concept_cores"]
