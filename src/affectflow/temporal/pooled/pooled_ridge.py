"""Ridge regression on the level scale (Savchenko et al. 2022, section 4.2: "ridge ordinal
regression"); for tasks without an order, a ridge classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from affectflow.dataset.tasks import Task

SETTINGS = {"ridge_alpha": {"type": "number", "exclusiveMinimum": 0, "default": 1000.0}}


def build(task: Task, settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Return the pipeline; `seed` decides nothing here."""
    kind = RidgeClassifier if task.kind == "nominal" else Ridge
    model = kind(alpha=settings["ridge_alpha"])
    return Pipeline([("scale", StandardScaler()), ("model", model)])
