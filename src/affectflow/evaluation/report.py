"""What metrics.json says of one experiment: every metric, its interval and its floor."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.dataset.records import SPLITS
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.evaluation import floors, real
from affectflow.evaluation.intervals import (
    Interval,
    from_confusion,
    intervals,
    lost,
    occurring,
    resample,
    subject_confusions,
)
from affectflow.evaluation.metrics import measure, metric_names, why_undefined
from affectflow.evaluation.probabilities import from_sums, subject_sums
from affectflow.evaluation.swap import swap_test
from affectflow.provenance.atomic import write_text

DIGITS = 8
# Epochs, thresholds and members of sweeps are chosen on the validation split, and training fits its
# own: what was chosen there is better there by luck as well, and no p-value can say by how much.
TESTED = "test"
# Probabilities are written with 6 decimals; a sum further from 1 is no rounding.
SUM_TOLERANCE = 1e-3


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
        A row per scored clip and task: `clip_id, subject, split, task, label, predicted`, and
        `p_0` to `p_(K - 1)` for a task of K levels; `label` is missing where the clip has none for
        that task. Predictions without a column `p_0` have no scores of probabilities.
    clips : pandas.DataFrame
        The clip table: `clip_id, subject, split` and a column of level codes per task.
    tasks : list of Task
    resamples, seed : int
        Of the intervals; see `affectflow.evaluation.intervals`. The seed is the random floor's too.

    Returns
    -------
    dict
        The content of metrics.json: ``intervals`` and ``random_floor`` say how they were made;
        ``splits[split][task]`` holds the counts, ``subjects`` (how many of each subject's clips
        are labelled, and how many of these were scored), the majority level, the confusion matrix,
        ``predicts_one_level`` and ``metrics[name] = {value, ci_low, ci_high}``. A None has a
        ``reason`` beside it, an interval from fewer resamples ``resamples_defined``, and where
        more than `intervals.MOST_LOST` of them are lost a ``ci_warning``. On the test split
        ``p_floor`` says how easily one that never looks differs as much (`floors.p_floor`).

        A ``floor_`` metric is that of always predicting the level which is most frequent in the
        training labels (where there are none, in the labels scored), on the same clips; a
        ``random_`` metric is the mean of drawing levels with their shares of those labels. See
        `affectflow.evaluation.floors`. A real-valued task has the metrics of
        `affectflow.evaluation.real`, and as its floor the mean of the training labels.

    Raises
    ------
    UserError
        If predictions and clip table do not belong together, or a subject is in two splits.
    """
    check(predictions, clips, tasks)
    # In a fixed order, so that sums of probabilities are the same to the last bit.
    labelled = predictions[predictions["label"].notna()].sort_values("clip_id")
    splits = {}
    for split in SPLITS:
        known = clips[clips["split"] == split]
        if known.empty:
            continue
        splits[split] = {
            task.name: _score(
                labelled[(labelled["split"] == split) & (labelled["task"] == task.name)],
                known[known[task.name].notna()],
                clips.loc[clips["split"] == "train", task.name]
                .dropna()
                .to_numpy(np.float64 if task.kind == "real" else np.int64),
                task,
                resamples,
                seed,
                test=split == TESTED,
            )
            for task in tasks
        }
    return {
        "intervals": {"level": 0.95, "resampled": "subjects", "resamples": resamples, "seed": seed},
        "random_floor": {"draws": floors.DRAWS, "seed": seed},
        "splits": splits,
    }


def _score(
    rows: pandas.DataFrame,
    known: pandas.DataFrame,
    train_labels: NDArray[Any],
    task: Task,
    resamples: int,
    seed: int,
    test: bool,
) -> dict[str, Any]:
    scores = (_of_numbers if task.kind == "real" else _of_levels)(
        rows, train_labels, task, resamples, seed, test
    )
    labelled = known["subject"].value_counts().sort_index()
    scored = rows["subject"].value_counts().reindex(labelled.index, fill_value=0)
    subjects = int((scored > 0).sum())
    return {
        "kind": task.kind,
        "levels": list(task.levels),
        "n_scored": len(rows),
        "n_labelled": len(known),
        "n_subjects": subjects,
        "subjects": {"n_labelled": labelled.to_dict(), "n_scored": scored.to_dict()},
        "majority_level": scores.majority,
        "majority_from": "training labels" if train_labels.size else "scored labels",
        "predicts_one_level": bool(rows["predicted"].nunique() == 1) if len(rows) else None,
        "confusion": scores.confusion,
        "metrics": {
            name: _entry(
                *(name, scores.values, scores.found.get(name), scores.p.get(name)),
                *(subjects, resamples),
            )
            for name in _reported(task)
        },
    }


