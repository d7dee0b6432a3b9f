"""How far a result moves with the seed of its training alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas

KEYS = ["experiment", "split", "state", "metric"]
COLUMNS = [*KEYS, "mean", "sd", "min", "max", "seeds"]


def spread(results: pandas.DataFrame, repeated: Mapping[str, Sequence[str]]) -> pandas.DataFrame:
    """Return the mean and spread of each metric over the seeds of repeated experiments.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.
    repeated : mapping
        Experiment -> its runs, as `results` names them.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``sd`` is the sample's (n - 1); ``seeds`` counts the runs where the metric is
        defined. It says how sure one is of the training, not of the subjects: for that each run
        has its interval.
    """
    parts = []
    for experiment, runs in repeated.items():
        own = results[results["experiment"].isin(list(runs))]
        grouped = own.groupby(KEYS[1:], sort=False)["value"]
        found = grouped.agg(["mean", "std", "min", "max", "count"]).reset_index()
        found = found.rename(columns={"std": "sd", "count": "seeds"})
        parts.append(found.assign(experiment=experiment)[COLUMNS])
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=COLUMNS)


def read_spread(path: Path) -> pandas.DataFrame:
    """Read spread.csv, which has no rows where no experiment has several seeds."""
    kinds = dict.fromkeys(KEYS, "str") | dict.fromkeys(COLUMNS[len(KEYS) :], "float64")
    # Only an empty field is missing: an experiment may be called "NA".
    return pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
