"""Focal loss: little weight on clips that are right already (Lin et al. 2017, eq. 4).

Its alpha is the experiment's `level_weights`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from affectflow.temporal.losses.cross_entropy import layer, probabilities

ORDERED = False
DECISION = "mode"
SETTINGS = {"focal_gamma": {"type": "number", "minimum": 0, "default": 2.0}}

__all__ = ["layer", "probabilities", "terms"]


def terms(scores: Tensor, level: Tensor, focal_gamma: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return each clip's ``-(1 - p)^gamma log p``, p the label's probability, and ones.

    `scores` (n, K) float32, `level` (n,) int64; gamma 0 is cross-entropy.
    """
    log_p = functional.log_softmax(scores, dim=1).gather(1, level[:, None])[:, 0]
    # Above zero, so that the gradient of a small power stays finite.
    rest = (1 - log_p.exp()).clamp(min=torch.finfo(scores.dtype).tiny)
    value = -(rest**focal_gamma) * log_p
    return value, torch.ones_like(value)
