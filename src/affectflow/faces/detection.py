"""What every face detector is asked and answers.

A detector is a file in `detectors/` with ``build(settings, device) -> Detector``; `settings` is the
config's section `faces`, of which it reads the keys it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """The n faces found in one image, in no order that means anything.

    Attributes
    ----------
    boxes : numpy.ndarray
        (n, 4) float32: x0, y0, x1, y1, px. They may reach beyond the image.
    landmarks : numpy.ndarray
        (n, 5, 2) float32: x, y of left eye, right eye, nose, left and right mouth corner (left
        as seen in the image), px.
    scores : numpy.ndarray
        (n,) float32 in 0..1.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls) -> Detections:
        """Return the answer for an image without a face."""
        return cls(
            np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
        )

    def __len__(self) -> int:
        """Return n."""
        return len(self.scores)

    def only(self, which: int) -> Detections:
        """Return one of the faces alone; of -1: none."""
        own = slice(which, which + 1) if which >= 0 else slice(0)
        return Detections(self.boxes[own], self.landmarks[own], self.scores[own])


class Detector(Protocol):
    """Finds all faces in images, in bounded memory whatever their number and size.

    Attributes
    ----------
    smallest : float
        Size from which it is sure to see a face, px.
    """

    smallest: float

    def detect(
        self, images: Sequence[np.ndarray], near: Sequence[np.ndarray] | None = None
    ) -> list[Detections]:
        """Return the faces of each image.

        Parameters
        ----------
        images : sequence of numpy.ndarray
            (H, W, 3) uint8 RGB; sizes may differ.
        near : sequence of numpy.ndarray, optional
            For each boxes (k, 4) px, at least one: the face that is wanted is where they are, and
            as large as one of them; others need not be found.
        """
        ...
