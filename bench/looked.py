"""What either pipeline says of a clip, in one form for both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STAGES = ("decode", "detect", "embed")


@dataclass(frozen=True, eq=False)
class Looked:
    """A clip after a pipeline.

    Attributes
    ----------
    boxes, landmarks : list of numpy.ndarray
        Per frame, all faces that are known: (k, 4) and (k, 5, 2) px. The first is the one embedded.
    embedding : numpy.ndarray
        (n, D) float32; NaN where the frame has no face.
    """

    boxes: list[np.ndarray]
    landmarks: list[np.ndarray]
    embedding: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(n,) bool: whether the frame has a face."""
        return np.array([len(boxes) > 0 for boxes in self.boxes])
