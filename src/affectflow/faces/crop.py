"""Cut faces out of frames."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

Align = Literal["box", "landmarks"]

TEMPLATE = (
    np.array(
        [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ]
    )
    / 112
)
"""Where the landmarks lie in an aligned crop of side 1: ArcFace's (Deng et al. 2019, CVPR)."""


def crop(image: np.ndarray, box: np.ndarray, size: int = 224, margin: int = 0) -> np.ndarray:
    """Cut a box out of an image, with the geometry of facenet-pytorch's `extract_face`.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8.
    box : numpy.ndarray
        (4,) x0, y0, x1, y1 px; it may reach beyond the image, and is cut at its edge.
    size : int
        Side of the crop, px.
    margin : int
        Pixels of surroundings, left and right together, at the crop's size.

    Returns
    -------
    numpy.ndarray
        (size, size, 3) uint8.
    """
    height, width = image.shape[:2]
    more = margin * (box[2:] - box[:2]) / (size - margin)
    # The last row and column at most: a box beyond the image still cuts out a pixel.
    x0, y0 = np.clip((box[:2] - more / 2), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.minimum(box[2:] + more / 2, (width, height)).astype(int)
    window = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)


def crop_aligned(
    image: np.ndarray, landmarks: np.ndarray, size: int = 224, margin: int = 0
) -> np.ndarray:
    """Turn, scale and cut a face so that its landmarks lie on `TEMPLATE`.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8.
    landmarks : numpy.ndarray
        (5, 2) x, y px: eyes, nose, mouth corners.
    size, margin : int
        As for `crop`. What lies beyond the image repeats its edge.

    Returns
    -------
    numpy.ndarray
        (size, size, 3) uint8.
    """
    target = (TEMPLATE - 0.5) * (size - margin) + size / 2
    matrix = similarity(landmarks, target)
    shrink = int(1 / np.linalg.norm(matrix[:, 0]))
    if shrink > 1:
        # Bilinear sampling skips pixels where it shrinks by more than two: take means first.
        height, width = image.shape[:2]
        small = max(width // shrink, 1), max(height // shrink, 1)
        factor = np.array(small) / (width, height)
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        matrix = similarity((landmarks + 0.5) * factor - 0.5, target)
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the turn, scale and shift that bring points nearest to others, in least squares.

    Umeyama 1991 (IEEE TPAMI 13(4)), equations 40-42.

    Parameters
    ----------
    source, target : numpy.ndarray
        (n, 2).

    Returns
    -------
    numpy.ndarray
        (2, 3) float64: ``target ~ matrix[:, :2] @ source + matrix[:, 2]``. No mirroring.
    """
    source, target = source.astype(float), target.astype(float)
    middle, to = source.mean(0), target.mean(0)
    spread = ((source - middle) ** 2).sum(1).mean()
    u, d, vt = np.linalg.svd((target - to).T @ (source - middle) / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (u * sign) @ vt * ((d * sign).sum() / max(spread, np.finfo(float).tiny))
    return np.column_stack([linear, to - linear @ middle])
