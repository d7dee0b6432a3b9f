"""JPEG in and out, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import cv2
import numpy as np

from affectflow.ahead import ahead

QUALITY = 95

AHEAD = 64 * 2**20
"""Bytes of images that may wait, decoded, for who asked for them."""

Decode = Callable[[Iterable[np.ndarray | bytes]], Iterator[np.ndarray]]
"""Yields JPEG files as RGB images (H, W, 3) uint8; may read a few files further."""


def encode(image: np.ndarray, quality: int = QUALITY) -> np.ndarray:
    """Return an RGB image (H, W, 3) uint8 as a JPEG file, (n,) uint8."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.reshape(-1)


def decode(jpeg: np.ndarray | bytes) -> np.ndarray:
    """Return a JPEG file as an RGB image (H, W, 3) uint8; one that is an image already, as it is.

    Raises
    ------
    ValueError
        If it is not an image.
    """
    if isinstance(jpeg, np.ndarray) and jpeg.ndim == 3:
        return jpeg
    data = np.frombuffer(jpeg, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise ValueError(f"not a JPEG image ({len(data)} bytes)")
    return image


def decode_each(files: Iterable[np.ndarray | bytes], threads: int = 0) -> Iterator[np.ndarray]:
    """Yield JPEG files as `decode` returns them.

    Parameters
    ----------
    files : iterable
        Each bytes or (n,) uint8.
    threads : int
        CPU threads that decode the next ones meanwhile; 0: each is decoded when it is asked for.
    """
    rest = iter(files)
    for first in map(decode, islice(rest, 1)):
        yield first
        # The frames of a clip are of one size.
        yield from ahead(decode, rest, threads, max(1, AHEAD // first.nbytes))
