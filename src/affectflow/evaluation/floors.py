"""Predictors that never look at a clip: what a model has to beat.

Both know the training labels only. The majority floor always gives the level that is most frequent
there, and where probabilities are asked for, the shares of the levels. The random floor draws each
clip's level with those shares: it is right less often, but hits rare levels now and then, so it is
the harder one for macro-F1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tasks import Task
from affectflow.evaluation.intervals import occurring, summary
from affectflow.evaluation.swap import swap_test

# The majority floor's kappa is 0 and needs no row. WAR is accuracy, and so is its floor.
MAJORITY = ("accuracy", "macro_f1", "balanced_accuracy", "mae", "mse", "ece", "brier")
RANDOM = ("accuracy", "macro_f1", "balanced_accuracy", "kappa", "mae")
# So many that the mean of 1,784 clips' accuracy moves by about 0.0001 with another seed.
DRAWS = 10_000


def shares(labels: NDArray[np.int64], levels: int) -> NDArray[np.float64]:
    """Return each level's share of some labels, shape (levels,); at least one label."""
    return np.bincount(labels, minlength=levels) / labels.size


def random_floor(
    label: NDArray[np.int64], share: NDArray[np.float64], task: Task, seed: int
) -> dict[str, float]:
    """Return what drawing each clip's level at random scores on average.

    Parameters
    ----------
    label : int array of shape (clips,)
        Level codes of the clips scored; at least one.
    share : float array of shape (levels,)
        Probability of drawing each level.
    task : Task
    seed : int

    Returns
    -------
    dict of str to float
        The mean over `DRAWS` draws of each metric of `RANDOM` that the task has; a draw that does
        not define it does not count, and a metric that none defines is NaN.
    """
    # How often a level is drawn for the clips of one label is all that a confusion matrix holds.
    counts = np.bincount(label, minlength=len(share))
    size = (DRAWS, len(share))
    confusions = np.random.default_rng(seed).multinomial(counts, share, size=size)
    drawn = summary(confusions, task, counts > 0)
    defined = {name: drawn[name][~np.isnan(drawn[name])] for name in RANDOM if name in drawn}
    return {
        name: float(values.mean()) if values.size else np.nan for name, values in defined.items()
    }


def p_floor(
    confusions: NDArray[np.int64], share: NDArray[np.float64], task: Task, seed: int
) -> dict[str, float]:
    """Return for each metric how easily a predictor that never looks would differ as much.

    The model's predictions are exchanged within subjects (`affectflow.evaluation.swap`) with those
    of the majority floor, and with what the random floor gives on average; who is to be better than
    both must be so in the harder of the two tests.

    Parameters
    ----------
    confusions : int array of shape (subjects, levels, levels)
        The model's, by subject.
    share : float array of shape (levels,)
        What the floors know: each level's share of the training labels.
    task : Task
    seed : int

    Returns
    -------
    dict of str to float
        The larger of the two p-values, by metric of `RANDOM`; NaN where a difference is undefined.
    """
    labelled = confusions.sum(axis=2, keepdims=True)
    majority = np.arange(len(share)) == share.argmax()
    levels = occurring(confusions)

    def measure(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        values = summary(sums, task, levels)
        return {name: values[name] for name in RANDOM if name in values}

    always, drawn = (
        swap_test(labelled * floor, confusions, measure, seed).p for floor in (majority, share)
    )
    return {name: float(np.maximum(always[name], drawn[name])) for name in always}
