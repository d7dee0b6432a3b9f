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

    Where the steps' probabilities cross, as .4, .6, .2 do, they are no distribution's. They are
    then put in falling order (Chernozhukov, Fernandez-Val and Galichon 2010, *Econometrica* 78(3),
    section 2.1). As many of them are above one half as before, so that the distribution's median
    is the level that CORAL's paper counts; and their sum, the expected level, stays.
    """
    falling = above.sort(dim=1, descending=True).values
    edges = torch.cat(
        [above.new_ones(len(above), 1), falling, above.new_zeros(len(above), 1)], dim=1
    )
    return edges[:, :-1] - edges[:, 1:]
