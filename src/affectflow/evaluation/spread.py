"""How far a result moves with the seed of its training alone, or from fold to fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas

KEYS = ["experiment", "split", "state", "metric"]
COLUMNS = [*KEYS, "mean", "sd", "min", "max", "runs", "over"]


def spread(
    results: pandas.DataFrame, repeated: Mapping[str, Sequence[str]], over: str = "seeds"
) -> pandas.DataFrame:
    """Return the mean and spread of each metric over the runs of repeated experiments.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.
    repeated : mapping
        Experiment -> its runs, as `results` names them.
    over : {"seeds", "folds"}
        What the runs of an experiment differ in.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``sd`` is the sample's (n - 1); ``runs`` counts those where the metric is
        defined. Over seeds it says how sure one is of the training, not of the subjects: for that
        each run has its interval. Over folds both move.
    """
    parts = []
    for experiment, runs in repeated.items():
        own = results[results["experiment"].isin(list(runs))]
        grouped = own.groupby(KEYS[1:], sort=False)["value"]
        found = grouped.agg(["mean", "std", "min", "max", "count"]).reset_index()
        found = found.rename(columns={"std": "sd", "count": "runs"})
        parts.append(found.assign(experiment=experiment, over=over)[COLUMNS])
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=COLUMNS)


def read_spread(path: Path) -> pandas.DataFrame:
    """Read spread.csv, which has no rows where no experiment has several runs."""
    kinds = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys([*KEYS, "over"], "str")
    # Only an empty field is missing: an experiment may be called "NA".
    return pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
