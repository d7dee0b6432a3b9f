"""The trained teacher on disk: weights that the backbone reads, and what they are."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from affectflow.evaluation.report import write_metrics
from affectflow.provenance.atomic import atomic, write_text
from affectflow.provenance.content import sha256, versions
from affectflow.teacher.settings import TeacherSettings
from affectflow.teacher.training import BACKBONE, Trained
from affectflow.training.fit import write_history

SCHEMA_VERSION = 1
WEIGHTS, DESCRIPTION = "weights.safetensors", "teacher.json"
HISTORY, METRICS = "history.csv", "metrics.json"
FILES = (WEIGHTS, HISTORY, METRICS, DESCRIPTION)


def write_teacher(folder: Path, trained: Trained, settings: TeacherSettings) -> None:
    """Write a trained teacher's four files into a folder; one process does this.

    ``weights.safetensors`` is what ``backbones: {fecnet: {weights: PATH}}`` reads: the backbone's
    names, and the heads below ``heads.``, which the backbone leaves out.
    """
    weights = folder / WEIGHTS
    with atomic(weights) as temporary:
        # One entry: safetensors writes several in an order that changes from run to run.
        source = f"{BACKBONE}, trained as a teacher, seed {settings.seed}"
        save_file(trained.weights, temporary, metadata={"source": source})
    write_history(trained.history, folder / HISTORY)
    write_metrics(folder / METRICS, trained.metrics)
    content = {
        "schema_version": SCHEMA_VERSION,
        "backbone": BACKBONE,
        "weights_sha256": sha256(weights),
        "best_epoch": trained.best_epoch,
        "settings": settings.keys(),
        "trained": trained.said,
        "versions": versions(),
    }
    # Last: a folder that has it is whole.
    write_text(folder / DESCRIPTION, json.dumps(content, indent=2) + "\n")
