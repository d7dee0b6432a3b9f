"""Levels and their probabilities for every clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import torch
from torch import Tensor

from affectflow.devices import reproducible
from affectflow.provenance.atomic import atomic
from affectflow.temporal.losses import cross_entropy
from affectflow.temporal.losses.cross_entropy import MISSING
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.data import SequenceData
from affectflow.training.feed import Feed

DECIMALS = 6
BATCH = 256


@torch.no_grad()
def forward(model: SequenceModel, feed: Feed, clips: np.ndarray, batch: int) -> list[Tensor]:
    """Return logits (n, K_task) float32 on the CPU of some clips, in evaluation mode."""
    model.eval()
    parts = [
        [scores.cpu() for scores in model(*feed(places)[:2])]
        for places in torch.from_numpy(clips).split(batch)
    ]
    return [torch.cat(scores) for scores in zip(*parts, strict=True)]


def predict(
    model: SequenceModel, data: SequenceData, batch: int = BATCH, threads: int = 1
) -> pandas.DataFrame:
    """Return a row per clip and task: split, clip id, then the tasks in their order.

    Probabilities are rounded to 6 decimals before the most probable level is taken (the lowest
    of equals), so a row agrees with itself whatever computed it.

    Parameters
    ----------
    model : SequenceModel
        On any device.
    data : SequenceData
        Its labels stand beside the predictions; it is given as it is, not permuted.
    batch : int
        Clips at a time.
    threads : int
        CPU threads.

    Returns
    -------
    pandas.DataFrame
        `clip_id`, `subject`, `split`, `task` (str), `label` (Int64, missing where unlabelled),
        `predicted` (int64), `p_0` ... float64, NaN beyond a task's own levels.
    """
    device = next(model.parameters()).device
    with reproducible(threads):
        logits = forward(model, Feed(data, device), np.arange(len(data)), batch)
        probabilities = [
            p.double().numpy().round(DECIMALS) for p in cross_entropy.probabilities(logits)
        ]
    n, most = len(data), max(len(task.levels) for task in model.tasks)
    padded = np.full((n, len(model.tasks), most), np.nan)
    for i, p in enumerate(probabilities):
        padded[:, i, : p.shape[1]] = p
    each = len(model.tasks)
    label = pandas.array(data.levels.reshape(-1), dtype="Int64")
    label[data.levels.reshape(-1) == MISSING] = pandas.NA
    table = pandas.DataFrame(
        {name: getattr(data, name).repeat(each) for name in ("clip_id", "subject", "split")}
        | {
            "task": [task.name for task in model.tasks] * n,
            "label": label,
            "predicted": np.nanargmax(padded, axis=2).reshape(-1),
        }
    )
    flat = padded.reshape(n * each, most)
    return table.assign(**{f"p_{k}": flat[:, k] for k in range(most)})


def write_predictions(table: pandas.DataFrame, path: Path) -> None:
    """Write predictions as fixed-point text: equal predictions are equal bytes."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
