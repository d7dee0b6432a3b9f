"""A run's scores on the test split, in the dissertation's units."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas

from affectflow.published.names import BASELINES, EXPERIMENTS
from affectflow.published.numbers import ACCURACY

NOT_RUN, NOT_SCORED, UNDEFINED = "not run", "not scored", "undefined"
NOT_OURS = "not part of this pipeline"
ONE_LEVEL = "predicts one level"
RANDOM_WEIGHTS = "random weights"
SEVERAL_RUNS = "several runs"
SEPARATOR = "; "


class Seeds(NamedTuple):
    """How many runs a mean is of, and their sample standard deviation (n - 1)."""

    runs: int
    sd: float


class Scores:
    """Looks up what a run scored on its test split.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.
    random_weights : collection of str
        Experiments whose backbone has random weights.
    over_runs : pandas.DataFrame, optional
        As from `evaluation.spread.spread`: of an experiment with several seeds the mean is taken.

    Attributes
    ----------
    experiments : list of str
        Those of the dissertation's experiments that the run has, in their order.
    """

    def __init__(
        self,
        results: pandas.DataFrame,
        random_weights: Collection[str] = (),
        over_runs: pandas.DataFrame | None = None,
    ) -> None:
        self._random = set(random_weights)
        test = results[results["split"] == "test"]
        self._found = {
            (row["experiment"], row["state"], row["metric"]): (
                row["value"],
                row["ci_low"],
                row["ci_high"],
            )
            for row in test.to_dict("records")
        }
        self._warnings = {
            (row["experiment"], row["state"], row["metric"]): row["ci_warning"]
            for row in test.to_dict("records")
        }
        self._seeds: dict[tuple[str, str, str], Seeds] = {}
        self._folds: dict[str, int] = {}
        if over_runs is not None:
            for row in over_runs[over_runs["split"] == "test"].to_dict("records"):
                key = (row["experiment"], row["state"], row["metric"])
                if row["over"] == "folds":
                    # All folds together stand in the results.
                    self._folds[row["experiment"]] = int(row["runs"])
                    continue
                # Of a mean over seeds there is no interval over subjects.
                self._found[key] = (row["mean"], np.nan, np.nan)
                self._seeds[key] = Seeds(int(row["runs"]), row["sd"])
        run = {*results["experiment"], *(experiment for experiment, _, _ in self._seeds)}
        self.experiments = [name for name in EXPERIMENTS if name in run]

    def value(self, experiment: str, state: str, metric: str) -> float:
        """Return a metric as results.csv has it; NaN where it has none."""
        return self._found.get((experiment, state, metric), (np.nan,))[0]

    def is_random(self, experiment: str) -> bool:
        """Return whether an experiment was run, on a backbone with random weights."""
        return experiment in self._random and experiment in self.experiments

    def seeds(self, experiment: str, state: str, metric: str) -> Seeds | None:
        """Return of how many seeds a metric is the mean, as results.csv has it; else None."""
        return self._seeds.get((experiment, state, metric))

    def folds(self, experiment: str) -> int:
        """Return in how many folds all subjects were tested; 0 for the test split alone."""
        # Those of an experiment with several seeds are its runs'.
        runs = (name for name in self._folds if name.startswith(f"{experiment}-seed_"))
        return self._folds.get(next(runs, experiment), 0)

    def ours(self, experiment: str, state: str, metric: str) -> dict[str, Any]:
        """Return `ours, ci_low, ci_high` and, in words, `ours_note`.

        Several things that are to be said of a number have `SEPARATOR` between them. Of a mean over
        seeds the sample standard deviation is said, in the number's unit.

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
            says = SEPARATOR.join(self._flags(experiment, state, metric, name, unit))
        return {"ours": value, "ci_low": low, "ci_high": high, "ours_note": says}

    def _flags(self, experiment: str, state: str, metric: str, name: str, unit: int) -> list[str]:
        flags = [RANDOM_WEIGHTS] if self.is_random(experiment) else []
        if seeds := self.seeds(experiment, state, name):
            decimals = 2 if metric == ACCURACY else 3
            flags.append(f"{seeds.runs} seeds ± {unit * seeds.sd:.{decimals}f}")
        if folds := self.folds(experiment):
            flags.append(f"{folds} folds, all subjects tested")
        if warning := self._warnings.get((experiment, state, name)):
            flags.append(warning.split(":")[0])
        if metric == ACCURACY:
            collapsed = self.value(experiment, state, "collapsed")
            if collapsed == 1:
                flags.append(ONE_LEVEL)
            elif collapsed > 0 and (seeds := self.seeds(experiment, state, "collapsed")):
                flags.append(f"{ONE_LEVEL} in {round(collapsed * seeds.runs)} of {seeds.runs}")
        return flags
