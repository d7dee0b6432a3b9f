"""What printed scores give away about the clips that they were taken from.

An accuracy is a whole number of clips over another. Printed with two decimals it leaves few totals
possible, and several accuracies on the same clips leave one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

HALF = 0.5 + 1e-6  # of the last printed digit, and what binary fractions add to it


def correct_clips(accuracy_percent: float, clips: int, decimals: int = 2) -> int | None:
    """Return how many of `clips` are right at a printed accuracy; None where no number fits.

    Parameters
    ----------
    accuracy_percent : float
        As printed, with so many `decimals`.
    clips : int
        How many were scored.
    decimals : int
    """
    correct = round(accuracy_percent * clips / 100)
    off = abs(100 * correct / clips - accuracy_percent)
    return correct if off <= HALF * 10.0**-decimals else None


def scored_clips(accuracies: Iterable[float], totals: Iterable[int]) -> list[int]:
    """Return those of some totals at which every printed accuracy is a whole number of clips."""
    printed = list(accuracies)
    return [n for n in totals if all(correct_clips(value, n) is not None for value in printed)]


def constant_level(accuracy_percent: float, f1: Sequence[float]) -> int | None:
    """Return the level whose constant prediction prints these scores; None where none does.

    Where a level has rate p, always predicting it has accuracy p and F1 = 2p / (1 + p) for that
    level, and F1 = 0 for the others.

    Parameters
    ----------
    accuracy_percent : float
        Printed with two decimals.
    f1 : sequence of float
        Per level, printed with two decimals; NaN where not printed.
    """
    found = np.flatnonzero(np.asarray(f1, dtype=float))
    if len(found) != 1:
        return None
    rate = accuracy_percent / 100
    expected = 2 * rate / (1 + rate)
    level = int(found[0])
    # The rate is itself rounded, by up to 0.005%, and F1 rises at most twice as fast.
    return level if abs(f1[level] - expected) <= HALF / 100 + 2 * HALF / 10_000 else None
