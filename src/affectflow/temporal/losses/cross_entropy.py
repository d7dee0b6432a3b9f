"""Sparse categorical cross-entropy (dissertation, section 4.2.1), with label smoothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from affectflow.temporal.keras import dense

ORDERED = False
DECISION = "mode"
SETTINGS = {
    "label_smoothing": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.0}
}


def layer(inputs: int, levels: int) -> nn.Module:
    """Return a dense layer: a logit per level."""
    return dense(inputs, levels)


def terms(scores: Tensor, level: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return each clip's cross-entropy in nats, and ones.

    Parameters
    ----------
    scores : torch.Tensor
        (n, K) float32.
    level : torch.Tensor
        (n,) int64.
    label_smoothing : float
        The share of the truth that is spread over all levels (Szegedy et al. 2016, section 7).
    """
    value = functional.cross_entropy(
        scores, level, reduction="none", label_smoothing=label_smoothing
    )
    return value, torch.ones_like(value)


def probabilities(scores: Tensor) -> Tensor:
    """Return the softmax, (n, K)."""
    return torch.softmax(scores, dim=1)
