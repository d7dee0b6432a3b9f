"""A support vector machine with a Gaussian kernel (Savchenko et al. 2022, Table 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from affectflow.dataset.tasks import Task

SETTINGS = {"svm_c": {"type": "number", "exclusiveMinimum": 0, "default": 1.0}}


def build(task: Task, settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Return the pipeline; `seed` decides nothing here."""
    model = SVC(C=settings["svm_c"])
    if task.kind == "real":
        # Its margin is in the labels' unit.
        model = TransformedTargetRegressor(SVR(C=settings["svm_c"]), transformer=StandardScaler())
    return Pipeline([("scale", StandardScaler()), ("model", model)])
