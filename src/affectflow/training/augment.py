"""Changed copies of training sequences, in the space of embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


def time_mask(embedding: Tensor, mask: Tensor, share: float) -> Batch:
    """Hide one stretch of each clip, of up to `share` of its frames (Park et al. 2019, 3).

    A clip keeps at least one unmasked frame: where the stretch would hide them all, it hides none.

    Parameters
    ----------
    embedding : torch.Tensor
        (B, S, D) float32.
    mask : torch.Tensor
        (B, S) bool.
    share : float
        0 to 1.
    """
    clips, frames = mask.shape
    length = torch.rand(clips, device=mask.device) * share * frames
    start = torch.rand(clips, device=mask.device) * (frames - length)
    place = torch.arange(frames, device=mask.device)
    hidden = (place >= start[:, None]) & (place < (start + length)[:, None])
    kept = mask & ~hidden
    return embedding, torch.where(kept.any(1, keepdim=True), kept, mask)


def jitter(embedding: Tensor, mask: Tensor, scale: Tensor) -> Batch:
    """Add normal noise of deviation `scale` (D,) to every frame."""
    return embedding + torch.randn_like(embedding) * scale, mask


def mixup(embedding: Tensor, mask: Tensor, other: Tensor, share: Tensor) -> Batch:
    """Blend each clip with another of the batch (Zhang et al. 2018, eq. 1).

    A frame that only one of the two has is that one's.

    Parameters
    ----------
    embedding : torch.Tensor
        (B, S, D) float32.
    mask : torch.Tensor
        (B, S) bool.
    other : torch.Tensor
        (B,) int64, the place of each clip's partner.
    share : torch.Tensor
        () float32, how much of the clip itself stays.
    """
    own, partner = mask[:, :, None], mask[other][:, :, None]
    blend = share * embedding + (1 - share) * embedding[other]
    only = torch.where(own, embedding, embedding[other])
    return torch.where(own & partner, blend, only), mask | mask[other]


def mixed_loss(
    loss: Callable[[Tensor], Tensor], levels: Tensor, other: Tensor, share: Tensor
) -> Tensor:
    """Return the blend of the losses for a clip's own labels (B, tasks) and its partner's."""
    return share * loss(levels) + (1 - share) * loss(levels[other])


def draw_share(alpha: float) -> Tensor:
    """Return a draw from Beta(alpha, alpha), () float32, by torch's own generator on the CPU."""
    return torch.distributions.Beta(alpha, alpha).sample()
