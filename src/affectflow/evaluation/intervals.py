"""95% intervals from resampling subjects.

Clips of one person resemble each other, so the persons, not the clips, are the independent draws:
the cluster bootstrap (Davison and Hinkley 1997, Bootstrap Methods, section 3.8) draws as many
subjects as there are, with replacement, and each brings all of its clips. Every metric here is a
function of counts or sums over clips (the confusion matrix, the sums of
`affectflow.evaluation.probabilities`), and a resample's sums are those of its subjects added up, so
a thousand resamples are one matrix product and give exactly the metric of the resampled clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task

PERCENTILES = (2.5, 97.5)

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Interval:
    """A percentile interval, and in how many resamples the metric was defined."""

    low: float
    high: float
    defined: int


def subject_confusions(
    subject: NDArray[np.object_],
    label: NDArray[np.int64],
    predicted: NDArray[np.int64],
    levels: int,
) -> NDArray[np.int64]:
    """Return one confusion matrix per subject.

    Parameters
    ----------
    subject : array of shape (clips,)
        Whose clip it is.
    label, predicted : int array of shape (clips,)
        Level codes, 0 to `levels` - 1.
    levels : int
        How many levels the task has.

    Returns
    -------
    int64 array of shape (subjects, levels, levels)
        Counts, label by predicted, subjects in sorted order.
    """
    _, who = np.unique(subject.astype(str), return_inverse=True)
    count = int(who.max()) + 1 if who.size else 0
    confusions = np.zeros((count, levels, levels), dtype=np.int64)
    np.add.at(confusions, (who, label, predicted), 1)
    return confusions


def resample(sums: NDArray[Number], resamples: int, seed: int) -> NDArray[Number]:
    """Return the sums over `resamples` draws of subjects with replacement.

    The draw depends on the seed and the number of subjects only, so all metrics, and all
    predictors scored on the same subjects, meet the same draws.

    Parameters
    ----------
    sums : array of shape (subjects, ...)
        What adds over subjects, such as their confusion matrices.
    resamples, seed : int

    Returns
    -------
    array of shape (resamples, ...)
        Of the type of `sums`.
    """
    subjects = len(sums)
    even = np.full(subjects, 1 / subjects)
    times_drawn = np.random.default_rng(seed).multinomial(subjects, even, size=resamples)
    return np.tensordot(times_drawn, sums, axes=1)


def from_confusion(confusion: NDArray[np.int64], task: Task) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of `metrics.measure` for a stack of confusion matrices.

    Parameters
    ----------
    confusion : int array of shape (..., levels, levels)
        Counts, label by predicted.
    task : Task

    Returns
    -------
    dict of str to float64 array of shape (...)
        NaN where a metric is undefined.
    """
    total = confusion.sum(axis=(-2, -1))
    labelled = confusion.sum(axis=-1)
    predicted = confusion.sum(axis=-2)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = labelled > 0
    recall = _ratio(hit, labelled)
    f1 = _ratio(2 * hit, labelled + predicted)
    values = {
        "accuracy": _ratio(hit.sum(axis=-1), total),
        "macro_f1": _ratio(np.where(present, f1, 0).sum(axis=-1), present.sum(axis=-1)),
        "balanced_accuracy": _ratio(np.where(present, recall, 0).sum(axis=-1), present.sum(-1)),
        # Recall times support is the hits: weighted average recall is accuracy.
        "war": _ratio(hit.sum(axis=-1), total),
    }
    if task.kind == "ordinal":
        codes = np.arange(len(task.levels))
        distance = np.abs(codes[:, None] - codes)
        chance = labelled[..., :, None] * predicted[..., None, :]
        seen = (confusion * distance**2).sum(axis=(-2, -1)) * total
        values["kappa"] = 1 - _ratio(seen, (chance * distance**2).sum(axis=(-2, -1)))
        values["mae"] = _ratio((confusion * distance).sum(axis=(-2, -1)), total)
    per_level = {"precision": _ratio(hit, predicted), "recall": recall, "f1": f1}
    for name, value in per_level.items():
        values |= {f"{name}_level_{level}": value[..., level] for level in range(value.shape[-1])}
    return values


def intervals(resampled: dict[str, NDArray[np.float64]]) -> dict[str, Interval]:
    """Return each metric's 95% percentile interval over its values in the resamples.

    A metric can be undefined in a resample (no clip of a level was drawn). Its interval then
    runs over the resamples that define it; a metric that none defines has none.

    Parameters
    ----------
    resampled : dict of str to float array of shape (resamples,)
        As from `from_confusion` or `probabilities.from_sums` of what `resample` returned.

    Returns
    -------
    dict of str to Interval
    """
    found = {}
    for name, values in resampled.items():
        defined = values[~np.isnan(values)]
        if defined.size:
            low, high = np.percentile(defined, PERCENTILES)
            found[name] = Interval(float(low), float(high), defined.size)
    return found


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    whole = np.asarray(whole, dtype=float)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
