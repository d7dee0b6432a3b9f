"""The scale of embeddings: measured on training frames, kept in the model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

NORMALISE = ("dataset", "clip", "none")


class Standardise(nn.Module):
    """Zero mean and unit deviation per feature, and a choice of them, by untrained buffers.

    Parameters
    ----------
    dim : int
    normalise : {"dataset", "clip", "none"}
        ``dataset``: subtract the mean and divide by the deviation of training frames. ``clip``:
        subtract each clip's own mean first, so that what stays the same throughout a clip (whose
        face it is, the room's light) is gone. ``none``: leave embeddings as they are.
    """

    mean: Tensor
    std: Tensor
    keep: Tensor

    def __init__(self, dim: int, normalise: str) -> None:
        super().__init__()
        self.normalise = normalise
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))
        self.register_buffer("keep", torch.ones(dim))

    def measure(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Set mean and deviation from blocks of training clips, see `moments`."""
        if self.normalise == "none":
            return
        mean, std = moments(blocks, per_clip=self.normalise == "clip")
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    def select(self, features: np.ndarray) -> None:
        """Let only some features through, (D,) bool; the others are zero from now on."""
        self.keep.copy_(torch.from_numpy(features.astype(np.float32)))

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Scale (B, S, D) float32 under a mask (B, S) bool; masked frames become zeros."""
        # First of all, so that whatever lies in masked frames (NaN too) ends here.
        masked = ~mask[:, :, None]
        embedding = embedding.masked_fill(masked, 0)
        if self.normalise == "none":
            return embedding * self.keep
        if self.normalise == "clip":
            count = mask.sum(1).clamp(min=1)[:, None, None]
            embedding = embedding - embedding.sum(1, keepdim=True) / count
        return ((embedding - self.mean) / self.std * self.keep).masked_fill(masked, 0)


def moments(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], per_clip: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and population deviation of each feature over unmasked frames.

    Blocks are merged in float64 by the parallel update of Chan, Golub and LeVeque (1979), in
    their order: memory is one block's, and the result is the same each time.

    Parameters
    ----------
    blocks : iterable of (embedding, mask)
        (clips, S, D) of any float type, (clips, S) bool.
    per_clip : bool
        Subtract each clip's own mean first.

    Returns
    -------
    mean, std : numpy.ndarray
        (D,) float64. A feature that is constant (to rounding) has `std` 1.
    """
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for embedding, mask in blocks:
        x = embedding.astype(np.float64)
        if per_clip:
            frames = np.maximum(mask.sum(1), 1)[:, None, None]
            x = x - np.where(mask[:, :, None], x, 0).sum(1, keepdims=True) / frames
        x = x[mask]
        if len(x) == 0:
            continue
        total = count + len(x)
        step = x.mean(0) - mean
        squares = squares + np.square(x - x.mean(0)).sum(0) + step**2 * count * len(x) / total
        mean = mean + step * len(x) / total
        count = total
    std = np.sqrt(squares / max(count, 1))
    return mean, np.where(std > 1e-6 * np.abs(mean) + 1e-12, std, 1.0)
