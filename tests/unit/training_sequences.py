"""Synthetic sequences whose level is when something happens, and a training run on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import torch

from affectflow.dataset.tasks import Task
from affectflow.temporal.decide import Decision
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.data import SequenceData, assemble
from affectflow.training.experiment import Experiment, read_experiment
from affectflow.training.fit import Fitted, fit, write_history
from affectflow.training.model_files import save_model
from affectflow.training.predict import predict, tabulate, write_predictions

TASKS = [
    Task("engagement", "ordinal", ("low", "middle", "high")),
    Task("camera", "nominal", ("a", "b")),
]
SMALL = {"lstm_units": [12, 8], "fc_units": [8, 8], "batch_size": 16, "learning_rate": 0.01}
QUICK = {**SMALL, "epochs": 8, "select_by": "macro_f1"}


def arrays(
    subjects: int = 15, clips_each: int = 12, frames: int = 9, dim: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[str], pandas.DataFrame]:
    """Return embeddings, mask, clip ids and clip table of 3:1:1 subject-wise splits.

    `engagement` is the third of the clip in which feature 0 has a bump, `camera` the sign of the
    bump in feature 1: means over frames tell nothing of the first. About a tenth of the frames is
    masked, one training clip is without a frame, one clip of each split lacks its first label.
    """
    rng = np.random.default_rng(seed)
    n = subjects * clips_each
    subject = np.repeat(np.arange(subjects), clips_each)
    split = np.array(["train", "train", "train", "validation", "test"])[subject % 5]
    engagement, camera = rng.integers(0, 3, n), rng.integers(0, 2, n)
    embedding = rng.normal(0, 0.3, (n, frames, dim))
    time = np.arange(frames)
    middle = (2 * engagement + 1) * frames / 6 - 0.5
    embedding[:, :, 0] += 3 * (np.abs(time - middle[:, None]) < frames / 6)
    embedding[:, :, 1] += (camera[:, None] * 2 - 1) * np.sin(time / frames * np.pi)
    mask = rng.random((n, frames)) > 0.1
    mask[0] = False
    embedding[~mask] = 0
    table = pandas.DataFrame(
        {
            "clip_id": [f"{s:02}{i:04}" for i, s in enumerate(subject)],
            "subject": [f"{s:02}" for s in subject],
            "split": split,
            "engagement": pandas.array(engagement, dtype="Int64"),
            "camera": pandas.array(camera, dtype="Int64"),
        }
    )
    first = table.groupby("split").nth(1).index
    table.loc[first, "engagement"] = pandas.NA
    return embedding.astype(np.float16), mask, list(table["clip_id"]), table


def sequences(**shape: int) -> SequenceData:
    return assemble(*arrays(**shape), TASKS)


def train(
    folder: Path, data: SequenceData | None = None, code_digest: str = "", **keys: object
) -> Fitted:
    return fit(
        sequences() if data is None else data,
        TASKS,
        experiment(**keys),
        folder / "checkpoint.pt",
        device=torch.device("cpu"),
        seed=3,
        code_digest=code_digest,
    )


def experiment(**keys: object) -> Experiment:
    return read_experiment({**QUICK, **keys})


def predictions(model: SequenceModel, data: SequenceData, batch: int = 256) -> pandas.DataFrame:
    """Return the table of predictions, each level by its loss's own rule."""
    decisions = [Decision(rule) for rule in model.objective.decisions()]
    return tabulate(predict(model, data, batch), data, model.tasks, decisions)


def train_and_write(folder: Path) -> dict[str, bytes]:
    """Train, write every output, and return the files' bytes."""
    fitted = train(folder)
    write_history(fitted.history, folder / "history.csv")
    write_predictions(predictions(fitted.model, sequences()), folder / "predictions.csv")
    save_model(
        fitted.model,
        folder / "model.safetensors",
        folder / "model.json",
        [Decision("mode")] * len(TASKS),
        {"best_epoch": fitted.best_epoch},
    )
    return outputs(folder)


def outputs(folder: Path) -> dict[str, bytes]:
    names = ("history.csv", "predictions.csv", "model.safetensors", "model.json")
    return {name: (folder / name).read_bytes() for name in names}
