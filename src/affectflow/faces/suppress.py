"""Suppress boxes that overlap a better one, in all images of a batch at once.

What remains is what a loop over the images, and in each over its boxes from the best one down,
leaves: a box goes if a better one that stays overlaps it. All boxes are judged at once, and again
while that changes anything (Cluster-NMS, Zheng et al. 2022, IEEE Trans. Cybernetics 52(8)); chains
of boxes are short, so a few rounds do.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Overlap = Literal["union", "smaller"]
"""Of what a shared area is a part: both boxes' union, or the smaller of them."""

PAIRS = 2**24
"""Pairs of boxes that are compared at a time."""


def suppress(
    boxes: Tensor, scores: Tensor, image: Tensor, threshold: float, overlap: Overlap
) -> Tensor:
    """Return which boxes stay.

    With ``union`` they are those of `torchvision.ops.nms` of each image, with ``smaller`` those of
    facenet-pytorch's `nms_numpy` with ``Min``, which counts a box's last pixel in. Of equal scores
    the first is the better one; which one is for `nms_numpy` hangs on the machine's sorting.

    Parameters
    ----------
    boxes : torch.Tensor
        (n, 4) float32: x0, y0, x1, y1 px.
    scores : torch.Tensor
        (n,) float32.
    image : torch.Tensor
        (n,) int64: each box's image.
    threshold : float
        Overlap that suppresses is larger.
    overlap : str

    Returns
    -------
    torch.Tensor
        (k,) int64 places, by image, the best first.
    """
    if not len(image):
        return image
    order = scores.argsort(descending=True, stable=True)
    order = order[image[order].argsort(stable=True)]
    counts = torch.unique_consecutive(image[order], return_counts=True)[1]
    most = int(counts.max())
    together = max(1, PAIRS // most**2)
    kept = [
        part[_stay(boxes[part], own, threshold, overlap)]
        for part, own in zip(
            order.split([int(own.sum()) for own in counts.split(together)]),
            counts.split(together),
            strict=True,
        )
    ]
    return torch.cat(kept)


def _stay(boxes: Tensor, counts: Tensor, threshold: float, overlap: Overlap) -> Tensor:
    """Return which boxes (n, 4) stay, (n,) bool: sorted, and `counts` (m,) of them per image."""
    there = torch.arange(int(counts.max()), device=boxes.device) < counts[:, None]
    padded = boxes.new_zeros(*there.shape, 4)
    padded[there] = boxes
    worse = _share(padded, overlap).gt_(threshold).bool().triu_(diagonal=1)
    worse &= there[:, :, None] & there[:, None]
    stays = there
    while True:
        again = there & ~(worse & stays[:, :, None]).any(1)
        if bool((again == stays).all()):
            return stays[there]
        stays = again


def _share(boxes: Tensor, overlap: Overlap) -> Tensor:
    """Return how much of each other boxes (m, k, 4) share, (m, k, k)."""
    edge = 1 if overlap == "smaller" else 0
    low, high = boxes[..., :2], boxes[..., 2:]
    area = (high - low + edge).prod(-1)
    near = torch.maximum(low[:, :, None], low[:, None])
    far = torch.minimum(high[:, :, None], high[:, None])
    shared = (far - near + edge).clamp_(min=0).prod(-1)
    one, other = area[:, :, None], area[:, None]
    of = torch.minimum(one, other) if overlap == "smaller" else one + other - shared
    return shared / of
