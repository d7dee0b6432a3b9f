"""Images in many sizes, and parts of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.faces.pyramid import ABOUT, STRIDE, WINDOW, first_scale, pyramid
from affectflow.faces.resample import integral_images


def images(count: int, height: int, width: int) -> torch.Tensor:
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]
    return integral_images(pixels, torch.device("cpu"))


@pytest.mark.parametrize(
    ("min_size", "smallest"),
    [(10, 10), (20, 20), (27, 20), (28, 28.2), (50, 39.8), (56, 56.1), (60, 56.1), (100, 79.1)],
)
def test_scales_are_some_of_stock_s(min_size: float, smallest: float) -> None:
    assert 12 / first_scale(min_size) == pytest.approx(smallest, abs=0.05)


def test_levels_end_where_an_image_is_as_small_as_the_window() -> None:
    levels = list(pyramid(images(2, 60, 80), 0.6))
    assert [tuple(level.pixels.shape) for level in levels] == [
        (2, 3, 37, 49), (2, 3, 26, 35), (2, 3, 19, 25), (2, 3, 13, 18),
    ]  # fmt: skip
    assert not list(pyramid(images(1, 19, 80), 0.6))


BOX = st.tuples(*[st.floats(-30, 170)] * 2, *[st.floats(1, 120)] * 2)


@settings(max_examples=60)
@given(
    st.integers(24, 150),
    st.integers(24, 150),
    st.lists(st.lists(BOX, min_size=1, max_size=2), min_size=1, max_size=4),
)
def test_parts_hold_every_window_about_the_boxes(
    height: int, width: int, boxes: list[list[tuple[float, float, float, float]]]
) -> None:
    """They are cut from the whole levels at a stride, and end where a window does."""
    near = [np.array([(x, y, x + w, y + h) for x, y, w, h in own]) for own in boxes]
    integral = images(len(near), height, width)
    wholes = {level.scale: level.pixels for level in pyramid(integral, 0.6)}
    seen = []
    for level in pyramid(integral, 0.6, near):
        whole, (rows, columns) = wholes[level.scale], level.pixels.shape[2:]
        assert min(rows, columns) >= WINDOW - 1, "the first network takes no less"
        for part, image, first in zip(level.pixels, level.image.tolist(), level.first, strict=True):
            seen.append((level.scale, image))
            y, x = (first * STRIDE).tolist()
            expected = whole[image, :, y : y + rows, x : x + columns]
            torch.testing.assert_close(part, expected, rtol=0, atol=0)
            low, high = near[image][:, :2].min(0), near[image][:, 2:].max(0)
            for axis, at in ((0, x), (1, y)):
                shown, length = (pixels.shape[2 - axis] for pixels in (part, whole[0]))
                # A part that ends between two windows would show half of one for a whole one.
                assert shown % STRIDE == 0 or at + shown == length
                corners = np.arange(0, length - WINDOW + STRIDE, STRIDE)
                centres = (corners + WINDOW / 2) / level.scale
                wanted = corners[(low[axis] <= centres) & (centres <= high[axis])]
                assert all(at <= place < at + shown - WINDOW + STRIDE for place in wanted)
    sides = [(own[:, 2:] - own[:, :2]).max(1) for own in near]
    assert sorted(seen) == sorted(
        (scale, image)
        for scale in wholes
        for image, side in enumerate(sides)
        if ABOUT[0] * side.min() <= WINDOW / scale <= ABOUT[1] * side.max()
    ), "each once, in the sizes that its boxes call for"


def test_one_at_the_edge_does_not_widen_the_others() -> None:
    near = [np.array([[0, 0, 24, 24]]), np.array([[617, 457, 641, 481]])]
    largest = max(level.pixels[0].numel() for level in pyramid(images(2, 481, 641), 0.6, near))
    assert largest < 3 * 50 * 50
