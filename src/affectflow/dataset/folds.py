"""Subjects dealt to folds: cross-validation in which every subject is tested once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic

if TYPE_CHECKING:
    import pandas


def deal(clips: pandas.DataFrame, tasks: Sequence[Task], folds: int, seed: int) -> dict[str, int]:
    """Deal the subjects to folds that are alike in size and in levels.

    As scikit-learn's ``StratifiedGroupKFold``, but for several tasks at once: subjects, those with
    the most clips first and the seed deciding among equals, go one by one to the fold that leaves
    the shares of clips and of every task's every level most even over the folds (the least sum of
    variances). The splits that the data set came with play no part.

    Parameters
    ----------
    clips : pandas.DataFrame
        What `affectflow.dataset.clips.read_clips` returns.
    tasks : sequence of Task
    folds : int
    seed : int

    Returns
    -------
    dict
        Subject -> its fold, from 1.

    Raises
    ------
    UserError
        If there are fewer subjects than folds.
    """
    clips = clips.sort_values("clip_id")
    subjects, whose = np.unique(clips["subject"].to_numpy(str), return_inverse=True)
    if len(subjects) < folds:
        raise UserError(
            f"folds: {folds} folds of {len(subjects)} subjects",
            "Set folds to at most the number of subjects.",
        )
    counts = _counts(clips, tasks, whose, len(subjects))
    share = counts / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(subjects))
    order = order[np.argsort(-counts[order, 0], kind="stable")]
    held = np.zeros((folds, share.shape[1]))
    dealt: dict[str, int] = {}
    for who in order:
        after = held + share[who] * np.eye(folds)[:, :, None]  # (candidate, fold, column)
        uneven = after.var(axis=1).sum(axis=1)
        # The last subjects fill what folds are still empty.
        empty = ~held.any(axis=1)
        if len(subjects) - len(dealt) <= empty.sum():
            uneven[~empty] = np.inf
        chosen = int(uneven.argmin())
        held[chosen] += share[who]
        dealt[str(subjects[who])] = chosen + 1
    return dealt


def _counts(
    clips: pandas.DataFrame, tasks: Sequence[Task], whose: NDArray[np.int64], subjects: int
) -> NDArray[np.float64]:
    """Return (subjects, columns): the clips of each subject, then those of each task's levels."""
    columns = [np.ones(len(clips))]
    for task in tasks:
        level, levels = _levels(clips[task.name], task)
        columns += [(level == code).astype(np.float64) for code in range(levels)]
    return np.stack([np.bincount(whose, column, subjects) for column in columns], axis=1)


def _levels(labels: pandas.Series, task: Task) -> tuple[NDArray[np.int64], int]:
    """Return level codes, -1 where there is no label, and how many levels there are.

    Those of a real-valued task are the quarters of its labels.
    """
    if task.kind != "real":
        return labels.fillna(-1).to_numpy(np.int64), len(task.levels)
    values = labels.to_numpy(np.float64, na_value=np.nan)
    known = ~np.isnan(values)
    level = np.full(len(values), -1, np.int64)
    if known.any():
        level[known] = np.searchsorted(np.quantile(values[known], [0.25, 0.5, 0.75]), values[known])
    return level, 4


def of_fold(
    clips: pandas.DataFrame, dealt: dict[str, int], fold: int | None, folds: int
) -> pandas.DataFrame:
    """Return the clip table with other splits.

    Parameters
    ----------
    clips : pandas.DataFrame
    dealt : dict
        What `deal` returned.
    fold : int or None
        From 1: its subjects are tested, the next fold's (after the last the first's) validate, all
        others are trained on. None: every clip is in the test split, as when all folds are done.
    folds : int

    """
    if fold is None:
        return clips.assign(split="test")
    own = clips["subject"].map(dealt)
    split = np.select([own == fold, own == fold % folds + 1], ["test", "validation"], "train")
    return clips.assign(split=split)


def write_clips(clips: pandas.DataFrame, path: Path) -> None:
    """Write a clip table as `affectflow.dataset.clips.read_clips` reads it."""
    with atomic(path) as temporary:
        clips.to_csv(temporary, index=False, lineterminator="\n")
