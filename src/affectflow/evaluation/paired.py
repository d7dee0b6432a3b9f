"""Any two experiments against each other, on the clips that both scored.

Two intervals that overlap do not show that two experiments are equal: both move with the same
subjects, and a difference moves less than its parts. So each pair is compared on its common clips,
and both meet the same draws of subjects (`affectflow.evaluation.intervals`).

``p`` comes from exchanging the two experiments' predictions within subjects
(`affectflow.evaluation.swap`), on the test split alone: on the validation split epochs, thresholds
and members of sweeps were chosen, and what was chosen there is better there by luck as well.
``p_holm`` is p after Holm's step-down correction for all pairs of the same split, state and metric
(Holm 1979, Scandinavian Journal of Statistics 6, 65-70): below 0.05, the chance of even one false
claim among those pairs is at most 5%, however the pairs depend on each other. Without it, two or
three of the 55 pairs of eleven equal experiments would seem to differ.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task
from affectflow.evaluation import real
from affectflow.evaluation.intervals import (
    intervals,
    lost,
    occurring,
    resample,
    subject_confusions,
    summary,
)
from affectflow.evaluation.report import DIGITS, TESTED, check
from affectflow.evaluation.swap import Measure, Swapped, swap_test

log = logging.getLogger(__name__)

SPLITS = ("test", "validation")
METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "kappa", "mae")
NAMES = ("first", "second", "split", "state", "metric")
INTERVAL = ("difference", "ci_low", "ci_high")
P_VALUES = ("p", "p_holm", "p_least", "p_holm_least")
COUNTS = ("n_clips", "n_subjects", "n_differing", "n_labelled")
COLUMNS = [*NAMES, *INTERVAL, "ci_warning", *P_VALUES, *COUNTS]


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
        Of the intervals. The seed is also that of exchanges, where these are drawn.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per pair, split, state and metric. ``difference`` is the second's value
        minus the first's on the ``n_clips`` clips of ``n_subjects`` subjects that both scored, of
        the split's ``n_labelled`` labelled ones; ``ci_low`` and ``ci_high`` bound its middle 95%
        over resamples, with a ``ci_warning`` where many of these were lost. Of ``mae`` and
        ``mse`` less is better. The two differ on ``n_differing`` of the subjects, and so
        ``p_least`` is what ``p`` could be at least, and ``p_holm_least`` what ``p_holm`` could be
        at least for any pair of the same split, state and metric. What is undefined is NaN: kappa
        where all is one level, intervals and p with fewer than two subjects, p on the validation
        split.
        Empty with fewer than two experiments.

    Raises
    ------
    UserError
        If predictions and clip table do not belong together; see `report.check`.
    """
    for own in predictions.values():
        check(own, clips, tasks)
    rows = []
    for split in SPLITS:
        known = clips[clips["split"] == split]
        if known.empty:
            continue
        for task in tasks:
            scored = _Scored(predictions, known[known[task.name].notna()], task, resamples, seed)
            for first, second in combinations(predictions, 2):
                names = {"first": first, "second": second, "split": split, "state": task.name}
                rows += [names | row for row in scored.pair(first, second, split == TESTED)]
    table = pandas.DataFrame(rows, columns=COLUMNS)
    table = table.astype(dict.fromkeys([*INTERVAL, *P_VALUES], "float64"))
    families = table.groupby(["split", "state", "metric"], sort=False)
    table["p_holm"] = families["p"].transform(lambda family: holm(family.to_numpy(np.float64)))
    # Holm multiplies the least p of a family by the number of its pairs.
    least = families["p_least"].transform("min") * families["p"].transform("count")
    table["p_holm_least"] = least.clip(upper=1.0)
    log.info("%d rows of differences", len(table))
    numbers = table[[*INTERVAL, *P_VALUES]].round(DIGITS)
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
        self.label = labelled[task.name].to_numpy(np.float64)
        self.predicted = {
            name: own[own["task"] == task.name]
            .set_index("clip_id")["predicted"]
            .reindex(labelled["clip_id"])
            .to_numpy(np.float64, na_value=np.nan)
            for name, own in predictions.items()
        }
        # Most experiments score the same clips: what is made of each serves all of its pairs.
        self.confusions: dict[tuple[str, bytes], NDArray[Any]] = {}
        self.resampled: dict[tuple[str, bytes], dict[str, NDArray[np.float64]]] = {}

    def pair(self, first: str, second: str, test: bool) -> list[dict[str, Any]]:
        """Return a row per metric of one pair, with p if it is to be tested."""
        both = ~np.isnan(self.predicted[first]) & ~np.isnan(self.predicted[second])
        one, other = self._confusions(first, both), self._confusions(second, both)
        measure = self._measure(one)
        before, after = measure(one.sum(axis=0)), measure(other.sum(axis=0))
        counts = {
            "n_clips": int(both.sum()),
            "n_subjects": len(one),
            "n_differing": int((one != other).any(axis=tuple(range(1, one.ndim))).sum()),
            "n_labelled": len(both),
        }
        several = len(one) > 1
        swapped = self._swapped(one, other) if several and test else None
        ranges = self._intervals(first, second, both) if several else {}
        rows = []
        for metric in before:
            row: dict[str, Any] = {"metric": metric, "ci_warning": "", **counts}
            row["difference"] = float(after[metric] - before[metric])
            if not np.isnan(row["difference"]):
                row |= ranges.get(metric, {})
                row |= {"p": swapped.p[metric], "p_least": swapped.least} if swapped else {}
            rows.append(row)
        return rows

    def _swapped(self, one: NDArray[Any], other: NDArray[Any]) -> Swapped:
        measure = self._measure(one)
        if self.task.kind == "real":
            one, other = real.in_deviations(one), real.in_deviations(other)
        return swap_test(one, other, measure, self.seed)

    def _intervals(
        self, first: str, second: str, clips: NDArray[np.bool_]
    ) -> dict[str, dict[str, Any]]:
        one, other = self._draws(first, clips), self._draws(second, clips)
        found = intervals({name: other[name] - one[name] for name in one})
        ranges: dict[str, dict[str, Any]] = {}
        for name in one:
            interval = found.get(name)
            warning = lost(interval.defined if interval else 0, self.resamples)
            ranges[name] = {"ci_warning": warning}
            if interval:
                ranges[name] |= {"ci_low": interval.low, "ci_high": interval.high}
        return ranges

    def _measure(self, sums: NDArray[Any]) -> Measure:
        """Return what turns pooled sums into metrics; `sums` are those of a sample's subjects."""
        if self.task.kind == "real":
            return real.from_sums
        return partial(_metrics, task=self.task, levels=occurring(sums))

    def _confusions(self, name: str, clips: NDArray[np.bool_]) -> NDArray[Any]:
        """Return what adds over subjects: confusion matrices, or sums of numbers."""
        key = (name, clips.tobytes())
        if key not in self.confusions:
            subject, label = self.subject[clips], self.label[clips]
            predicted = self.predicted[name][clips]
            if self.task.kind == "real":
                self.confusions[key] = real.subject_sums(subject, label, predicted)
            else:
                codes = label.astype(np.int64), predicted.astype(np.int64)
                self.confusions[key] = subject_confusions(subject, *codes, len(self.task.levels))
        return self.confusions[key]

    def _draws(self, name: str, clips: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        """Return each metric in each resample of the subjects of some clips."""
        key = (name, clips.tobytes())
        if key not in self.resampled:
            confusions = self._confusions(name, clips)
            drawn = resample(confusions, self.resamples, self.seed)
            self.resampled[key] = self._measure(confusions)(drawn)
        return self.resampled[key]


def _metrics(
    confusion: NDArray[Any], task: Task, levels: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    values = summary(confusion, task, levels)
    return {name: values[name] for name in METRICS if name in values}


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
