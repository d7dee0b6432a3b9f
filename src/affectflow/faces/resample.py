"""Resize any number of windows at once by exact area means.

The same numbers as ``torch.nn.functional.interpolate(mode="area")`` of each window, which MTCNN
was built on, from sums over an integral image: one indexing instead of a call per window.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from affectflow.compiled import compiled
from affectflow.devices import stacked


def integral_images(images: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Return sums over all pixels above and to the left.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        B images (H, W, 3) uint8 of one size.
    device : torch.device

    Returns
    -------
    torch.Tensor
        (B, H + 1, W + 1, 3) int32. It may wrap around; differences over less than 8 million
        pixels are exact all the same.
    """
    if device.type == "cuda":
        pixels = stacked(images, device).to(device, non_blocking=True)
        sums_there = pixels.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
        return functional.pad(sums_there, (0, 0, 1, 0, 1, 0))
    height, width, channels = images[0].shape
    sums = np.empty((len(images), height + 1, width + 1, channels), np.int32)
    for image, own in zip(images, sums, strict=True):
        cv2.integral(image, own, sdepth=cv2.CV_32S)
    return torch.from_numpy(sums).to(device)


def area_means(integral: Tensor, image: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize windows of images.

    Parameters
    ----------
    integral : torch.Tensor
        (B, H + 1, W + 1, 3) int32, of `integral_images`.
    image : torch.Tensor
        (n,) int64: which of the B images.
    windows : torch.Tensor
        (n, 4) int64: x0, y0, x1, y1 px within the image, none empty.
    size : tuple of int
        Rows and columns of the result.

    Returns
    -------
    torch.Tensor
        (n, 3, rows, columns) float32.
    """
    rows = _bins(windows[:, 1], windows[:, 3], size[0])
    return _means(integral, image, rows, _bins(windows[:, 0], windows[:, 2], size[1]))


def part_means(
    integral: Tensor,
    image: Tensor,
    size: tuple[int, int],
    corner: Tensor,
    shape: tuple[int, int],
) -> Tensor:
    """Cut parts out of whole images that are resized.

    Parameters
    ----------
    integral : torch.Tensor
        (B, H + 1, W + 1, 3) int32, of `integral_images`.
    image : torch.Tensor
        (n,) int64: which of the B images.
    size : tuple of int
        Rows and columns of the whole.
    corner : torch.Tensor
        (n, 2) int64: first row and column of each part.
    shape : tuple of int
        Rows and columns of the parts, which lie within the whole.

    Returns
    -------
    torch.Tensor
        (n, 3, rows, columns) float32.
    """
    rows, columns = (
        _edges(corner[:, axis, None] + torch.arange(shape[axis], device=corner.device), length, of)
        for axis, (length, of) in enumerate(
            zip([side - 1 for side in integral.shape[1:3]], size, strict=True)
        )
    )
    return _means(integral, image, rows, columns)


def _bins(start: Tensor, stop: Tensor, count: int) -> tuple[Tensor, Tensor]:
    first, last = _edges(torch.arange(count, device=start.device), (stop - start)[:, None], count)
    return start[:, None] + first, start[:, None] + last


def _edges(place: Tensor, length: Tensor | int, count: int) -> tuple[Tensor, Tensor]:
    """Return where the bins at places of `count` over a length begin and end."""
    return place * length // count, -(-(place + 1) * length // count)


def _means(
    integral: Tensor,
    image: Tensor,
    rows: tuple[Tensor, Tensor],
    columns: tuple[Tensor, Tensor],
) -> Tensor:
    if integral.device.type == "cpu":
        edges = (edge.numpy() for edge in (*rows, *columns))
        return torch.from_numpy(_each_mean(integral.numpy(), image.numpy(), *edges)).movedim(3, 1)
    (top, bottom), (left, right) = rows, columns
    height, width = integral.shape[1:3]
    pixels = integral.view(-1, integral.shape[3])
    start = image[:, None] * height
    top_row, bottom_row = ((start + edge)[:, :, None] * width for edge in (top, bottom))
    left, right = left[:, None, :], right[:, None, :]
    total = pixels[bottom_row + right]
    total -= pixels[top_row + right]
    total -= pixels[bottom_row + left]
    total += pixels[top_row + left]
    area = ((bottom - top)[:, :, None] * (right - left))[..., None]
    return (total.to(torch.float32) / area).movedim(3, 1)


@compiled
def _each_mean(
    integral: np.ndarray,
    image: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    (count, rows), columns = top.shape, left.shape[1]
    means = np.empty((count, rows, columns, 3), np.float32)
    for n in range(count):
        for row in range(rows):
            above, below = integral[image[n], top[n, row]], integral[image[n], bottom[n, row]]
            height = bottom[n, row] - top[n, row]
            for column in range(columns):
                first, last = left[n, column], right[n, column]
                area = np.float32(height * (last - first))
                for channel in range(3):
                    total = below[last, channel] - above[last, channel]
                    total -= below[first, channel] - above[first, channel]
                    # As wide as the sums, so that those that wrapped around are right again.
                    means[n, row, column, channel] = np.float32(np.int32(total)) / area
    return means
