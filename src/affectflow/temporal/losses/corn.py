"""CORN: each step asked of the clips that passed the one before (Shi, Cao and Raschka 2021).

Sections 3.3 and 3.4: score k is the logit of ``P(y > k | y > k-1)``, and the chain rule makes the
probabilities of being above fall whatever the scores. The level is how many of these are above one
half (section 3.4), the median of `probabilities`.
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


def layer(inputs: int, levels: int) -> nn.Module:
    """Return a dense layer: a score per step."""
    return dense(inputs, levels - 1)


def terms(scores: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Return each clip's sum of binary cross-entropies over the steps it is asked, and how many.

    A clip is asked step k if its level is at least k (eq. 6). The batch's loss divides by the
    clips of all steps (eq. 7).

    Parameters
    ----------
    scores : torch.Tensor
        (n, K-1) float32.
    level : torch.Tensor
        (n,) int64.
    """
    step = torch.arange(scores.shape[1], device=level.device)
    asked = (level[:, None] >= step).to(scores.dtype)
    value = functional.binary_cross_entropy_with_logits(
        scores, steps(level, scores), reduction="none"
    )
    return (value * asked).sum(1), asked.sum(1)


def probabilities(scores: Tensor) -> Tensor:
    """Return the levels' probabilities, (n, K): differences of products of sigmoids."""
    return from_above(torch.sigmoid(scores).cumprod(1))
