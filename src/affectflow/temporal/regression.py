"""The loss of a real-valued task: squared error, in deviations of the training labels.

So its scale is that of the other tasks' losses whatever the labels' unit, and a model that has
learnt nothing yet predicts about the labels' mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from affectflow.temporal.layers import dense

DECISION = "value"
ORDERED = False


class Number(nn.Module):
    """A number from features, in the labels' unit.

    Parameters
    ----------
    inputs : int
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense = dense(inputs, 1)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def measure(self, labels: Tensor) -> None:
        """Take mean and deviation from the training labels, (n,) float64; NaN: no label."""
        known = labels[~labels.isnan()]
        if len(known):
            self.mean.fill_(float(known.mean()))
            deviation = float(known.std(correction=0))
            self.deviation.fill_(deviation if deviation > 0 else 1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return numbers (B, 1) of features (B, inputs)."""
        return self.mean + self.deviation * self.dense(features)


def layer(inputs: int, levels: int) -> Number:
    """Return the last layer; a real-valued task has no levels."""
    return Number(inputs)


def terms(scores: Tensor, truth: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    """Return each clip's squared error (B,), and 1 for each."""
    error = (scores[:, 0] - truth) ** 2
    return error, torch.ones_like(error)


def probabilities(scores: Tensor) -> Tensor:
    """Return the numbers, (B, 1)."""
    return scores
