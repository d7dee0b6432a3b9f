"""What MTCNN's first network is shown: images in many sizes, the whole of each or a part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from affectflow.faces.resample import part_means

STEP = 0.709
"""From one size to the next."""

STOCK = 20
"""Smallest face that facenet-pytorch looks for unless it is told, px."""

WINDOW, STRIDE = 12, 2
"""Side of the first network's window, and from one to the next, px."""

ABOUT, AROUND = (0.4, 2.0), 0.25
"""Sides of windows that may find a face, and how far around their centres may lie: in sides of the
box it is near. With these it gets the box that it gets where the whole image is shown."""


class Level(NamedTuple):
    """Images, or parts of them, in one size.

    Attributes
    ----------
    scale : float
        Pixels here per pixel of the image.
    pixels : torch.Tensor
        (n, 3, h, w) float32 in 0..255.
    image : torch.Tensor
        (n,) int64: which image each is of.
    first : torch.Tensor
        (n, 2) int64: row and column of its first window among the image's.
    """

    scale: float
    pixels: Tensor
    image: Tensor
    first: Tensor


def first_scale(min_size: float) -> float:
    """Return the scale at which faces of that size, px, fill the first network's window.

    From stock's 20 on it is one of stock's for 20: the smallest at which such faces are seen. A
    hundredth of a size is nothing: so 28 is one of stock's sizes, which are 28.2, 39.8, 56.1 ...
    """
    scale, needed = WINDOW / min(min_size, STOCK), WINDOW / (1.01 * min_size)
    while scale * STEP >= needed:
        scale *= STEP
    return scale


def pyramid(integral: Tensor, scale: float, near: np.ndarray | None = None) -> Iterator[Level]:
    """Yield images from a scale down to where they are as small as the window.

    Parameters
    ----------
    integral : torch.Tensor
        Of B images, of `affectflow.faces.resample.integral_images`.
    scale : float
        The first.
    near : numpy.ndarray, optional
        (B, 4) boxes, px. Only windows of about their size whose centres lie in or
        next to them are shown.
    """
    count, height, width = len(integral), integral.shape[1] - 1, integral.shape[2] - 1
    shorter = min(height, width) * scale
    while shorter >= WINDOW:
        size = int(height * scale + 1), int(width * scale + 1)
        if near is None:
            shown, first, shape = np.arange(count), np.zeros((count, 2), np.int64), size
        else:
            shown = np.flatnonzero(_about(near, WINDOW / scale))
            first, shape = _windows(near[shown] * scale, size)
        if len(shown):
            image, corner = (torch.from_numpy(each).to(integral.device) for each in (shown, first))
            pixels = part_means(integral, image, size, corner * STRIDE, shape)
            yield Level(scale, pixels, image, corner)
        scale *= STEP
        shorter *= STEP


def _about(near: np.ndarray, window: float) -> np.ndarray:
    side = (near[:, 2:] - near[:, :2]).max(1)
    return (ABOUT[0] * side <= window) & (window <= ABOUT[1] * side)


def _windows(near: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the first windows with a centre in each box, (n, 2), and rows and columns to show."""
    around = AROUND * (near[:, 2:] - near[:, :2])
    near = near + np.concatenate([-around, around], 1)
    rows, height = _span(near[:, 1], near[:, 3], size[0])
    columns, width = _span(near[:, 0], near[:, 2], size[1])
    return np.stack([rows, columns], 1), (height, width)


def _span(low: np.ndarray, high: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Return the same along one axis."""
    last = -(-(size - WINDOW) // STRIDE)
    from_, to = (
        rounded((end - WINDOW / 2) / STRIDE).astype(np.int64)
        for rounded, end in ((np.ceil, low), (np.floor, high))
    )
    from_, to = from_.clip(0, last), to.clip(0, last)
    if size % STRIDE and (to == last).any():
        # The edge cuts the last window off, so where one is shown it, all are.
        from_[:] = from_.min()
        return from_, size - STRIDE * int(from_[0])
    further = int((to - from_).max(initial=0))
    return np.minimum(from_, (size - WINDOW) // STRIDE - further), further * STRIDE + WINDOW
