"""Levels as steps: is it above the first, above the second, ..."""

from __future__ import annotations

import torch
from torch import Tensor


def steps(level: Tensor, scores: Tensor) -> Tensor:
    """Return (n, K-1) float32: 1 where `level` (n,) is above that step, for scores (n, K-1)."""
    step = torch.arange(scores.shape[1], device=level.device)
    return (level[:, None] > step).to(scores.dtype)


def from_above(above: Tensor) -> Tensor:
    """Return the levels' probabilities (n, K) from those of being above each step (n, K-1).

    Where the steps' probabilities do not fall, a difference is negative; it is taken for zero.
    """
    ends = above.new_ones(len(above), 1), above.new_zeros(len(above), 1)
    edges = torch.cat([ends[0], above, ends[1]], dim=1)
    p = (edges[:, :-1] - edges[:, 1:]).clamp(min=0)
    return p / p.sum(1, keepdim=True)
