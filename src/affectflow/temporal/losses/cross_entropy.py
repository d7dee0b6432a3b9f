"""Sparse cross-entropy, one per task, summed (dissertation, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

MISSING = -1


def loss(logits: Sequence[Tensor], levels: Tensor) -> Tensor:
    """Return the sum over tasks of the mean cross-entropy over the clips labelled for the task.

    Parameters
    ----------
    logits : sequence of torch.Tensor
        (B, K_task) float32 for each task.
    levels : torch.Tensor
        (B, tasks) int64 level codes, -1 where a clip has no label. A task that labels no clip of
        the batch adds nothing.

    Returns
    -------
    torch.Tensor
        () float32, in nats.
    """
    total = logits[0].new_zeros(())
    for scores, truth in zip(logits, levels.unbind(1), strict=True):
        summed = functional.cross_entropy(scores, truth, ignore_index=MISSING, reduction="sum")
        total = total + summed / (truth != MISSING).sum().clamp(min=1)
    return total


def probabilities(logits: Sequence[Tensor]) -> list[Tensor]:
    """Return the softmax of each task's logits, (B, K_task) float32."""
    return [torch.softmax(scores, dim=1) for scores in logits]
