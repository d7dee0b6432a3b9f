"""CORAL: one direction, a threshold per step (Cao, Mirjalili and Raschka 2020).

Sections 3.3 and 3.4: all K-1 binary tasks "is the level above k" share one weight vector and have
a bias each. At the optimum the biases fall (theorem 1), so that the answers do not contradict
each other; on the way there they may. The level is how many answers are above one half (eq. 1):
the median of `probabilities`, whether or not the answers contradict each other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from affectflow.temporal.keras import dense
from affectflow.temporal.losses._cumulative import from_above, steps

ORDERED = True
DECISION = "median"
SETTINGS: dict[str, dict] = {}


class Thresholds(nn.Module):
    """One weight vector without a bias, and K-1 biases."""

    def __init__(self, inputs: int, levels: int) -> None:
        super().__init__()
        self.direction = nn.Linear(inputs, 1, bias=False)
        self.direction.weight = dense(inputs, 1).weight
        self.bias = nn.Parameter(torch.zeros(levels - 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (n, K-1) of features (n, inputs)."""
        scores: Tensor = self.direction(features) + self.bias
        return scores


def layer(inputs: int, levels: int) -> nn.Module:
    """Return the layer of thresholds."""
    return Thresholds(inputs, levels)


def terms(scores: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Return each clip's sum over steps of the binary cross-entropy (eq. 4, weights 1), and ones.

    `scores` (n, K-1) float32, `level` (n,) int64.
    """
    value = functional.binary_cross_entropy_with_logits(
        scores, steps(level, scores), reduction="none"
    ).sum(1)
    return value, torch.ones_like(value)


def probabilities(scores: Tensor) -> Tensor:
    """Return the levels' probabilities, (n, K)."""
    return from_above(torch.sigmoid(scores))
