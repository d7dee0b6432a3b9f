"""Any two experiments against each other, on the clips that both scored.

Two intervals that overlap do not show that two experiments are equal: both move with the same
subjects, and a difference moves less than its parts. So each pair is compared on its common clips,
and both meet the same draws of subjects (`affectflow.evaluation.intervals`).

``p`` belongs to the percentile interval: twice the smaller share of resamples on either side of no
difference, which is the level at which the interval's end touches 0 (Efron and Tibshirani 1993, An
Introduction to the Bootstrap, section 15.4). A count c of R resamples makes a share of
(c + 1) / (R + 1), as in any Monte Carlo test, so p is never 0 (Davison and Hinkley 1997, Bootstrap
Methods, equation 4.11). ``p_holm`` is p after Holm's step-down correction for all pairs of the same
split, state and metric (Holm 1979, Scandinavian Journal of Statistics 6, 65-70): below 0.05, the
chance of even one false claim among those pairs is at most 5%, however the pairs depend on each
other. Without it, two or three of the 55 pairs of eleven equal experiments would seem to differ.
"""

from __future__ import annotations

import logging
from itertools import combinations
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task
from affectflow.evaluation.intervals import (
    PERCENTILES,
    from_confusion,
    resample,
    subject_confusions,
)
from affectflow.evaluation.report import DIGITS, check

log = logging.getLogger(__name__)

SPLITS = ("test", "validation")
METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "kappa", "mae")
NAMES = ("first", "second", "split", "state", "metric")
NUMBERS = ("difference", "ci_low", "ci_high", "p", "p_holm")
COLUMNS = [*NAMES, *NUMBERS, "n_clips", "n_subjects", "n_labelled"]
# The least p is 2 / (resamples + 1). With so many resamples per pair, Holm's factor, the number of
# pairs, leaves it at 0.01; with 1,000 for 55 pairs it would be 0.11, and nothing could be shown.
RESAMPLES_PER_PAIR = 200
NOT_SCORED = -1


def compare(
    predictions: dict[str, pandas.DataFrame],
    clips: pandas.DataFrame,
    tasks: list[Task],
    resamples: int = 1000,
    seed: int = 1,
) -> pandas.DataFrame:
    """Compare every two experiments.

    Parameters
    ----------
    predictions : dict of str to pandas.DataFrame
        By experiment, as `report.evaluate` takes them. In a pair, the first stands before the
        second here.
    clips : pandas.DataFrame
        The clip table: `clip_id, subject, split` and a column of level codes per task.
    tasks : list of Task
    resamples, seed : int
        Of the intervals. With many pairs more resamples are drawn: `RESAMPLES_PER_PAIR` for each.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per pair, split, state and metric. ``difference`` is the second's value
        minus the first's on the ``n_clips`` clips of ``n_subjects`` subjects that both scored, of
        the split's ``n_labelled`` labelled ones; ``ci_low`` and ``ci_high`` bound its middle 95%
        over resamples. Of ``mae`` less is better. What is undefined is NaN: kappa where all is one
        level, and intervals and p with fewer than two subjects. Empty with fewer than two
        experiments.

    Raises
    ------
    UserError
        If predictions and clip table do not belong together; see `report.check`.
    """
    for own in predictions.values():
        check(own, clips, tasks)
    pairs = len(predictions) * (len(predictions) - 1) // 2
    resamples = max(resamples, RESAMPLES_PER_PAIR * pairs)
    log.info("%d pairs of experiments, %d resamples of subjects each", pairs, resamples)
    rows = []
    for split in SPLITS:
        known = clips[clips["split"] == split]
        if known.empty:
            continue
        for task in tasks:
            scored = _Scored(predictions, known[known[task.name].notna()], task, resamples, seed)
            for first, second in combinations(predictions, 2):
                names = {"first": first, "second": second, "split": split, "state": task.name}
                rows += [names | row for row in scored.pair(first, second)]
    table = pandas.DataFrame(rows, columns=COLUMNS)
    families = table.groupby(["split", "state", "metric"], sort=False)
    table["p_holm"] = families["p"].transform(lambda family: holm(family.to_numpy(np.float64)))
    numbers = table[list(NUMBERS)].astype("float64").round(DIGITS)
    return table.assign(**(numbers + 0.0))  # -0.0 becomes 0.0


