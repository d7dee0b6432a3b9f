"""From probabilities to levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from affectflow.temporal.decide import (
    Decision,
    cut,
    expected_level,
    fit_cuts,
    macro_f1,
    median,
    mode,
)

P = np.array([[0.4, 0.1, 0.2, 0.3], [0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]])


def test_rules_on_worked_examples() -> None:
    assert mode(P).tolist() == [0, 0, 3]
    # Above step 0: .6; above step 1: .5, which is not more than one half.
    assert median(P).tolist() == [1, 0, 2]
    assert expected_level(P).tolist() == pytest.approx([1.4, 0.5, 2.0])
    assert cut(P, np.array([0.5, 1.5, 1.9])).tolist() == [1, 0, 3]
    assert Decision("calibrated", (0.5, 1.5, 1.9))(P).tolist() == [1, 0, 3]
    assert Decision("median")(P).tolist() == [1, 0, 2]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), levels=st.integers(2, 5))
def test_fitted_cuts_are_never_worse_than_the_middles(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.integers(0, levels, 60)
    p = rng.dirichlet(np.ones(levels), 60) + 0.3 * np.eye(levels)[level]
    p /= p.sum(1, keepdims=True)
    cuts = fit_cuts(p, level)
    assert cuts.shape == (levels - 1,)
    assert np.all(np.diff(cuts) >= 0)

    def score(found: np.ndarray) -> float:
        return f1_score(level, found, labels=np.unique(level), average="macro", zero_division=0)

    assert macro_f1(level, mode(p), levels) == pytest.approx(score(mode(p)), abs=1e-12)
    assert score(cut(p, cuts)) >= score(cut(p, np.arange(levels - 1) + 0.5))
    assert np.array_equal(cuts, fit_cuts(p, level))


def test_rare_levels_are_found_by_their_threshold() -> None:
    """A model that is right in its order and never sure enough of the rare level."""
    rng = np.random.default_rng(0)
    level = (rng.random(400) < 0.1).astype(int)
    rare = np.clip(0.1 + 0.2 * level + rng.normal(0, 0.03, 400), 0.01, 0.45)
    p = np.stack([1 - rare, rare], axis=1)
    assert not mode(p).any()
    found = cut(p, fit_cuts(p, level))
    assert f1_score(level, found, average="macro") > 0.95
