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


def integral_images(images: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Return sums over all pixels above and to the left.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        B images (H, W, C) uint8 of one size.
    device : torch.device

    Returns
    -------
    torch.Tensor
        (B, H + 1, W + 1, C) int32. It may wrap around; differences over less than 8 million
        pixels are exact all the same.
    """
    if device.type == "cuda":
        pixels = torch.from_numpy(np.stack(images)).pin_memory().to(device, non_blocking=True)
        sums_there = pixels.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
        return functional.pad(sums_there, (0, 0, 1, 0, 1, 0))
    height, width, channels = images[0].shape
    sums = np.empty((len(images), height + 1, width + 1, channels), np.int32)
    for image, own in zip(images, sums, strict=True):
        cv2.integral(image, own, sdepth=cv2.CV_32S)
    return torch.from_numpy(sums).to(device)


def frame_means(integral: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize whole images: `area_means` of a window that is all of each, row by row.

    Parameters
    ----------
    integral : torch.Tensor
        (B, H + 1, W + 1, C) int32, of `integral_images`.
    size : tuple of int
        Rows and columns of the result.

    Returns
    -------
    torch.Tensor
        (B, C, rows, columns) float32.
    """
    whole = torch.tensor([side - 1 for side in integral.shape[1:3]], device=integral.device)
    top, bottom = _bins(torch.zeros_like(whole[:1]), whole[:1], size[0])
    left, right = _bins(torch.zeros_like(whole[1:]), whole[1:], size[1])
    rows = integral.index_select(1, bottom[0])
    rows -= integral.index_select(1, top[0])
    total = _take(rows, right[0], 2)
    total -= _take(rows, left[0], 2)
    area = ((bottom - top)[0, :, None] * (right - left))[..., None]
    return (total.to(torch.float32) / area).permute(0, 3, 1, 2)


def area_means(integral: Tensor, image: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize windows of images.

    Parameters
    ----------
    integral : torch.Tensor
        (B, H + 1, W + 1, C) int32, of `integral_images`.
    image : torch.Tensor
        (n,) int64: which of the B images.
    windows : torch.Tensor
        (n, 4) int64: x0, y0, x1, y1 px within the image, none empty.
    size : tuple of int
        Rows and columns of the result.

    Returns
    -------
    torch.Tensor
        (n, C, rows, columns) float32.
    """
    top, bottom = _bins(windows[:, 1], windows[:, 3], size[0])
    left, right = _bins(windows[:, 0], windows[:, 2], size[1])
    rows, columns = integral.shape[1:3]
    pixels = integral.view(-1, integral.shape[3])
    start = image[:, None] * rows
    top_row, bottom_row = ((start + edge)[:, :, None] * columns for edge in (top, bottom))
    left, right = left[:, None, :], right[:, None, :]

    def sums(place: Tensor) -> Tensor:
        return _take(pixels, place.flatten(), 0).view(*place.shape, -1)

    total = sums(bottom_row + right)
    total -= sums(top_row + right)
    total -= sums(bottom_row + left)
    total += sums(top_row + left)
    area = ((bottom - top)[:, :, None] * (right - left))[..., None]
    return (total.to(torch.float32) / area).permute(0, 3, 1, 2)


def _take(pixels: Tensor, place: Tensor, axis: int) -> Tensor:
    if pixels.device.type == "cpu":
        # NumPy copies a pixel's channels at once, torch one by one: twice the time.
        return torch.from_numpy(pixels.numpy().take(place.numpy(), axis))
    return pixels.index_select(axis, place)


def _bins(start: Tensor, stop: Tensor, count: int) -> tuple[Tensor, Tensor]:
    length = (stop - start)[:, None]
    bins = torch.arange(count, device=start.device)
    first = start[:, None] + bins * length // count
    last = start[:, None] + -(-(bins + 1) * length // count)
    return first, last
