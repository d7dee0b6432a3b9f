"""Gradient boosting of trees over histograms (Ke et al. 2017, as scikit-learn has it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from affectflow.dataset.tasks import Task

SETTINGS = {
    "iterations": {"type": "integer", "minimum": 1, "default": 100},
    "boosting_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.1},
    "leaf_clips": {"type": "integer", "minimum": 1, "default": 20},
    "feature_share": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": 0.3,
    },
}


def build(task: Task, settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Return the pipeline.

    All iterations are run: scikit-learn's own early stopping holds clips back, not subjects. Each
    split looks at a share of the features, which are many and alike.
    """
    kind = HistGradientBoostingClassifier
    if task.kind == "real":
        kind = HistGradientBoostingRegressor
    model = kind(
        max_iter=settings["iterations"],
        learning_rate=settings["boosting_rate"],
        min_samples_leaf=settings["leaf_clips"],
        max_features=settings["feature_share"],
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([("model", model)])
