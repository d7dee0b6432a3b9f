"""Levels that are rare: how much a clip of each counts, and how often it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task
from affectflow.temporal.objective import MISSING

SCHEMES = ("none", "balanced", "sqrt")


def level_weights(
    levels: NDArray[np.int64], tasks: Sequence[Task], scheme: str
) -> list[NDArray[np.float32]] | None:
    """Return how much a clip of each level counts in the loss, (K_task,) for each task.

    Parameters
    ----------
    levels : numpy.ndarray
        (clips, tasks) int64 of the training clips, -1 where there is no label.
    tasks : sequence of Task
    scheme : {"none", "balanced", "sqrt"}
        ``balanced``: inverse to the level's frequency, so that all levels together count the same
        (scikit-learn's ``class_weight="balanced"``; King and Zeng 2001). ``sqrt``: inverse to its
        square root, which leaves a very rare level less loud. A level without clips counts 0. A
        real-valued task has no levels: each of its clips counts 1.

    Returns
    -------
    list of numpy.ndarray or None
        Of mean 1 over the labelled clips of each task; None for ``none``.
    """
    if scheme == "none":
        return None
    found = []
    for place, task in enumerate(tasks):
        own = levels[:, place]
        count = np.bincount(own[own != MISSING], minlength=max(len(task.levels), 1))
        count = count.astype(np.float64)
        rare = np.divide(1.0, count, out=np.zeros_like(count), where=count > 0)
        weight = rare if scheme == "balanced" else np.sqrt(rare)
        mean = (weight * count).sum() / max(count.sum(), 1)
        found.append((weight / mean if mean else weight).astype(np.float32))
    return found


def draw_probabilities(levels: NDArray[np.int64], tasks: Sequence[Task]) -> NDArray[np.float64]:
    """Return how probable each training clip is to be drawn, (clips,) float64, sum 1.

    The mean over a clip's labelled tasks of its balanced `level_weights`: with one task, every
    level is drawn equally often; with several, a clip that is rare for one of them is drawn more.
    """
    weights = level_weights(levels, tasks, "balanced") or []
    known = levels != MISSING
    each = np.stack(
        [own[levels[:, place].clip(min=0)] for place, own in enumerate(weights)], axis=1
    )
    mean = (each * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean / mean.sum()
