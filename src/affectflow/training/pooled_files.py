"""A fitted pooled head on disk, under the same two names as a sequence model. No pickles.

The safetensors file holds for each task the bytes of skops' format, which rebuilds objects of named
types only; and which features are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.provenance.content import sha256
from affectflow.temporal.decide import Decision
from affectflow.temporal.pooled_model import PooledModel, TaskModel
from affectflow.training.model_files import REMEDY, read_description, write_description

# What skops does not trust by itself: the project's own estimators, and scikit-learn's arrays that
# compiled code walks through.
TRUSTED = [
    "affectflow.temporal.reconstruction.Autoencoder",
    "affectflow.temporal.reconstruction.ReconstructionClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


def save_pooled(
    model: PooledModel,
    weights: Path,
    description: Path,
    decisions: Sequence[Decision],
    trained: Mapping[str, Any],
) -> None:
    """Write a pooled head as ``model.safetensors`` and ``model.json``.

    Parameters
    ----------
    model : PooledModel
    weights, description, decisions, trained
        As `affectflow.training.model_files.save_model`.
    """
    tensors = {"keep": model.keep.astype(np.uint8)}
    for place, each in enumerate(model.models):
        tensors[f"task_{place}"] = np.frombuffer(skops.io.dumps(each.estimator), np.uint8)
    with atomic(weights) as temporary:
        save_file(tensors, temporary)
    own = {
        "head": model.head,
        "settings": model.settings,
        "dim": len(model.keep),
        "scales": [each.scale for each in model.models],
    }
    write_description(description, own, model.tasks, decisions, weights, trained)


def load_pooled(weights: Path, description: Path) -> PooledModel:
    """Rebuild what `save_pooled` wrote. Nothing is unpickled.

    Raises
    ------
    UserError
        If a file is missing, damaged, or of another schema or model.
    """
    said = read_description(description)
    try:
        head, settings, scales = (said.own[key] for key in ("head", "settings", "scales"))
    except KeyError as error:
        raise UserError(f"{description}: is no pooled model's ({error!r})", REMEDY) from error
    if not weights.is_file():
        raise UserError(f"{weights}: no such file", REMEDY)
    if sha256(weights) != said.weights_sha256:
        raise UserError(f"{weights}: is not the file that {description} describes", REMEDY)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"{weights}: is not safetensors ({error})", REMEDY) from error
    models = [
        TaskModel(
            skops.io.loads(tensors[f"task_{place}"].tobytes(), trusted=TRUSTED),
            len(task.levels),
            scale,
        )
        for place, (task, scale) in enumerate(zip(said.tasks, scales, strict=True))
    ]
    return PooledModel(head, settings, tensors["keep"].astype(bool), said.tasks, models)
