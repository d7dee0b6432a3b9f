"""A training job whose files lie in two folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from affectflow.training.job import Job


def job(folder: Path, training: dict[str, Any], tables: Path, seed: int = 1) -> Job:
    """Return a job that reads clips and tasks of `tables`, and writes into `folder`."""
    return Job(
        clips=tables / "clips.csv",
        tasks=tables / "tasks.json",
        training=training,
        checkpoint=folder / "checkpoint.pt",
        model=folder / "model.safetensors",
        description=folder / "model.json",
        history=folder / "history.csv",
        predictions=folder / "predictions.csv",
        seed=seed,
        device=torch.device("cpu"),
        threads=1,
        code_digest="",
    )
