"""results.csv: the metrics of all experiments as one tidy table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas

from affectflow.provenance.atomic import atomic

FEWEST_SUBJECTS = 6
"""Below this no interval shows anything: where five subjects of five agree, the two-sided sign test
says p = 0.06."""
NAMES = ("experiment", "split", "state", "metric")
NUMBERS = ("value", "ci_low", "ci_high")
COLUMNS = [*NAMES, *NUMBERS, "n_scored", "n_labelled"]


class Estimate(NamedTuple):
    """A metric and its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float


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
        scored, and with one that has a label. What has no value, or no interval, is NaN.
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
                            *(scores["n_scored"], scores["n_labelled"]),
                        )
                    )
    table = pandas.DataFrame(rows, columns=COLUMNS)
    return table.astype(dict.fromkeys(NUMBERS, "float64"))


def estimates(rows: pandas.DataFrame) -> dict[str, Estimate]:
    """Return by metric what the rows of one experiment, split and state say."""
    numbers = rows[list(NUMBERS)].to_numpy(dtype=float).tolist()
    return {
        str(metric): Estimate(*entry) for metric, entry in zip(rows["metric"], numbers, strict=True)
    }


def write_results(path: Path, table: pandas.DataFrame) -> None:
    """Write results.csv; equal tables give equal bytes."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8f", lineterminator="\n")


def read_results(path: Path) -> pandas.DataFrame:
    """Read what `write_results` wrote."""
    kinds = dict.fromkeys(NAMES, "str")
    kinds |= dict.fromkeys(NUMBERS, "float64")
    # Only an empty field is missing: an experiment may be called "NA".
    return pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
