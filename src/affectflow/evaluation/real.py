"""The numbers for a real-valued task: how near predictions are to labels, and how they go together.

Each is a function of a few sums over clips, and sums over clips add over subjects, so intervals and
tests are made as those of the confusion matrices are.

Source: Lin 1989, A Concordance Correlation Coefficient to Evaluate Reproducibility, Biometrics
45(1), whose moments divide by n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("mae", "mse", "pearson", "ccc")
FLOORS = ("mae", "mse", "ccc")
"""What the constant, the mean of the training labels, has; its correlation is undefined."""
UNDEFINED = {
    "pearson": "labels or predictions are all one number",
    "ccc": "labels and predictions are all one and the same number",
}
_N, _X, _XX, _SQUARED = 0, 1, 3, 7
_POWERS = np.array([0, 1, 1, 2, 2, 2, 1, 2])
"""Of the labels' unit, in each sum."""
_FLAT = 1e-12
"""A variance below this share of the mean square is rounding."""


def subject_sums(
    subject: NDArray[np.generic], label: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return per subject the sums that `from_sums` turns into scores.

    Parameters
    ----------
    subject : array of shape (clips,)
        Whose clip it is.
    label, predicted : float array of shape (clips,)

    Returns
    -------
    float64 array of shape (subjects, 8)
        Of 1, x, y, x^2, y^2, xy, |x - y| and (x - y)^2, with x the label and y the prediction, both
        from the mean of all labels; subjects in sorted order.
    """
    _, who = np.unique(subject.astype(str), return_inverse=True)
    # No score depends on where 0 is; near the labels' mean, squares lose no digits.
    middle = label.mean() if label.size else 0.0
    x, y = label - middle, predicted - middle
    far = x - y
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(far), far * far], axis=1)
    sums = np.zeros((int(who.max()) + 1 if who.size else 0, terms.shape[1]))
    np.add.at(sums, who, terms)
    return sums


def in_deviations(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums as they are where the unit is the standard deviation of all labels.

    What tests compare (`affectflow.evaluation.swap`), whether labels are in volts or microvolts.

    Parameters
    ----------
    sums : float array of shape (subjects, 8)
        As from `subject_sums`.
    """
    total = sums.sum(axis=0)
    variance = float(_variance(_ratio(total[_XX], total[_N]), _ratio(total[_X], total[_N])))
    return sums / np.sqrt(variance if variance > 0 else 1.0) ** _POWERS


def from_sums(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the scores of a stack of sums.

    Parameters
    ----------
    sums : float array of shape (..., 8)
        As from `subject_sums`, added over some subjects; at least one clip each.

    Returns
    -------
    dict of str to float64 array of shape (...)
        ``mae``, ``mse``
            Mean absolute and mean squared error, in the labels' unit and its square.
        ``pearson``
            The correlation r; NaN where labels or predictions are all one number.
        ``ccc``
            Lin's concordance, ``2 s_xy / (s_x^2 + s_y^2 + (mean x - mean y)^2)``: 1 only where
            every prediction is its label, 0 for a constant. NaN where both are one and the same
            number.
    """
    n = sums[..., _N]
    x, y, xx, yy, xy, absolute, squared = (_ratio(sums[..., k], n) for k in range(_X, _SQUARED + 1))
    var_x, var_y = _variance(xx, x), _variance(yy, y)
    both = np.where((var_x > 0) & (var_y > 0), xy - x * y, 0.0)
    return {
        "mae": absolute,
        "mse": squared,
        "pearson": np.clip(_ratio(both, np.sqrt(var_x * var_y)), -1, 1),
        "ccc": _ratio(2 * both, var_x + var_y + (x - y) ** 2),
    }


def _variance(mean_square: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = mean_square - mean**2
    return np.where(variance > _FLAT * mean_square, variance, 0.0)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
