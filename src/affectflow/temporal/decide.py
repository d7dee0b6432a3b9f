"""From the probabilities of levels to one level.

`mode` is the most probable level. `median` is how many steps are passed with a probability above
one half, the rule of CORAL and CORN (Cao et al. 2020, eq. 1; their losses turn steps into
probabilities of levels that keep this number). `calibrated` cuts the expected level at thresholds
that score the best macro-F1 on the validation split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RULES = ("mode", "median", "calibrated")
VALUE = "value"
"""Of a real-valued task: its number is what is predicted."""
GRID = 40
ROUNDS = 3


@dataclass(frozen=True)
class Decision:
    """How a task's level is taken.

    Attributes
    ----------
    rule : {"mode", "median", "calibrated", "value"}
    cuts : tuple of float
        For ``calibrated``: (K-1,) ascending thresholds of the expected level.
    """

    rule: str
    cuts: tuple[float, ...] = ()

    def __call__(self, p: NDArray[np.float64]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return a level for each row, (n,) of probabilities (n, K), or of numbers (n, 1) these."""
        if self.rule == VALUE:
            return p[:, 0]
        if self.rule == "calibrated":
            return cut(p, np.array(self.cuts))
        return {"mode": mode, "median": median}[self.rule](p)


def mode(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the most probable level (n,) of probabilities (n, K); of equals the lowest."""
    return p.argmax(axis=1).astype(np.int64)


def median(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many steps are passed with a probability above one half, (n,) of (n, K)."""
    above = 1 - np.cumsum(p[:, :-1], axis=1)
    # Probabilities come rounded to 6 decimals, and sums of them are off by more than nothing.
    return (above > 0.5 + 1e-9).sum(axis=1)


def cut(p: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many `cuts` (K-1,), ascending, the expected level is above, (n,) of (n, K)."""
    return np.searchsorted(cuts, expected_level(p), side="left")


def expected_level(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sum_k k p_k``, (n,) of (n, K)."""
    return p @ np.arange(p.shape[1])


def fit_cuts(p: NDArray[np.float64], level: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cuts (K-1,) of the expected level that give the best macro-F1 found.

    Each cut in turn is tried at the quantiles of what was seen, three times around, beginning at
    the middles between levels; a change is kept where it scores strictly better.

    Parameters
    ----------
    p : numpy.ndarray
        (n, K) float64, validation clips.
    level : numpy.ndarray
        (n,) int64, their labels; at least one.
    """
    expected = expected_level(p)
    tried = np.unique(np.quantile(expected, np.linspace(0, 1, GRID + 1)))
    # Between what was seen, so that a cut is not a tie.
    tried = np.concatenate([(tried[1:] + tried[:-1]) / 2, [tried[0] - 1e-6, tried[-1] + 1e-6]])
    levels = p.shape[1]
    cuts = np.arange(levels - 1) + 0.5

    def score(candidate: NDArray[np.float64]) -> float:
        return macro_f1(level, np.searchsorted(candidate, expected, side="left"), levels)

    best = score(cuts)
    for _ in range(ROUNDS):
        for place in range(len(cuts)):
            for value in tried:
                candidate = cuts.copy()
                candidate[place] = value
                if np.all(np.diff(candidate) >= 0) and (found := score(candidate)) > best:
                    best, cuts = found, candidate
    return cuts


def macro_f1(level: NDArray[np.int64], predicted: NDArray[np.int64], levels: int) -> float:
    """Return the mean F1 over the levels that occur in `level` (n,); quick, for many tries."""
    confusion = np.bincount(level * levels + predicted, minlength=levels**2)
    confusion = confusion.reshape(levels, levels)
    labelled, found = confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * np.diagonal(confusion) / np.maximum(labelled + found, 1)
    return float(f1[labelled > 0].mean())
