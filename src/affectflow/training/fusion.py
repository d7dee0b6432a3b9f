"""Late fusion: one prediction from several experiments' (the sum rule of Kittler et al. 1998)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.evaluation.report import read_predictions
from affectflow.training.predict import DECIMALS, fit_decision

log = logging.getLogger(__name__)

KEYS = ["clip_id", "task"]


def fuse(paths: Sequence[Path], tasks: Sequence[Task], rule: str = "mode") -> pandas.DataFrame:
    """Return the mean of several experiments' probabilities, and the levels taken from it.

    Of a real-valued task it is the mean of their numbers.

    Clips that not all of them scored are left out, and the log says how many.

    Parameters
    ----------
    paths : sequence of Path
        Each experiment's predictions.csv; at least two.
    tasks : sequence of Task
    rule : str
        One of `affectflow.temporal.decide.RULES`; thresholds are fitted to the validation split.

    Returns
    -------
    pandas.DataFrame
        As from `affectflow.training.predict.tabulate`.

    Raises
    ------
    UserError
        If the experiments do not agree on a clip's label, split or subject, or share no clip.
    """
    tables = [read_predictions(path).set_index(KEYS) for path in paths]
    shared = tables[0].index
    for table in tables[1:]:
        shared = shared[shared.isin(table.index)]
    if not len(shared):
        raise UserError(f"{paths[0]}: shares no clip with {paths[1]}", "Fuse runs of one study.")
    for path, table in zip(paths, tables, strict=True):
        if left := len(table) - len(shared):
            log.warning("%s: %d of its predictions are not shared: left out", path, left)
    tables = [table.loc[shared] for table in tables]
    for path, table in zip(paths[1:], tables[1:], strict=True):
        for column in ("label", "split", "subject"):
            one, two = (t[column].astype("string").fillna("") for t in (tables[0], table))
            if (one != two).any():
                clip = shared[np.flatnonzero(one != two)[0]][0]
                raise UserError(
                    f"{path}: clip {clip} has another {column} than in {paths[0]}",
                    "Remove both experiments' folders in results/experiments and run again.",
                )
    levels = [name for name in tables[0].columns if name.startswith("p_")]
    fused = tables[0].reset_index()
    fused[levels] = np.mean([table[levels].to_numpy() for table in tables], axis=0).round(DECIMALS)
    for task in tasks:
        own = fused["task"] == task.name
        if task.kind == "real":
            numbers = [table.reset_index().loc[own, "predicted"] for table in tables]
            fused.loc[own, "predicted"] = np.mean(numbers, axis=0).round(DECIMALS)
            continue
        p = fused.loc[own, levels[: len(task.levels)]].to_numpy()
        label = fused.loc[own, "label"]
        known = ((fused.loc[own, "split"] == "validation") & label.notna()).to_numpy()
        decision = fit_decision(rule, task, p[known], label[known].to_numpy(np.int64))
        fused.loc[own, "predicted"] = decision(p)
    columns = ["clip_id", "subject", "split", "task", "label", "predicted", *levels]
    return fused[columns]
