"""What a clip's frames come to without their order: statistics of each feature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STATISTICS = ("mean", "std", "min", "max")


def pool(
    embedding: NDArray[np.floating], mask: NDArray[np.bool_], names: list[str]
) -> NDArray[np.float32]:
    """Return statistics of each feature over a clip's unmasked frames, side by side.

    Parameters
    ----------
    embedding : numpy.ndarray
        (clips, S, D) of any float type.
    mask : numpy.ndarray
        (clips, S) bool, at least one True per clip.
    names : list of {"mean", "std", "min", "max"}
        ``std`` is the population's.

    Returns
    -------
    numpy.ndarray
        (clips, len(names) D) float32.
    """
    x = np.ma.masked_array(
        np.where(mask[:, :, None], embedding, 0).astype(np.float64),
        np.broadcast_to(~mask[:, :, None], embedding.shape),
    )
    return np.concatenate(
        [np.asarray(getattr(x, name)(axis=1), np.float32) for name in names], axis=1
    )
