"""Scores of the predicted probabilities: squared error, calibration error, Brier score.

Each is a function of a few sums over clips, and sums over clips add over subjects, so their
intervals are made as those of the confusion matrices are (`affectflow.evaluation.intervals`).

Sources: Brier 1950, Monthly Weather Review 78(1); Guo et al. 2017, On Calibration of Modern Neural
Networks, ICML, section 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task

# Guo et al. 2017 use 15 bins throughout.
BINS = 15
_UPPER_EDGES = np.arange(1, BINS + 1) / BINS
_CLIPS, _BRIER, _SQUARED_ERROR, _GAPS = 0, 1, 2, 3


def score_names(task: Task) -> list[str]:
    """Return the names of a task's scores of probabilities, in the order of `from_sums`."""
    return (["mse"] if task.kind == "ordinal" else []) + ["ece", "brier"]


def subject_sums(
    subject: NDArray[np.object_],
    label: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probability: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return per subject the sums that `from_sums` turns into scores.

    Parameters
    ----------
    subject : array of shape (clips,)
        Whose clip it is.
    label, predicted : int array of shape (clips,)
        Level codes.
    probability : float array of shape (clips, levels)
        Of each level; a row adds up to 1.

    Returns
    -------
    float64 array of shape (subjects, 3 + BINS)
        Number of clips, squared differences of probability and outcome, squared errors of the
        expected level, and for each bin of confidence the hits minus the confidences. Subjects
        are in sorted order, as in `intervals.subject_confusions`.
    """
    _, who = np.unique(subject.astype(str), return_inverse=True)
    clips, levels = probability.shape
    every = np.arange(clips)
    # Not the largest probability: a decision rule may choose another level than the likeliest.
    confidence = probability[every, predicted]
    # Bins are open below and closed above, as in Guo et al.; a confidence of 0 is in the first.
    place = np.minimum(np.searchsorted(_UPPER_EDGES, confidence, side="left"), BINS - 1)
    terms = np.zeros((clips, _GAPS + BINS))
    terms[:, _CLIPS] = 1
    terms[:, _BRIER] = ((probability - np.eye(levels)[label]) ** 2).sum(axis=1)
    terms[:, _SQUARED_ERROR] = (probability @ np.arange(levels) - label) ** 2
    terms[every, _GAPS + place] = (predicted == label) - confidence
    sums = np.zeros((int(who.max()) + 1 if clips else 0, _GAPS + BINS))
    np.add.at(sums, who, terms)
    return sums


def from_sums(sums: NDArray[np.float64], task: Task) -> dict[str, NDArray[np.float64]]:
    """Return the scores of a stack of sums.

    Parameters
    ----------
    sums : float array of shape (..., 3 + BINS)
        As from `subject_sums`, added over some subjects; at least one clip each.
    task : Task
        Its kind decides whether ``mse``, which needs an order, is there.

    Returns
    -------
    dict of str to float64 array of shape (...)
        ``mse``
            Mean squared error of the expected level, ``sum_k k p_k``, on the scale of the level
            codes (`mean_squared_error(label, p @ codes)`).
        ``ece``
            Expected calibration error: the mean over clips of ``|hit rate - mean confidence|`` of
            the clip's bin, for `BINS` bins of equal width. Confidence is the probability of the
            predicted level.
        ``brier``
            Squared difference of probability and outcome, summed over levels, mean over clips: 0
            to 2 (`brier_score_loss(scale_by_half=False)`).
    """
    clips = sums[..., _CLIPS]
    values = {
        "mse": sums[..., _SQUARED_ERROR] / clips,
        "ece": np.abs(sums[..., _GAPS:]).sum(axis=-1) / clips,
        "brier": sums[..., _BRIER] / clips,
    }
    return {name: values[name] for name in score_names(task)}
