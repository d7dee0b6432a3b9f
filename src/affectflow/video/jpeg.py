"""JPEG in and out, in memory."""

from __future__ import annotations

import cv2
import numpy as np

QUALITY = 95


def encode(image: np.ndarray, quality: int = QUALITY) -> np.ndarray:
    """Return an RGB image (H, W, 3) uint8 as a JPEG file, (n,) uint8."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.reshape(-1)


def decode(jpeg: np.ndarray | bytes) -> np.ndarray:
    """Return a JPEG file as an RGB image (H, W, 3) uint8.

    Raises
    ------
    ValueError
        If it is not an image.
    """
    data = np.frombuffer(jpeg, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise ValueError(f"not a JPEG image ({len(data)} bytes)")
    return image
