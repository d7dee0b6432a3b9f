"""The figures by which training is followed and its best epoch chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from statistics import fmean
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score
from torch import Tensor

from affectflow.dataset.tasks import Task
from affectflow.evaluation import real
from affectflow.temporal.decide import Decision
from affectflow.temporal.objective import Objective

METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "kappa")
REAL = ("ccc", "mae")
"""Of real-valued tasks; columns where there is such a task."""


def validate(
    scores: Sequence[Tensor],
    levels: Tensor,
    objective: Objective,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Return ``validation_loss``, each metric's mean over tasks, and each metric per task.

    The loss is without weights; levels are taken by the loss's own rule
    (`affectflow.temporal.decide`).

    Parameters
    ----------
    scores : sequence of torch.Tensor
        (n, ...) float32 per task, on the CPU.
    levels : torch.Tensor
        (n, tasks) int64, -1 where there is no label. A task without labels has NaN.
    objective : Objective
    settings : mapping or None
        The loss's own.

    Returns
    -------
    dict of str to float
        ``validation_METRIC`` and ``validation_METRIC_TASK`` for the metrics of `score`.
    """
    row = {"validation_loss": float(objective(scores, levels, settings=settings))}
    found = [
        score(truth.numpy(), Decision(rule)(p.double().numpy()), task)
        for task, p, rule, truth in zip(
            objective.tasks,
            objective.probabilities(scores),
            objective.decisions(),
            levels.unbind(1),
            strict=True,
        )
    ]
    return row | in_columns(found, objective.tasks)


def in_columns(scores: Sequence[Mapping[str, float]], tasks: Sequence[Task]) -> dict[str, float]:
    """Return each metric's mean over the tasks that have it, and each task's, by column name."""
    row = {}
    numbers = any(task.kind == "real" for task in tasks)
    for metric in (*METRICS, *REAL) if numbers else METRICS:
        values = [each.get(metric, nan) for each in scores]
        known = [value for value in values if not isnan(value)]
        row[f"validation_{metric}"] = fmean(known) if known else nan
        for task, value in zip(tasks, values, strict=True):
            row[f"validation_{metric}_{task.name}"] = value
    return row


def score(truth: np.ndarray, predicted: np.ndarray, task: Task) -> dict[str, float]:
    """Return scikit-learn's metrics over labelled clips; NaN where there is none.

    Macro-F1 and balanced accuracy are the mean F1 and recall over the levels that occur as a
    label; kappa is Cohen's, quadratically weighted for ordinal tasks, and 0 where it is 0/0 (one
    level everywhere, predicted everywhere).
    """
    if task.kind == "real":
        return _score_numbers(truth, predicted)
    known = truth >= 0  # not so of NaN
    predicted, truth = predicted[known], truth[known].astype(np.int64)
    if len(truth) == 0:
        return dict.fromkeys(METRICS, nan)
    weights = "quadratic" if task.kind == "ordinal" else None
    codes = list(range(len(task.levels)))
    kappa = 0.0
    if len({*truth, *predicted}) > 1:
        kappa = cohen_kappa_score(truth, predicted, labels=codes, weights=weights)
    present = np.unique(truth)
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(
            f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
        ),
        "balanced_accuracy": float(recall_score(truth, predicted, labels=present, average="macro")),
        "kappa": float(kappa),
    }


def _score_numbers(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    known = ~np.isnan(truth)
    if not known.any():
        return dict.fromkeys(REAL, nan)
    sums = real.subject_sums(np.zeros(known.sum()), truth[known], predicted[known]).sum(axis=0)
    values = real.from_sums(sums)
    return {name: float(values[name]) for name in REAL}
