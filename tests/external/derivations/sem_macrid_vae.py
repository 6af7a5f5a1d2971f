"""SEM-MacridVAE: MacridVAE with a table that began with content; where it began is proved in test_macrid_family."""

from __future__ import annotations

from derivations.macrid_vae import CHANGES as CHANGES
from derivations.macrid_vae import PARAMS as PARAMS
from derivations.macrid_vae import loss as loss
from derivations.macrid_vae import scores as scores

VARIANTS = [{"recipe": "igui"}]
