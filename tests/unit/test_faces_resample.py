"""Against torch's own resizing by area."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from affectflow.faces.resample import area_means, integral_images, part_means

CPU = torch.device("cpu")
random = np.random.default_rng(0)
IMAGES = [random.integers(0, 256, (50, 70, 3), np.uint8) for _ in range(3)]


def resized(image: np.ndarray, size: tuple[int, int]) -> Tensor:
    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
    return interpolate(pixels[None], size, mode="area")[0]


@given(
    st.integers(0, 49), st.integers(1, 50), st.integers(0, 69), st.integers(1, 70),
    st.integers(1, 90), st.integers(1, 90),
)  # fmt: skip
@settings(deadline=None)
def test_windows(y: int, height: int, x: int, width: int, rows: int, columns: int) -> None:
    windows = torch.tensor([[x, y, min(x + width, 70), min(y + height, 50)], [0, 0, 70, 50]])
    image = torch.tensor([2, 0])
    ours = area_means(integral_images(IMAGES, CPU), image, windows, (rows, columns))
    for got, i, (x0, y0, x1, y1) in zip(ours, image, windows.tolist(), strict=True):
        torch.testing.assert_close(got, resized(IMAGES[i][y0:y1, x0:x1], (rows, columns)))


@given(st.integers(1, 90), st.integers(1, 90), st.data())
@settings(deadline=None)
def test_parts(rows: int, columns: int, data: st.DataObject) -> None:
    """Cut out of what is resized whole, each image at a place of its own."""
    shape = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
    most = rows - shape[0], columns - shape[1]
    corner = [[data.draw(st.integers(0, last)) for last in most] for _ in range(2)]
    image = torch.tensor([1, 0])
    integral = integral_images(IMAGES, CPU)
    parts = part_means(integral, image, (rows, columns), torch.tensor(corner), shape)
    for part, i, (y, x) in zip(parts, image, corner, strict=True):
        whole = resized(IMAGES[i], (rows, columns))
        torch.testing.assert_close(part, whole[:, y : y + shape[0], x : x + shape[1]])


def test_sums_that_wrap_around() -> None:
    """Those of a bright image of 9 million pixels are beyond 32 bits."""
    bright = np.full((3000, 3000, 3), 255, np.uint8)
    integral = integral_images([bright], CPU)
    assert integral.min() < 0
    window, image = torch.tensor([[2900, 2800, 3000, 2990]]), torch.tensor([0])
    assert (area_means(integral, image, window, (24, 24)) == 255).all()


def test_a_gpu_s_way_gives_the_same() -> None:
    """The part for devices other than the CPU, computed on the CPU under another name."""

    class Elsewhere(Tensor):
        @property
        def device(self) -> torch.device:
            return torch.device("meta")

    windows, image = torch.tensor([[3, 5, 64, 46], [0, 0, 70, 50]]), torch.tensor([2, 1])
    integral = integral_images(IMAGES, CPU)
    there = area_means(integral.as_subclass(Elsewhere), image, windows, (24, 31))
    here = area_means(integral, image, windows, (24, 31))
    torch.testing.assert_close(there.as_subclass(Tensor), here, rtol=0, atol=0)
    parts = (image, (24, 31), torch.tensor([[3, 5], [0, 11]]), (20, 20))
    there = part_means(integral.as_subclass(Elsewhere), *parts)
    torch.testing.assert_close(there.as_subclass(Tensor), part_means(integral, *parts))
