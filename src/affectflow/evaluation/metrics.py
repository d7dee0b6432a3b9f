"""The numbers for one task's predicted levels: scikit-learn's, with every free choice stated.

Averages over levels (macro-F1, balanced accuracy) run over the levels that occur in the labels.
That set is the same for every predictor scored on the same clips, its floor included, so their
averages can be compared. Predicting a level that no clip has costs the levels that those clips
do have. What is not defined is NaN, never a made-up 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    mean_absolute_error,
    precision_recall_fscore_support,
    recall_score,
)

from affectflow.dataset.tasks import Task
from affectflow.evaluation import real
from affectflow.evaluation.probabilities import score_names

PER_LEVEL = ("precision", "recall", "f1")

# Each metric that can be undefined for clips that were scored, and when it is.
UNDEFINED = {
    "kappa": "labels and predictions are all one and the same level",
    "precision": "no scored clip is predicted at this level",
    "recall": "no scored clip has this level",
    "f1": "no scored clip has this level or is predicted at it",
}


def metric_names(task: Task) -> list[str]:
    """Return the names of a task's metrics, in the order in which they are reported."""
    if task.kind == "real":
        return list(real.NAMES)
    summary = ["accuracy", "macro_f1", "balanced_accuracy", "war"]
    if task.kind == "ordinal":
        summary += ["kappa", "mae"]
    summary += score_names(task)
    levels = range(len(task.levels))
    return summary + [f"{name}_level_{level}" for name in PER_LEVEL for level in levels]


def why_undefined(name: str) -> str:
    """Say in words when the metric `name` has no value although clips were scored."""
    plain = name.removeprefix("random_").removeprefix("floor_").split("_level_")[0]
    return (UNDEFINED | real.UNDEFINED)[plain]


def measure(label: NDArray[np.int64], predicted: NDArray[np.int64], task: Task) -> dict[str, float]:
    """Score one task's predicted levels; `probabilities` has the scores of probabilities.

    Parameters
    ----------
    label, predicted : int array of shape (clips,)
        Level codes, 0 to the task's levels minus one; at least one clip.
    task : Task
        Its kind decides whether kappa and MAE, which need an order, are there.

    Returns
    -------
    dict of str to float
        A value for each of `metric_names(task)` that rests on levels; NaN where it is undefined.

        ``accuracy``
            Share of clips whose predicted level is the label (`accuracy_score`).
        ``macro_f1``, ``balanced_accuracy``
            Mean F1 and mean recall over the levels that occur in `label`. The second is
            `balanced_accuracy_score`, also known as UAR (unweighted average recall).
        ``war``
            Weighted average recall, each level's recall weighted by its clips
            (`recall_score(average="weighted")`): the same number as accuracy, under the name that
            papers on facial expressions give it.
        ``kappa``
            Quadratic weighted kappa (Cohen 1968), with ``(i - j)**2`` over all the task's levels,
            `cohen_kappa_score(weights="quadratic")`: 0 for any constant predictor.
        ``mae``
            Mean distance in levels (`mean_absolute_error` on the codes).
        ``precision_level_k``, ``recall_level_k``, ``f1_level_k``
            One level against the rest; F1 is ``2 tp / (2 tp + fp + fn)``.
    """
    codes = np.arange(len(task.levels))
    precision, recall, f1, support = precision_recall_fscore_support(
        label, predicted, labels=codes, zero_division=np.nan
    )
    present = support > 0
    values = {
        "accuracy": accuracy_score(label, predicted),
        "macro_f1": np.mean(f1[present]),
        "balanced_accuracy": np.mean(recall[present]),
        "war": recall_score(label, predicted, average="weighted", zero_division=0),
    }
    if task.kind == "ordinal":
        values["kappa"] = _kappa(label, predicted, codes)
        values["mae"] = mean_absolute_error(label, predicted)
    for name, per_level in zip(PER_LEVEL, (precision, recall, f1), strict=True):
        values |= {f"{name}_level_{level}": per_level[level] for level in codes}
    return {name: float(value) for name, value in values.items()}


def _kappa(
    label: NDArray[np.int64], predicted: NDArray[np.int64], codes: NDArray[np.int64]
) -> float:
    # scikit-learn warns where all is one level; here that is a NaN with a reason.
    if np.unique(np.concatenate([label, predicted])).size == 1:
        return np.nan
    return float(cohen_kappa_score(label, predicted, labels=codes, weights="quadratic"))
