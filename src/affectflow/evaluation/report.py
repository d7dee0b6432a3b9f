"""What metrics.json says of one experiment: every metric, its interval and its floor."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.dataset.records import SPLITS
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.evaluation.intervals import (
    Interval,
    constant,
    intervals,
    resample,
    subject_confusions,
)
from affectflow.evaluation.metrics import measure, metric_names, why_undefined
from affectflow.provenance.atomic import write_text

FLOORS = ("accuracy", "macro_f1", "balanced_accuracy", "mae")
DIGITS = 8


def evaluate(
    predictions: pandas.DataFrame,
    clips: pandas.DataFrame,
    tasks: list[Task],
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """Score one experiment on every split and task.

    Parameters
    ----------
    predictions : pandas.DataFrame
        A row per scored clip and task: `clip_id, subject, split, task, label, predicted`; `label`
        is missing where the clip has none for that task.
    clips : pandas.DataFrame
        The clip table: `clip_id, split` and a column of level codes per task.
    tasks : list of Task
    resamples, seed : int
        Of the intervals; see `affectflow.evaluation.intervals`.

    Returns
    -------
    dict
        The content of metrics.json: ``intervals`` says how they were made; ``splits[split][task]``
        holds the counts, the majority level, the confusion matrix, ``predicts_one_level`` and
        ``metrics[name] = {value, ci_low, ci_high}``. A None has a ``reason`` beside it. A
        ``floor_`` metric is that of always predicting the level which is most frequent in the
        training labels (where there are none, in the labels scored), on the same clips.

    Raises
    ------
    UserError
        If predictions and clip table do not belong together, or a subject is in two splits.
    """
    check(predictions, clips, tasks)
    labelled = predictions[predictions["label"].notna()]
    splits = {}
    for split in SPLITS:
        known = clips[clips["split"] == split]
        if known.empty:
            continue
        splits[split] = {
            task.name: _score(
                labelled[(labelled["split"] == split) & (labelled["task"] == task.name)],
                clips.loc[clips["split"] == "train", task.name].dropna().to_numpy(np.int64),
                int(known[task.name].notna().sum()),
                task,
                resamples,
                seed,
            )
            for task in tasks
        }
    method = {"level": 0.95, "resampled": "subjects", "resamples": resamples, "seed": seed}
    return {"intervals": method, "splits": splits}


def _score(
    rows: pandas.DataFrame,
    train_labels: NDArray[np.int64],
    n_labelled: int,
    task: Task,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    label = rows["label"].to_numpy(np.int64)
    predicted = rows["predicted"].to_numpy(np.int64)
    confusions = subject_confusions(rows["subject"].to_numpy(), label, predicted, len(task.levels))
    majority = _majority(train_labels if train_labels.size else label)
    values = {}
    if label.size:
        values = measure(label, predicted, task)
        if majority is not None:
            floor = measure(label, np.full_like(label, majority), task)
            values |= {f"floor_{name}": floor[name] for name in FLOORS if name in floor}
    found: dict[str, Interval] = {}
    if len(confusions) > 1:
        draws = resample(confusions, resamples, seed)
        found = intervals(draws, task)
        if majority is not None:
            floor_found = intervals(constant(draws, majority), task)
            found |= {f"floor_{name}": floor_found[name] for name in FLOORS if name in floor_found}
    subjects = len(confusions)
    return {
        "kind": task.kind,
        "levels": list(task.levels),
        "n_scored": int(label.size),
        "n_labelled": n_labelled,
        "n_subjects": subjects,
        "majority_level": majority,
        "majority_from": "training labels" if train_labels.size else "scored labels",
        "predicts_one_level": bool(np.unique(predicted).size == 1) if label.size else None,
        "confusion": confusions.sum(axis=0).tolist(),
        "metrics": {
            name: _entry(name, values.get(name), found.get(name), subjects, resamples)
            for name in _reported(task)
        },
    }


def _reported(task: Task) -> list[str]:
    names = []
    for name in metric_names(task):
        names.append(name)
        if name in FLOORS:
            names.append(f"floor_{name}")
    return names


def _majority(labels: NDArray[np.int64]) -> int | None:
    """Return the most frequent level, the lowest of equals; None without labels."""
    return int(np.bincount(labels).argmax()) if labels.size else None


def _entry(
    name: str, value: float | None, interval: Interval | None, subjects: int, resamples: int
) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": None, "ci_low": None, "ci_high": None}
    if value is None:
        entry["reason"] = "no labelled clip was scored"
    elif math.isnan(value):
        entry["reason"] = why_undefined(name)
    else:
        entry["value"] = _rounded(value)
        if interval is None:
            entry["reason"] = f"no interval: {subjects} subject" + "s" * (subjects != 1)
        else:
            entry["ci_low"] = _rounded(interval.low)
            entry["ci_high"] = _rounded(interval.high)
            if interval.defined < resamples:
                entry["resamples_defined"] = interval.defined
    return entry


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # -0.0 becomes 0.0


def check(predictions: pandas.DataFrame, clips: pandas.DataFrame, tasks: list[Task]) -> None:
    """Refuse predictions that do not belong to this clip table.

    Raises
    ------
    UserError
        On an unknown task, a clip scored twice, a level out of range, a label that is not the
        clip table's, or a subject in two splits.
    """
    remedy = "Remove this experiment's folder in results/experiments and run again."
    levels = {task.name: len(task.levels) for task in tasks}
    unknown = set(predictions["task"]) - set(levels)
    if unknown:
        raise UserError(f"predictions: unknown task {', '.join(sorted(unknown))}", remedy)
    twice = predictions.duplicated(["clip_id", "task"])
    if twice.any():
        clip = predictions.loc[twice, "clip_id"].iloc[0]
        raise UserError(f"predictions: clip {clip} is scored twice for one task", remedy)
    for name in ("label", "predicted"):
        codes = predictions[name].astype("Int64")
        beyond = ((codes < 0) | (codes >= predictions["task"].map(levels))).fillna(False)
        if beyond.any():
            clip = predictions.loc[beyond, "clip_id"].iloc[0]
            raise UserError(f"predictions: {name} of clip {clip} is no level of its task", remedy)
    split_counts = predictions.groupby("subject")["split"].nunique()
    if (split_counts > 1).any():
        subject = split_counts.index[split_counts > 1][0]
        raise UserError(
            f"predictions: subject {subject} is in more than one split",
            "Put all clips of a subject in one split.",
        )
    table = clips.set_index("clip_id")
    for task in levels:
        own = predictions[predictions["task"] == task].set_index("clip_id")
        known = table[["split", task]].reindex(own.index)
        labels = own["label"].astype("Int64").fillna(-1)
        same = (labels == known[task].astype("Int64").fillna(-1)) & (own["split"] == known["split"])
        if not same.all():
            clip = own.index[~same][0]
            raise UserError(f"predictions: clip {clip} has another label in the clip table", remedy)


def read_predictions(path: Path) -> pandas.DataFrame:
    """Read predictions.csv; `clip_id` and `subject` as str, `label` as Int64 (missing: none)."""
    kinds = dict.fromkeys(("clip_id", "subject", "split", "task"), "str")
    kinds |= {"label": "Int64", "predicted": "int64"}
    # Only an empty field is missing: a subject may be called "NA".
    return pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json; equal metrics give equal bytes."""
    write_text(path, json.dumps(metrics, indent=2, allow_nan=False) + "\n")


def read_metrics(path: Path) -> dict[str, Any]:
    """Read what `write_metrics` wrote."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content
