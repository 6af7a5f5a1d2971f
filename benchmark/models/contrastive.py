"""What contrastive models have in common."""

from __future__ import annotations

from benchmark.models.base import TrainingParams


class ContrastiveParams(TrainingParams):
    """Of a model with InfoNCE: a step computes B x B logits, or B x as many as there are users and items, in blocks.

    batch_size : B; all at once would be quadratic in the training interactions, so it is 2,048 here by default.
    """

    batch_size: int = 2048
