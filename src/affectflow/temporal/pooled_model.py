"""A pooled head that was fitted: an estimator per task, and what makes its scores probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import norm
from sklearn.pipeline import Pipeline

from affectflow.dataset.tasks import Task

TINY = 1e-7
WIDEST = 4.0
"""Scales are looked for between e^-4 and e^4."""


@dataclass(frozen=True)
class TaskModel:
    """One task's estimator.

    Attributes
    ----------
    estimator : sklearn.pipeline.Pipeline
        Fitted.
    levels : int
        K; 0 of a real-valued task.
    scale : float
        Of scores that are no probabilities: the softmax's temperature (Guo et al. 2017, eq. 9), or
        the deviation of a level around a regression's value. Of a real-valued task the deviation
        of the training labels.
    """

    estimator: Pipeline
    levels: int
    scale: float = 1.0

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the levels' probabilities, (n, K) of statistics (n, F); numbers (n, 1)."""
        return self.of_scores(self.scores(x))

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return probabilities, one score per level seen in training, or values (n,)."""
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self.estimator.predict_proba(x), np.float64)
        if not hasattr(self.estimator, "decision_function"):
            return np.asarray(self.estimator.predict(x), np.float64)
        found = np.asarray(self.estimator.decision_function(x), np.float64)
        # Of two levels there is one score: how far on the second's side.
        return np.stack([-found, found], axis=1) / 2 if found.ndim == 1 else found

    def of_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, K) probabilities of what `scores` returned, or numbers (n, 1)."""
        if not self.levels:
            return scores.reshape(-1, 1)
        if scores.ndim == 1:
            edges = np.arange(self.levels - 1) + 0.5
            above = norm.sf((edges - scores[:, None]) / self.scale)
            ends = np.ones((len(scores), 1)), np.zeros((len(scores), 1))
            return -np.diff(np.concatenate([ends[0], above, ends[1]], axis=1), axis=1)
        if not hasattr(self.estimator, "predict_proba"):
            scores = softmax(scores / self.scale, axis=1)
        found = np.zeros((len(scores), self.levels))
        found[:, self.estimator.classes_] = scores
        return found

    def calibrated(self, x: NDArray[np.float32], level: NDArray[np.int64]) -> TaskModel:
        """Return this model with the scale under which held-out labels are most probable.

        Parameters
        ----------
        x : numpy.ndarray
            (n, F) float32, of clips that were not trained on.
        level : numpy.ndarray
            (n,) int64.
        """
        if hasattr(self.estimator, "predict_proba") or len(level) == 0 or not self.levels:
            return self
        scores = self.scores(x)
        rows = np.arange(len(level))

        def loss(log_scale: float) -> float:
            model = TaskModel(self.estimator, self.levels, float(np.exp(log_scale)))
            return -float(np.log(model.of_scores(scores)[rows, level] + TINY).mean())

        best = minimize_scalar(loss, bounds=(-WIDEST, WIDEST), method="bounded")
        return TaskModel(self.estimator, self.levels, float(np.exp(best.x)))


@dataclass(frozen=True)
class PooledModel:
    """A pooled head of all tasks.

    Attributes
    ----------
    head : str
        A file of ``temporal/pooled``.
    settings : dict
        The head's own keys, with ``statistics`` (`affectflow.temporal.statistics.pool`).
    keep : numpy.ndarray
        (D,) bool, the features that are looked at.
    tasks : sequence of Task
    models : list of TaskModel
        One for each task.
    """

    head: str
    settings: dict[str, Any]
    keep: NDArray[np.bool_]
    tasks: Sequence[Task]
    models: list[TaskModel]

    def probabilities(self, x: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """Return each task's level probabilities, (n, K_task) of statistics (n, F)."""
        return [model.probabilities(x) for model in self.models]
