"""What MTCNN's first network is shown: images in many sizes, the whole of each or a part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
"""Sides of windows that may find a face, in sides of the boxes it is near, and how far around them
their centres may lie. With these it gets the box that it gets where the whole image is shown."""


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


def pyramid(
    integral: Tensor, scale: float, near: Sequence[np.ndarray] | None = None
) -> Iterator[Level]:
    """Yield images from a scale down to where they are as small as the window.

    Parameters
    ----------
    integral : torch.Tensor
        Of B images, of `affectflow.faces.resample.integral_images`.
    scale : float
        The first.
    near : sequence of numpy.ndarray, optional
        For each image boxes (k, 4), px. Only windows of about their sizes whose centres lie in or
        next to all that they cover are shown.
    """
    count, height, width = len(integral), integral.shape[1] - 1, integral.shape[2] - 1
    around = None if near is None else _Around(near)
    shorter = min(height, width) * scale
    while shorter >= WINDOW:
        size = int(height * scale + 1), int(width * scale + 1)
        if around is None:
            parts = [(np.arange(count), np.zeros((count, 2), np.int64), size)]
        else:
            parts = around.parts(scale, size)
        for shown, first, shape in parts:
            image, corner = (
                torch.from_numpy(each).to(integral.device, non_blocking=True)
                for each in (shown, first)
            )
            pixels = part_means(integral, image, size, corner * STRIDE, shape)
            yield Level(scale, pixels, image, corner)
        scale *= STEP
        shorter *= STEP


class _Around:
    """Which windows to show of each image."""

    def __init__(self, near: Sequence[np.ndarray]) -> None:
        sides = [(boxes[:, 2:] - boxes[:, :2]).max(1) for boxes in near]
        self.least = ABOUT[0] * np.array([side.min() for side in sides])
        self.most = ABOUT[1] * np.array([side.max() for side in sides])
        low = np.array([boxes[:, :2].min(0) for boxes in near])
        high = np.array([boxes[:, 2:].max(0) for boxes in near])
        self.low, self.high = low - AROUND * (high - low), high + AROUND * (high - low)

    def parts(
        self, scale: float, size: tuple[int, int]
    ) -> list[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
        """Return images (n,), their first windows (n, 2), and rows and columns to show of them."""
        window = WINDOW / scale
        shown = np.flatnonzero((self.least <= window) & (window <= self.most))
        # Boxes are x, y; windows row, column.
        axes = [
            _span(self.low[shown, 1 - axis] * scale, self.high[shown, 1 - axis] * scale, size[axis])
            for axis in (0, 1)
        ]
        cut = np.stack([span[2] for span in axes], 1)
        found = []
        for kind in np.unique(cut, axis=0):
            own = (cut == kind).all(1)
            (rows, height), (columns, width) = (
                _shape(from_[own], to[own], bool(edge), length)
                for (from_, to, _), edge, length in zip(axes, kind, size, strict=True)
            )
            found.append((shown[own], np.stack([rows, columns], 1), (height, width)))
        return found


def _span(
    low: np.ndarray, high: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first and last window of each, and whether that is cut off by the image's edge."""
    last = -(-(size - WINDOW) // STRIDE)
    from_, to = (
        rounded((end - WINDOW / 2) / STRIDE).clip(0, last).astype(np.int64)
        for rounded, end in ((np.ceil, low), (np.floor, high))
    )
    to = np.maximum(from_, to)  # boxes too slim for a window's centre: the next one
    return from_, to, (to == last) & (size % STRIDE > 0)


def _shape(from_: np.ndarray, to: np.ndarray, cut: bool, size: int) -> tuple[np.ndarray, int]:
    """Return the first windows and how many pixels hold all that any of the images is to show."""
    if cut:
        return np.full_like(from_, from_.min()), size - STRIDE * int(from_.min())
    further = int((to - from_).max())
    return np.minimum(from_, (size - WINDOW) // STRIDE - further), further * STRIDE + WINDOW
