"""Levels and their probabilities for every clip."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
from torch import Tensor

from affectflow.dataset.tasks import Task
from affectflow.devices import reproducible
from affectflow.provenance.atomic import atomic
from affectflow.temporal.decide import VALUE, Decision, fit_cuts
from affectflow.temporal.objective import MISSING
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.data import SequenceData
from affectflow.training.feed import Feed

log = logging.getLogger(__name__)

DECIMALS = 6


@torch.no_grad()
def forward(
    model: SequenceModel, feed: Feed, clips: np.ndarray, batch: int | None = None
) -> list[Tensor]:
    """Return scores (n, ...) float32 on the CPU of some clips per task, in evaluation mode."""
    model.eval()
    parts = [
        model(model.embed(given, mask), mask)
        for given, mask, _ in map(feed, torch.from_numpy(clips).split(batch or feed.batch))
    ]
    # Fetched once: the device does not wait between batches.
    return [torch.cat(scores).cpu() for scores in zip(*parts, strict=True)]


def predict(
    model: SequenceModel,
    data: SequenceData,
    batch: int | None = None,
    threads: int = 1,
    feed: Feed | None = None,
) -> list[np.ndarray]:
    """Return the probabilities of every clip's levels, (clips, K_task) float64 for each task.

    Rounded to 6 decimals, as they are written: what is decided from them agrees with the file.

    Parameters
    ----------
    model : SequenceModel
        On any device.
    data : SequenceData
    batch : int or None
        Clips at a time; None for what suits the feed.
    threads : int
        CPU threads.
    feed : Feed or None
        Batches of `data` as the model takes them; None for embeddings.
    """
    device = next(model.parameters()).device
    with reproducible(threads):
        scores = forward(model, feed or Feed(data, device), np.arange(len(data)), batch)
        return [p.double().numpy().round(DECIMALS) for p in model.probabilities(scores)]


def decide(
    probabilities: Sequence[np.ndarray],
    data: SequenceData,
    tasks: Sequence[Task],
    rules: Sequence[str],
) -> list[Decision]:
    """Return how each task's level is taken; thresholds are fitted to the validation split.

    Parameters
    ----------
    probabilities : sequence of numpy.ndarray
        What `predict` returned.
    data : SequenceData
    tasks : sequence of Task
    rules : sequence of str
        One of `affectflow.temporal.decide.RULES` for each task. Tasks without an order, and tasks
        without a validation label, can't be calibrated and take the mode.
    """
    found = []
    for place, (p, task, rule) in enumerate(zip(probabilities, tasks, rules, strict=True)):
        level = data.levels[:, place]
        known = (data.split == "validation") & (level != MISSING)
        found.append(fit_decision(rule, task, p[known], level[known]))
    return found


def fit_decision(rule: str, task: Task, p: np.ndarray, level: np.ndarray) -> Decision:
    """Return how one task's level is taken.

    Parameters
    ----------
    rule : str
        One of `affectflow.temporal.decide.RULES`.
    task : Task
    p : numpy.ndarray
        (n, K) float64, probabilities of labelled validation clips.
    level : numpy.ndarray
        (n,) int64, their labels.
    """
    if task.kind == "real":
        return Decision(VALUE)
    if task.kind != "ordinal":
        return Decision("mode")  # nothing lies between levels without an order
    if rule != "calibrated":
        return Decision(rule)
    if len(level) == 0:
        log.warning("%s: no validation label: its mode is taken", task.name)
        return Decision("mode")
    cuts = fit_cuts(p, level)
    log.info("%s: thresholds of the expected level: %s", task.name, cuts.round(3))
    return Decision(rule, tuple(cuts.tolist()))


def tabulate(
    probabilities: Sequence[np.ndarray],
    data: SequenceData,
    tasks: Sequence[Task],
    decisions: Sequence[Decision],
) -> pandas.DataFrame:
    """Return a row per clip and task: split, clip id, then the tasks in their order.

    Parameters
    ----------
    probabilities : sequence of numpy.ndarray
        What `predict` returned.
    data : SequenceData
        Its labels stand beside the predictions; it is given as it is, not permuted.
    tasks : sequence of Task
    decisions : sequence of Decision
        One for each task.

    Returns
    -------
    pandas.DataFrame
        `clip_id`, `subject`, `split`, `task` (str), `label` (Int64, missing where unlabelled),
        `predicted` (int64), `p_0` ... float64, NaN beyond a task's own levels. With a real-valued
        task `label` (Float64) and `predicted` (float64) hold its numbers, too.
    """
    n, most = len(data), max(len(task.levels) for task in tasks)
    padded = np.full((n, len(tasks), most), np.nan)
    predicted = np.empty((n, len(tasks)), np.int64 if data.values is None else np.float64)
    for i, (p, decision) in enumerate(zip(probabilities, decisions, strict=True)):
        if decision.rule != VALUE:
            padded[:, i, : p.shape[1]] = p
        predicted[:, i] = decision(p)
    each = len(tasks)
    kind = "Int64" if data.values is None else "Float64"
    label: Any = pandas.array(np.nan_to_num(data.labels).reshape(-1), dtype=kind)
    label[data.levels.reshape(-1) == MISSING] = pandas.NA
    table = pandas.DataFrame(
        {name: getattr(data, name).repeat(each) for name in ("clip_id", "subject", "split")}
        | {
            "task": [task.name for task in tasks] * n,
            "label": label,
            "predicted": predicted.reshape(-1),
        }
    )
    flat = padded.reshape(n * each, most)
    return table.assign(**{f"p_{k}": flat[:, k] for k in range(most)})


def write_predictions(table: pandas.DataFrame, path: Path) -> None:
    """Write predictions as fixed-point text: equal predictions are equal bytes.

    A level code is written as a whole number also beside a real-valued task's numbers, and a label
    as the clip table has it.
    """
    if table["predicted"].dtype.kind == "f":
        texts = {"label": table["label"], "predicted": table["predicted"].round(DECIMALS)}
        table = table.assign(**{name: list(map(_text, texts[name])) for name in texts})
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")


def _text(value: Any) -> str:
    if pandas.isna(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
