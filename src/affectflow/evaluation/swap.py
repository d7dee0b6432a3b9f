"""Whether two predictors differ by more than chance: exchange their predictions within subjects.

If neither were better, it would be a matter of names which of the two made which predictions of a
subject. So each subject's predictions, all of them together, are exchanged or left, and the
difference is recomputed from the pooled sums. p is the share of these exchanges that differ at
least as much as what was observed, in either direction: a permutation test (Yeh 2000, COLING 18,
uses it for F1) whose unit is the subject, for clips of one person resemble each other.

With n subjects on whom the two differ there are 2^n exchanges, and the opposite of each differs as
much, so p can't be below 2 / 2^n: 0.031 for six subjects, however many clips they have. Up to
`EXACT_SUBJECTS` all of them are taken. Beyond, `DRAWS` are drawn, and c of R that differ as much
are a share of (c + 1) / (R + 1) (Davison and Hinkley 1997, Bootstrap Methods, equation 4.11). A
test stops at the first of `LOOKS` draws that has `ENOUGH` of them: p is not small then, and more
draws would change little (Besag and Clifford 1991, Biometrika 78, 301-304).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Measure = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]

EXACT_SUBJECTS = 14
# Whatever the number of pairs. The least p, 0.00002, survives Holm's correction for 2,499 pairs.
DRAWS = 49_999
LOOKS = (999, 9_999, DRAWS)
ENOUGH = 100
# Sums in another order differ in their last bits; what is equal but for these is as large.
TINY = 1e-9
_BLOCK = 4_000


@dataclass(frozen=True)
class Swapped:
    """What exchanging two predictors' predictions within subjects shows.

    Attributes
    ----------
    p : dict of str to float
        By metric; NaN where the difference is undefined.
    least : float
        What p could have been at least, with so many subjects.
    subjects : int
        On how many the two differ.
    """

    p: dict[str, float]
    least: float
    subjects: int


def swap_test(
    first: NDArray[np.number], second: NDArray[np.number], measure: Measure, seed: int
) -> Swapped:
    """Test for each metric that two predictors do not differ.

    Parameters
    ----------
    first, second : array of shape (subjects, ...)
        Each predictor's sums (its confusion matrices, say), by subject, of the same clips.
    measure : callable
        Turns pooled sums of shape (stack, ...) into metrics of shape (stack,), of size 1 or so.
        What an exchange leaves undefined counts as a difference as large as the observed one.
    seed : int
        Of the exchanges that are drawn.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    differs = (one != other).reshape(len(one), -1).any(axis=1)
    subjects = int(differs.sum())
    pooled = one.sum(axis=0), other.sum(axis=0)
    observed = _differences(pooled[0][None], pooled[1][None], measure)
    exact = subjects <= EXACT_SUBJECTS
    looks = (every_exchange(subjects).shape[1],) if exact else LOOKS
    rng = np.random.default_rng(seed)
    gain = (other - one)[differs]
    reached = dict.fromkeys(observed, 0)
    p = dict.fromkeys(observed, np.nan)
    undecided = {name for name in observed if not np.isnan(observed[name][0])}
    for start, look in pairwise((0, *looks)):
        blocks = _every(subjects) if exact else _drawn(subjects, look - start, rng)
        for exchanges in blocks:
            differences = _exchanged(exchanges, gain, pooled, measure)
            for name in undecided:
                smaller = np.abs(differences[name]) < np.abs(observed[name]) - TINY
                reached[name] += int((~smaller).sum())
        for name in undecided:
            p[name] = reached[name] / look if exact else (reached[name] + 1) / (look + 1)
        undecided = {name for name in undecided if reached[name] + 1 < ENOUGH}
        if not undecided:
            break
    least = least_p(subjects)
    p = {name: np.maximum(value, least) for name, value in p.items()}
    return Swapped({name: float(value) for name, value in p.items()}, least, subjects)


def least_p(subjects: int) -> float:
    """Return the least p that a test can have with so many subjects on whom two differ."""
    least = 0.5 ** max(subjects - 1, 0)
    return least if subjects <= EXACT_SUBJECTS else max(least, 1 / (DRAWS + 1))


@lru_cache(maxsize=EXACT_SUBJECTS + 1)
def every_exchange(subjects: int) -> NDArray[np.float64]:
    """Return all exchanges but their opposites, (subjects, 2^(subjects - 1)); 1 is exchanged.

    The first subject is never exchanged: to exchange all the others instead is the opposite.
    """
    free = max(subjects - 1, 0)
    exchanges = np.zeros((subjects, 2**free))
    exchanges[1:] = np.arange(2**free) >> np.arange(free)[:, None] & 1
    return exchanges


def _every(subjects: int) -> Iterator[NDArray[np.float64]]:
    exchanges = every_exchange(subjects)
    for start in range(0, exchanges.shape[1], _BLOCK):
        yield exchanges[:, start : start + _BLOCK]


def _drawn(subjects: int, count: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield `count` random exchanges in blocks: all at once would be large for many subjects."""
    for start in range(0, count, _BLOCK):
        size = (subjects, min(_BLOCK, count - start))
        yield rng.integers(0, 2, size, dtype=np.int8).astype(np.float64)


def _exchanged(
    exchanges: NDArray[np.float64],
    gain: NDArray[np.float64],
    pooled: tuple[NDArray[np.float64], NDArray[np.float64]],
    measure: Measure,
) -> dict[str, NDArray[np.float64]]:
    """Return the differences after a block of exchanges, (subjects, block)."""
    one, other = pooled
    flat = gain.reshape(len(gain), one.size).T
    # In memory the stack is the last axis: metrics then go through it without leaps.
    moved = np.moveaxis((flat @ exchanges).reshape(*one.shape, -1), -1, 0)
    return _differences(one + moved, other - moved, measure)


def _differences(
    one: NDArray[np.float64], other: NDArray[np.float64], measure: Measure
) -> dict[str, NDArray[np.float64]]:
    before, after = measure(one), measure(other)
    return {name: after[name] - before[name] for name in before}
