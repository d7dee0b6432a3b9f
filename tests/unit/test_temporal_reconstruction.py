"""Levels by reconstruction error: what is unlike the frequent level is another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from affectflow.temporal.reconstruction import TINY, Autoencoder, ReconstructionClassifier
from affectflow.training.pooled_files import TRUSTED

FEATURES = 30


def clips(n: int, seed: int, away: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """A curve in 30 dimensions; levels 0 and 2, three clips in ten, lie off it by `away`."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(0).normal(size=(4, FEATURES)) / 2
    level = rng.choice(3, n, p=[0.1, 0.7, 0.2])
    t = rng.uniform(-2, 2, (n, 2))
    x = np.column_stack([t, np.sin(2 * t)]) @ shape + 0.1 * rng.normal(size=(n, FEATURES))
    x += (level != 1)[:, None] * away * rng.normal(size=(n, FEATURES))
    return x.astype(np.float32), level


@pytest.fixture(scope="module")
def fitted() -> ReconstructionClassifier:
    return ReconstructionClassifier(units=(16, 4, 16), random_state=1).fit(*clips(300, 1))


def test_what_lies_off_the_frequent_level_is_rare(fitted: ReconstructionClassifier) -> None:
    x, level = clips(300, 2)
    assert fitted.majority_ == 1
    rare = 1 - fitted.predict_proba(x)[:, 1]
    assert roc_auc_score(level != 1, rare) > 0.95
    same, _ = clips(300, 2, away=0.0)
    assert roc_auc_score(level != 1, 1 - fitted.predict_proba(same)[:, 1]) < 0.6


def test_a_clip_that_was_fitted_to_counts_as_one_that_was_not(
    fitted: ReconstructionClassifier,
) -> None:
    """New clips of the frequent level are thought frequent as often as they are."""
    x, level = clips(2000, 3)
    assert fitted.predict_proba(x)[:, 1].mean() == pytest.approx((level == 1).mean(), abs=0.05)
    x, level = clips(300, 1)
    own = np.log([one.error(x[level == 1]) + TINY for one in fitted.autoencoders_])
    parts = fitted._parts(int((level == 1).sum()))
    seen = np.mean([errors[part].mean() for errors, (part, _) in zip(own, parts, strict=True)])
    unseen = np.mean([errors[part].mean() for errors, (_, part) in zip(own, parts, strict=True)])
    assert unseen > seen + 0.2, "the reason for the parts"


def test_the_error_is_that_of_the_layers_by_hand() -> None:
    x, _ = clips(60, 1)
    one = Autoencoder(units=(5, 2, 5), components=6, random_state=3).fit(x)
    wanted = []
    for clip in x.astype(np.float64):
        layer = one.reduce_.components_ @ (clip - x.mean(axis=0))
        *inner, last = zip(one.network_.coefs_, one.network_.intercepts_, strict=True)
        for weights, bias in inner:
            layer = np.maximum(layer @ weights + bias, 0)
        back = one.reduce_.components_.T @ (layer @ last[0] + last[1]) + x.mean(axis=0)
        wanted.append(sum((clip - back) ** 2) / FEATURES)
    np.testing.assert_allclose(one.error(x), wanted, rtol=1e-4)
    assert [len(bias) for bias in one.network_.intercepts_] == [5, 2, 5, 6]


def test_weights_lift_rare_levels() -> None:
    x, level = clips(200, 1, away=0.1)
    weight = np.array([10.0, 1.0, 5.0])[level]
    plain, weighted = (
        ReconstructionClassifier(units=(16, 4, 16), iterations=50).fit(x, level, own)
        for own in (None, weight)
    )
    assert np.array_equal(plain.unlikeness(x), weighted.unlikeness(x))
    assert weighted.majority_ == 1, "by clips, not by weight"
    new, truth = clips(200, 2, away=0.1)
    recall = [(own.predict(new) != 1)[truth != 1].mean() for own in (plain, weighted)]
    assert recall[1] > recall[0] + 0.2


def test_equal_seeds_are_equal_bytes_and_survive_the_disk() -> None:
    x, level = clips(80, 1)
    one, two, other = (
        ReconstructionClassifier(iterations=20, random_state=seed).fit(x, level)
        for seed in (1, 1, 2)
    )
    p = one.predict_proba(x)
    assert np.array_equal(p, two.predict_proba(x))
    assert not np.array_equal(p, other.predict_proba(x))
    again = skops.io.loads(skops.io.dumps(one), trusted=TRUSTED)
    assert np.array_equal(p, again.predict_proba(x))


@pytest.mark.parametrize(
    ("x", "level"),
    [
        (np.ones((10, 5)), np.arange(10) % 2),  # constant features
        (np.eye(4, 5), np.arange(4)),  # one clip of each level, the frequent one too
        (np.eye(3, 5), np.array([0, 0, 1])),
        (np.arange(6.0)[:, None], np.array([3, 3, 3, 3, 0, 0])),  # one feature, levels missing
        (np.repeat(np.eye(2, 5), 5, axis=0), np.repeat([0, 1], 5)),  # the frequent level's alike
    ],
    ids=["constant", "singles", "three", "one feature", "alike"],
)
def test_little_to_go_by_is_no_error(x: np.ndarray, level: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ReconstructionClassifier(iterations=20).fit(x.astype(np.float32), level)
    p = model.predict_proba(x.astype(np.float32) * 100)
    assert p.shape == (len(x), len(np.unique(level)))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 12), features=st.integers(1, 6))
def test_any_few_clips_give_probabilities(seed: int, n: int, features: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)).astype(np.float32)
    level = np.concatenate([[0, 1], rng.integers(0, 4, n - 2)])
    weight = rng.uniform(0.1, 10, n)
    model = ReconstructionClassifier(units=(3,), iterations=5).fit(x, level, weight)
    p = model.predict_proba(x)
    assert p.shape == (n, len(np.unique(level)))
    np.testing.assert_allclose(p.sum(axis=1), 1)