@dataclass
class _Scores:
    """Values, intervals and p-values by metric, and what else is said of a task."""

    values: dict[str, float] = field(default_factory=dict)
    found: dict[str, Interval] = field(default_factory=dict)
    p: dict[str, float] = field(default_factory=dict)
    majority: int | None = None
    confusion: list[list[int]] = field(default_factory=list)


def _of_levels(
    rows: pandas.DataFrame,
    train_labels: NDArray[np.int64],
    task: Task,
    resamples: int,
    seed: int,
    test: bool,
) -> _Scores:
    subject = rows["subject"].to_numpy()
    label = rows["label"].to_numpy(np.int64)
    predicted = rows["predicted"].to_numpy(np.int64)
    levels = len(task.levels)
    scores = _Scores()
    seen = train_labels if train_labels.size else label
    if seen.size:
        share = floors.shares(seen, levels)
        scores.majority = int(share.argmax())  # the lowest of equals
    if label.size:
        probability = _probability(rows, task)
        values, found = _measure(subject, label, predicted, probability, task, resamples, seed)
        always = np.full_like(label, scores.majority)
        blind = np.tile(share, (label.size, 1))
        floor, floor_found = _measure(subject, label, always, blind, task, resamples, seed)
        drawn = floors.random_floor(label, share, task, seed)
        values |= {f"floor_{name}": floor[name] for name in floors.MAJORITY if name in floor}
        values |= {f"random_{name}": value for name, value in drawn.items()}
        found |= {f"floor_{name}": interval for name, interval in floor_found.items()}
        scores.values, scores.found = values, found
    confusions = subject_confusions(subject, label, predicted, levels)
    if test and len(confusions) > 1:
        scores.p = floors.p_floor(confusions, share, task, seed)
    scores.confusion = confusions.sum(axis=0).tolist()
    return scores


def _of_numbers(
    rows: pandas.DataFrame,
    train_labels: NDArray[np.float64],
    task: Task,
    resamples: int,
    seed: int,
    test: bool,
) -> _Scores:
    """As `_of_levels`; the floor is the mean of the training labels."""
    scores = _Scores()
    if rows.empty:
        return scores
    subject, label = rows["subject"].to_numpy(), rows["label"].to_numpy(np.float64)
    mean = (train_labels if train_labels.size else label).mean()
    own = real.subject_sums(subject, label, rows["predicted"].to_numpy(np.float64))
    floor = real.subject_sums(subject, label, np.full_like(label, mean))
    for prefix, sums in (("", own), ("floor_", floor)):
        values = real.from_sums(sums.sum(axis=0))
        scores.values |= {f"{prefix}{name}": float(value) for name, value in values.items()}
        if len(sums) > 1:
            found = intervals(real.from_sums(resample(sums, resamples, seed)))
            scores.found |= {f"{prefix}{name}": interval for name, interval in found.items()}
    if test and len(own) > 1:
        floor, own = real.in_deviations(floor), real.in_deviations(own)
        scores.p = swap_test(floor, own, real.from_sums, seed).p
    return scores


def _probability(rows: pandas.DataFrame, task: Task) -> NDArray[np.float64] | None:
    if "p_0" not in rows:
        return None
    return rows[[f"p_{level}" for level in range(len(task.levels))]].to_numpy(np.float64)


