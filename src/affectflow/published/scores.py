"""A run's scores on the test split, in the dissertation's units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas

from affectflow.published.names import BASELINES, EXPERIMENTS
from affectflow.published.numbers import ACCURACY

NOT_RUN, NOT_SCORED, UNDEFINED = "not run", "not scored", "undefined"
NOT_OURS = "not part of this pipeline"
ONE_LEVEL = "predicts one level"


class Scores:
    """Looks up what a run scored on its test split.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.

    Attributes
    ----------
    experiments : list of str
        Those of the dissertation's experiments that the run has, in their order.
    """

    def __init__(self, results: pandas.DataFrame) -> None:
        run = set(results["experiment"])
        self.experiments = [name for name in EXPERIMENTS if name in run]
        test = results[results["split"] == "test"]
        self._found = {
            (row["experiment"], row["state"], row["metric"]): (
                row["value"],
                row["ci_low"],
                row["ci_high"],
            )
            for row in test.to_dict("records")
        }

    def value(self, experiment: str, state: str, metric: str) -> float:
        """Return a metric as results.csv has it; NaN where it has none."""
        return self._found.get((experiment, state, metric), (np.nan,))[0]

    def ours(self, experiment: str, state: str, metric: str) -> dict[str, Any]:
        """Return `ours, ci_low, ci_high` and, in words, `ours_note`.

        Parameters
        ----------
        experiment, state : str
        metric : str
            One of `numbers.METRICS`: accuracy is in per cent, F1 from 0 to 1.
        """
        name, unit = ("accuracy", 100) if metric == ACCURACY else (metric, 1)
        found = self._found.get((experiment, state, name), (np.nan,) * 3)
        value, low, high = (unit * number for number in found)
        if experiment in BASELINES:
            says = NOT_OURS
        elif experiment not in self.experiments:
            says = NOT_RUN
        elif np.isnan(self.value(experiment, state, "accuracy")):
            says = NOT_SCORED
        elif np.isnan(value):
            says = UNDEFINED
        else:
            constant = metric == ACCURACY and self.value(experiment, state, "collapsed") == 1
            says = ONE_LEVEL if constant else ""
        return {"ours": value, "ci_low": low, "ci_high": high, "ours_note": says}
