"""results.csv: the metrics of all experiments as one tidy table."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas

from affectflow.provenance.atomic import atomic

SIGNIFICANT = 0.05
LESS_IS_BETTER = ("mae", "mse")
NAMES = ("experiment", "split", "state", "metric")
NUMBERS = ("value", "ci_low", "ci_high")
WARNING, P = "ci_warning", "p_floor"
COLUMNS = [*NAMES, *NUMBERS, WARNING, P, "n_scored", "n_labelled"]


class Estimate(NamedTuple):
    """A metric and its 95% interval, what that lacks in words, and p against the floors.

    Numbers are NaN where there is none.
    """

    value: float
    low: float
    high: float
    warning: str
    p: float


def results_table(experiments: dict[str, dict[str, Any]]) -> pandas.DataFrame:
    """Lay the metrics of several experiments side by side.

    Parameters
    ----------
    experiments : dict of str to dict
        What `report.evaluate` returned, by experiment.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, in the order of the experiments, splits, states and metrics given. `metric`
        ``collapsed`` is 1 where the experiment predicts one level for every clip of a split;
        ``subjects_scored`` and ``subjects_labelled`` count the subjects with a clip that was
        scored, and with one that has a label. What has no value, or no interval, is NaN;
        ``ci_warning`` is empty where nothing is wrong with an interval, and ``p_floor`` is NaN
        beyond the test split.
    """
    rows = []
    for experiment, metrics in experiments.items():
        for split, states in metrics["splits"].items():
            for state, scores in states.items():
                collapsed = scores["predicts_one_level"]
                counts = {
                    "collapsed": None if collapsed is None else int(collapsed),
                    "subjects_scored": scores["n_subjects"],
                    "subjects_labelled": len(scores["subjects"]["n_labelled"]),
                }
                more = {name: {"value": count} for name, count in counts.items()}
                for metric, entry in (scores["metrics"] | more).items():
                    rows.append(
                        (
                            *(experiment, split, state, metric),
                            *(entry.get(key) for key in NUMBERS),
                            *(entry.get(WARNING, ""), entry.get(P)),
                            *(scores["n_scored"], scores["n_labelled"]),
                        )
                    )
    table = pandas.DataFrame(rows, columns=COLUMNS)
    return table.astype(dict.fromkeys([*NUMBERS, P], "float64"))


def estimates(rows: pandas.DataFrame) -> dict[str, Estimate]:
    """Return by metric what the rows of one experiment, split and state say."""
    columns = rows[["metric", *NUMBERS, WARNING, P]].itertuples(index=False)
    return {str(metric): Estimate(*entry) for metric, *entry in columns}


def floors_of(found: Mapping[str, Estimate], metric: str) -> tuple[float, float]:
    """Return what the majority and the random floor score; NaN where that is undefined."""
    always, drawn = (found.get(f"{floor}_{metric}") for floor in ("floor", "random"))
    least = 0.0 if metric == "kappa" else nan
    return always.value if always else least, drawn.value if drawn else nan


def is_above(found: Mapping[str, Estimate], metric: str) -> bool:
    """Return whether an experiment has been shown to do better than both floors.

    Its whole interval is above both, and exchanging predictions with either floor, subject by
    subject, seldom makes such a difference. The interval alone is too narrow where subjects are
    few, or where a level is of few; for five subjects or fewer nothing is shown.
    """
    if metric in LESS_IS_BETTER:
        return False
    own = found[metric]
    highest = max((floor for floor in floors_of(found, metric) if not isnan(floor)), default=nan)
    return own.low > highest and own.p < SIGNIFICANT


def write_results(path: Path, table: pandas.DataFrame) -> None:
    """Write results.csv; equal tables give equal bytes."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8f", lineterminator="\n")


def read_results(path: Path) -> pandas.DataFrame:
    """Read what `write_results` wrote."""
    kinds = dict.fromkeys([*NAMES, WARNING], "str")
    kinds |= dict.fromkeys([*NUMBERS, P], "float64")
    # Only an empty field is missing: an experiment may be called "NA".
    table = pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    return table.fillna({WARNING: ""})
