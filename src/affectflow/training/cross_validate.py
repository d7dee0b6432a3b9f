"""One prediction of every subject, from runs that each left some subjects out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas

from affectflow.errors import UserError
from affectflow.evaluation.report import read_predictions


def gather(paths: Sequence[Path]) -> pandas.DataFrame:
    """Return what each run predicts for the subjects that it tests, all as test clips.

    Parameters
    ----------
    paths : sequence of Path
        Each fold's predictions.csv.

    Returns
    -------
    pandas.DataFrame
        As from `affectflow.training.predict.tabulate`, by clip id.

    Raises
    ------
    UserError
        If a subject is tested by two runs, or there is nothing that is tested.
    """
    tables = [read_predictions(path) for path in paths]
    tested = [table[table["split"] == "test"] for table in tables]
    seen: dict[str, Path] = {}
    for path, table in zip(paths, tested, strict=True):
        for subject in table["subject"].unique():
            if subject in seen:
                raise UserError(
                    f"{path}: subject {subject} is tested in {seen[subject]} too",
                    "Remove these folds' folders in results/experiments and run again.",
                )
            seen[subject] = path
    if not seen:
        raise UserError(
            f"{paths[0]}: no fold has a test clip that was scored",
            "Look at results/dataset/audit.csv for what became of the clips.",
        )
    gathered = pandas.concat(tested, ignore_index=True)
    return gathered.sort_values("clip_id", kind="stable", ignore_index=True)
