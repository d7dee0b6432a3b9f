"""What is minimised: FEC's triplet loss and AffectNet's cross-entropy, of a batch in parts.

A batch may lie on several processes. Every loss is therefore given as its part of the mean over
the whole batch: the parts of all processes add up to it, however unevenly they share the batch.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from affectflow.errors import UserError

# Vemulapalli and Agarwala (2019): how much farther the odd face must be, in squared distance.
MARGINS = {"one_class": 0.1, "two_class": 0.2, "three_class": 0.2}


def margins(kind: NDArray[np.str_]) -> NDArray[np.float32]:
    """Return each triplet's margin, (n,) float32, from its kind.

    Raises
    ------
    UserError
        If a kind is none of `MARGINS`.
    """
    names, place = np.unique(kind, return_inverse=True)
    unknown = [str(name) for name in names if name not in MARGINS]
    if unknown:
        raise UserError(
            f"FEC: a triplet is of the unknown kind '{unknown[0]}'", f"Known: {', '.join(MARGINS)}."
        )
    return np.array([MARGINS[str(name)] for name in names], np.float32)[place]


def distances(embeddings: Tensor) -> Tensor:
    """Return the squared distances (t, 3) of triplets (t, 3, D): at k, of the two other than k."""
    following, last = embeddings.roll(-1, dims=1), embeddings.roll(-2, dims=1)
    return (following - last).square().sum(dim=2)


def triplet_losses(embeddings: Tensor, odd: Tensor, margin: Tensor) -> Tensor:
    """Return each triplet's loss.

    Of a triplet all three pairs count: the most similar pair (i, j) shall be closer, by the margin
    m, than either is to the odd face k (Vemulapalli and Agarwala 2019)::

        max(0, |ei - ej|^2 - |ei - ek|^2 + m) + max(0, |ei - ej|^2 - |ej - ek|^2 + m)

    Parameters
    ----------
    embeddings : torch.Tensor
        (t, 3, D) float32, of length 1.
    odd : torch.Tensor
        (t,) int64: the place, 0 to 2, of the face that is in no most similar pair.
    margin : torch.Tensor
        (t,) float32.

    Returns
    -------
    torch.Tensor
        (t,) float32.
    """
    squared = distances(embeddings)
    similar = squared.gather(1, odd[:, None])
    # At `odd` itself the term would be the margin, a constant: it is left out.
    others = torch.arange(3, device=odd.device) != odd[:, None]
    return (functional.relu(similar - squared + margin[:, None]) * others).sum(dim=1)


def triplet_part(embeddings: Tensor, odd: Tensor, margin: Tensor, total: int) -> Tensor:
    """Return this part () of the mean `triplet_losses` of a batch of `total` triplets."""
    return triplet_losses(embeddings, odd, margin).sum() / total


def cross_entropy_part(
    logits: Tensor, expression: Tensor, every: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return this part () of a batch's mean cross-entropy.

    Parameters
    ----------
    logits : torch.Tensor
        (a, K) float32, of this part's images.
    expression : torch.Tensor
        (a,) int64, theirs.
    every : torch.Tensor
        (A,) int64, those of the whole batch: they say what the weights of all its images sum to.
    weights : torch.Tensor or None
        (K,) float32: how much an image of each expression counts. The mean is weighted, as
        `torch.nn.functional.cross_entropy` does it.
    """
    total = len(every) if weights is None else weights[every].sum()
    return functional.cross_entropy(logits, expression, weights, reduction="sum") / total


def joint(triplet: Tensor, cross_entropy: Tensor, alpha: float) -> Tensor:
    """Return L = L_FEC + alpha L_Aff (Abraham 2022, Algorithm 3.1)."""
    return triplet + alpha * cross_entropy
