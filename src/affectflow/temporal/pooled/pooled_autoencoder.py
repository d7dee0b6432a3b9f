"""Rare levels as anomalies: the reconstruction error of autoencoders of the most frequent level
(the dissertation's section 5, "Future Work")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.reconstruction import ReconstructionClassifier

SETTINGS = {
    "autoencoder_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "default": [64, 16, 64],
    },
    "components": {"type": "integer", "minimum": 1, "default": 64},
    "iterations": {"type": "integer", "minimum": 1, "default": 200},
}


def build(task: Task, settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Return the pipeline.

    Raises
    ------
    UserError
        If the task is real-valued: it has no frequent level.
    """
    if task.kind == "real":
        raise UserError(
            f"head: pooled_autoencoder: {task.name} is real-valued, and has no rare levels",
            "Take another head, or give the task levels in dataset.tasks.",
        )
    model = ReconstructionClassifier(
        settings["autoencoder_units"], settings["components"], settings["iterations"], seed
    )
    return Pipeline([("scale", StandardScaler()), ("model", model)])