def _measure(
    subject: NDArray[np.object_],
    label: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probability: NDArray[np.float64] | None,
    task: Task,
    resamples: int,
    seed: int,
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return each metric of a predictor, be it a model or a floor, and its interval."""
    confusions = subject_confusions(subject, label, predicted, len(task.levels))
    values = measure(label, predicted, task)
    levels = occurring(confusions)
    resampled = from_confusion(resample(confusions, resamples, seed), task, levels)
    if probability is not None:
        sums = subject_sums(subject, label, predicted, probability)
        scores = from_sums(sums.sum(axis=0), task)
        values |= {name: float(score) for name, score in scores.items()}
        resampled |= from_sums(resample(sums, resamples, seed), task)
    return values, intervals(resampled) if len(confusions) > 1 else {}


def _reported(task: Task) -> list[str]:
    names = []
    for name in metric_names(task):
        names.append(name)
        if task.kind == "real":
            names += [f"floor_{name}"] * (name in real.FLOORS)
            continue
        names += [f"floor_{name}"] * (name in floors.MAJORITY)
        names += [f"random_{name}"] * (name in floors.RANDOM)
    return names


def _entry(
    name: str,
    values: dict[str, float],
    interval: Interval | None,
    p: float | None,
    subjects: int,
    resamples: int,
) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": None, "ci_low": None, "ci_high": None}
    if not subjects:
        entry["reason"] = "no labelled clip was scored"
    elif name not in values:
        entry["reason"] = "the predictions have no probabilities"
    elif math.isnan(values[name]):
        entry["reason"] = why_undefined(name)
    else:
        entry["value"] = _rounded(values[name])
        if interval is not None:
            entry["ci_low"] = _rounded(interval.low)
            entry["ci_high"] = _rounded(interval.high)
            if interval.defined < resamples:
                entry["resamples_defined"] = interval.defined
            if warning := lost(interval.defined, resamples):
                entry["ci_warning"] = warning
        elif name.startswith("random_"):
            entry["reason"] = "no interval: a mean over draws"
        elif subjects > 1:
            entry["reason"] = lost(0, resamples) or "no interval: 0 resamples"
        else:
            entry["reason"] = "no interval: 1 subject"
        if p is not None and not math.isnan(p):
            entry["p_floor"] = _rounded(p)
    return entry


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # -0.0 becomes 0.0


def check(predictions: pandas.DataFrame, clips: pandas.DataFrame, tasks: list[Task]) -> None:
    """Refuse predictions that do not belong to this clip table.

    Raises
    ------
    UserError
        On an unknown task, a clip scored twice, a level out of range, probabilities that are not
        those of a task's levels, a label, split or subject that is not the clip table's, or a
        subject in two splits.
    """
    remedy = "Remove this experiment's folder in results/experiments and run again."
    levels = {task.name: len(task.levels) for task in tasks if task.kind != "real"}
    unknown = set(predictions["task"]) - {task.name for task in tasks}
    if unknown:
        raise UserError(f"predictions: unknown task {', '.join(sorted(unknown))}", remedy)
    twice = predictions.duplicated(["clip_id", "task"])
    if twice.any():
        clip = predictions.loc[twice, "clip_id"].iloc[0]
        raise UserError(f"predictions: clip {clip} is scored twice for one task", remedy)
    for name in ("label", "predicted"):
        codes = predictions.loc[predictions["task"].isin(list(levels)), ["clip_id", "task", name]]
        most = codes["task"].map(levels)
        beyond = (codes[name] < 0) | (codes[name] >= most) | (codes[name] % 1 > 0)
        beyond = beyond.fillna(False).astype(bool)
        if beyond.any():
            clip = codes.loc[beyond, "clip_id"].iloc[0]
            raise UserError(f"predictions: {name} of clip {clip} is no level of its task", remedy)
    if "p_0" in predictions:
        _check_probabilities(predictions, levels, remedy)
    split_counts = predictions.groupby("subject")["split"].nunique()
    if (split_counts > 1).any():
        subject = split_counts.index[split_counts > 1][0]
        raise UserError(
            f"predictions: subject {subject} is in more than one split",
            "Put all clips of a subject in one split.",
        )
    table = clips.set_index("clip_id")
    for task in (each.name for each in tasks):
        own = predictions[predictions["task"] == task].set_index("clip_id")
        known = table[["subject", "split", task]].reindex(own.index)
        labels, given = (
            column.to_numpy(np.float64, na_value=np.nan) for column in (own["label"], known[task])
        )
        same = (
            # pandas reads a number's last digit as it comes.
            pandas.Series(np.isclose(labels, given, 1e-9, 0, equal_nan=True), own.index)
            & (own["split"] == known["split"])
            & (own["subject"] == known["subject"])
        )
        if not same.all():
            clip = own.index[~same][0]
            raise UserError(
                f"predictions: clip {clip} has another label, split or subject in the clip table",
                remedy,
            )


def _check_probabilities(
    predictions: pandas.DataFrame, levels: dict[str, int], remedy: str
) -> None:
    for task, count in levels.items():
        own = predictions[predictions["task"] == task]
        names = [f"p_{level}" for level in range(count)]
        probability = own.reindex(columns=names).to_numpy(np.float64)
        within = ((probability >= 0) & (probability <= 1)).all(axis=1)
        sound = within & (np.abs(probability.sum(axis=1) - 1) <= SUM_TOLERANCE)
        if not sound.all():
            clip = own.loc[~sound, "clip_id"].iloc[0]
            raise UserError(
                f"predictions: the probabilities of clip {clip} for {task} are no {count} numbers "
                "that add up to 1",
                remedy,
            )


def read_predictions(path: Path) -> pandas.DataFrame:
    """Read predictions.csv; `clip_id` and `subject` as str, `label` as Int64 (missing: none).

    With a real-valued task `label` is Float64, and `predicted` float64.
    """
    kinds = dict.fromkeys(("clip_id", "subject", "split", "task"), "str")
    kinds |= {"label": "Float64", "predicted": "float64"}
    # Only an empty field is missing: a subject may be called "NA".
    table = pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    if not ((table["label"].dropna() % 1 > 0).any() or (table["predicted"] % 1 > 0).any()):
        table = table.astype({"label": "Int64", "predicted": "int64"})
    return table


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json; equal metrics give equal bytes."""
    write_text(path, json.dumps(metrics, indent=2, allow_nan=False) + "\n")


def read_metrics(path: Path) -> dict[str, Any]:
    """Read what `write_metrics` wrote."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content
