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
# With more than this share of the resamples lost, an interval carries a warning.
MOST_LOST = 0.05

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


def occurring(confusions: NDArray[np.number]) -> NDArray[np.bool_]:
    """Return which levels the labels of a sample have.

    Parameters
    ----------
    confusions : array of shape (..., levels, levels)
        Counts, label by predicted, that make up the sample together: one per subject, say.

    Returns
    -------
    bool array of shape (levels,)
    """
    levels = confusions.shape[-1]
    return np.asarray(confusions).reshape(-1, levels, levels).sum(axis=(0, 2)) > 0


def from_confusion(
    confusion: NDArray[np.number], task: Task, levels: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of `metrics.measure` for a stack of confusion matrices.

    Parameters
    ----------
    confusion : array of shape (..., levels, levels)
        Counts, label by predicted.
    task : Task
    levels : bool array of shape (levels,)
        Which levels the labels of the sample have (`occurring`) that the stack was drawn from.

    Returns
    -------
    dict of str to float64 array of shape (...)
        NaN where a metric is undefined. A matrix without a label of one of `levels` defines neither
        that level's precision, recall and F1, nor the averages over levels.
    """
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    values = summary(confusion, task, levels)
    per_level = {
        "precision": _ratio(hit, predicted),
        "recall": _ratio(hit, labelled),
        "f1": _ratio(2 * hit, labelled + predicted),
    }
    for name, value in per_level.items():
        value[levels & (labelled == 0)] = np.nan
        values |= {f"{name}_level_{level}": value[..., level] for level in range(value.shape[-1])}
    return values


def summary(
    confusion: NDArray[np.number], task: Task, levels: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Return what `from_confusion` does, without each level's own metrics.

    Averages over levels run over `levels`, whatever a single matrix of the stack holds: were each
    resample averaged over the levels that it happens to have, one without a rare level that the
    model misses would score better than the sample, for the same predictions.
    """
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    accuracy = _ratio(hit.sum(axis=-1), labelled.sum(axis=-1))
    recall, f1 = _ratio(hit, labelled), 2 * _ratio(hit, labelled + predicted)
    f1[labelled == 0] = np.nan  # 0 where the level is predicted
    values = {
        "accuracy": accuracy,
        "macro_f1": _mean(f1, levels),
        "balanced_accuracy": _mean(recall, levels),
        # Recall times support is the hits: weighted average recall is accuracy.
        "war": accuracy,
    }
    if task.kind == "ordinal":
        values |= _by_distance(confusion, labelled, predicted)
    return values


def _by_distance(
    confusion: NDArray[np.number], labelled: NDArray[np.number], predicted: NDArray[np.number]
) -> dict[str, NDArray[np.float64]]:
    levels = confusion.shape[-1]
    codes = np.arange(levels, dtype=np.float64)
    distance = np.abs(codes[:, None] - codes).ravel()
    cells = confusion.reshape(*confusion.shape[:-2], levels**2).astype(np.float64, copy=False)
    total = labelled.sum(axis=-1)
    # Sum over j and k of labelled_j predicted_k (j - k)^2, multiplied out.
    chance = total * (labelled @ codes**2 + predicted @ codes**2)
    chance = chance - 2 * (labelled @ codes) * (predicted @ codes)
    return {
        "kappa": 1 - _ratio(total * (cells @ distance**2), chance),
        "mae": _ratio(cells @ distance, total),
    }


def intervals(resampled: dict[str, NDArray[np.float64]]) -> dict[str, Interval]:
    """Return each metric's 95% percentile interval over its values in the resamples.

    A metric can be undefined in a resample (no clip of a level was drawn). Its interval then
    runs over the resamples that define it, and tells how far the metric moves among samples that
    have every level: where many are lost (`lost`) it may be too narrow. A metric that none defines
    has no interval.

    Parameters
    ----------
    resampled : dict of str to float array of shape (resamples,)
        As from `from_confusion` or `probabilities.from_sums` of what `resample` returned.

    Returns
    -------
    dict of str to Interval
    """
    defined = {name: values[~np.isnan(values)] for name, values in resampled.items()}
    found: dict[str, Interval] = {}
    # Those that all resamples define, which are most, are sorted together.
    for size in {values.size for values in defined.values()} - {0}:
        names = [name for name, values in defined.items() if values.size == size]
        ends = np.percentile([defined[name] for name in names], PERCENTILES, axis=1).T
        found |= {
            name: Interval(low, high, size)
            for name, (low, high) in zip(names, ends.tolist(), strict=True)
        }
    return found


def lost(defined: int, resamples: int) -> str:
    """Return the warning that an interval needs, empty where it needs none.

    Parameters
    ----------
    defined : int
        In how many resamples the metric was defined.
    resamples : int
        How many were drawn.
    """
    if resamples - defined <= MOST_LOST * resamples:
        return ""
    if not defined:
        return f"no interval: none of {resamples:,} resamples defines this metric"
    return f"interval from {defined:,} of {resamples:,} resamples: others do not define this metric"


def _mean(per_level: NDArray[np.float64], levels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean over some levels, NaN where one of them, or all, are undefined."""
    chosen = [per_level[..., level] for level in np.flatnonzero(levels)]
    nothing = np.zeros(per_level.shape[:-1])
    return sum(chosen, nothing) / len(chosen) if chosen else nothing * np.nan


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    whole = np.asarray(whole, dtype=float)
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
