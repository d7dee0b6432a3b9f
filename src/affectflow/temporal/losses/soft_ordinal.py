"""Soft ordinal labels: a truth that reaches its neighbours (Diaz and Marathe 2019, SORD, eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from affectflow.temporal.losses.cross_entropy import layer, probabilities

ORDERED = True
DECISION = "mode"
SETTINGS = {"soft_scale": {"type": "number", "exclusiveMinimum": 0, "default": 2.0}}

__all__ = ["layer", "probabilities", "terms"]


def terms(scores: Tensor, level: Tensor, soft_scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return each clip's cross-entropy with its soft label, in nats, and ones.

    The soft label of level t is the softmax over k of ``-soft_scale |t - k|``: the larger the
    scale, the nearer to the plain label.

    Parameters
    ----------
    scores : torch.Tensor
        (n, K) float32.
    level : torch.Tensor
        (n,) int64.
    """
    distance = (level[:, None] - torch.arange(scores.shape[1], device=level.device)).abs()
    truth = torch.softmax(-soft_scale * distance.to(scores.dtype), dim=1)
    value = -(truth * functional.log_softmax(scores, dim=1)).sum(1)
    return value, torch.ones_like(value)
