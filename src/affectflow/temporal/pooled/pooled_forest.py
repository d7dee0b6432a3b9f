"""A random forest (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import Pipeline

from affectflow.dataset.tasks import Task

SETTINGS = {
    "trees": {"type": "integer", "minimum": 1, "default": 300},
    "leaf_clips": {"type": "integer", "minimum": 1, "default": 3},
}


def build(task: Task, settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Return the pipeline; no leaf holds fewer than `leaf_clips` training clips."""
    kind = RandomForestRegressor if task.kind == "real" else RandomForestClassifier
    model = kind(settings["trees"], min_samples_leaf=settings["leaf_clips"], random_state=seed)
    return Pipeline([("model", model)])