class _Scored:
    """All experiments' predictions of one split and task, on the split's labelled clips."""

    def __init__(
        self,
        predictions: dict[str, pandas.DataFrame],
        labelled: pandas.DataFrame,
        task: Task,
        resamples: int,
        seed: int,
    ) -> None:
        self.task, self.resamples, self.seed = task, resamples, seed
        self.subject = labelled["subject"].to_numpy(object)
        self.label = labelled[task.name].to_numpy(np.int64)
        self.predicted = {
            name: own[own["task"] == task.name]
            .set_index("clip_id")["predicted"]
            .reindex(labelled["clip_id"], fill_value=NOT_SCORED)
            .to_numpy(np.int64)
            for name, own in predictions.items()
        }
        # Most experiments score the same clips: one resampling of each serves all of its pairs.
        self.found: dict[tuple[str, bytes], dict[str, NDArray[np.float64]]] = {}

    def pair(self, first: str, second: str) -> list[dict[str, Any]]:
        """Return a row per metric of one pair."""
        both = (self.predicted[first] != NOT_SCORED) & (self.predicted[second] != NOT_SCORED)
        one, other = self._metrics(first, both), self._metrics(second, both)
        counts = {
            "n_clips": int(both.sum()),
            "n_subjects": len(np.unique(self.subject[both])),
            "n_labelled": len(both),
        }
        return [
            {"metric": metric, **_difference(other[metric] - one[metric]), **counts}
            for metric in one
        ]

    def _metrics(self, name: str, clips: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        """Return each metric on some clips, then in each resample of their subjects.

        Arrays of shape (1 + resamples,); (1,) with fewer than two subjects.
        """
        key = (name, clips.tobytes())
        if key not in self.found:
            confusions = subject_confusions(
                self.subject[clips],
                self.label[clips],
                self.predicted[name][clips],
                len(self.task.levels),
            )
            stack = confusions.sum(axis=0, keepdims=True)
            if len(confusions) > 1:
                draws = resample(confusions, self.resamples, self.seed)
                stack = np.concatenate([stack, draws])
            values = from_confusion(stack, self.task)
            self.found[key] = {name: values[name] for name in METRICS if name in values}
        return self.found[key]


def _difference(values: NDArray[np.float64]) -> dict[str, float]:
    """Return the numbers of one row: `values` holds the difference, then its resamples."""
    draws = values[1:][~np.isnan(values[1:])]
    numbers = dict.fromkeys(NUMBERS, np.nan) | {"difference": float(values[0])}
    if draws.size and not np.isnan(values[0]):
        low, high = np.percentile(draws, PERCENTILES)
        numbers |= {"ci_low": float(low), "ci_high": float(high), "p": two_sided(draws)}
    return numbers


def two_sided(draws: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of no difference.

    Parameters
    ----------
    draws : float array of shape (resamples,)
        A difference in each resample; at least one. One that is exactly 0 counts on both sides.

    Returns
    -------
    float
        ``2 (c + 1) / (resamples + 1)``, at most 1, where c counts the resamples on the rarer side.
    """
    rarer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (draws.size + 1))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values after Holm's correction for their number.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may fall below one
    before it, nor rise above 1.

    Parameters
    ----------
    p : float array of shape (comparisons,)
        NaN where there was no comparison: it does not count.

    Returns
    -------
    float64 array of shape (comparisons,)
    """
    adjusted = np.full(p.shape, np.nan)
    ascending = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]  # NaN sorts last
    steps = p[ascending] * np.arange(ascending.size, 0, -1)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
