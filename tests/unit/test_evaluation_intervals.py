import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.intervals import (
    from_confusion,
    intervals,
    resample,
    subject_confusions,
)
from affectflow.evaluation.metrics import measure

ORDINAL = Task("engagement", "ordinal", LEVELS)
NOMINAL = Task("emotion", "nominal", ("calm", "happy", "sad"))


def clips(seed, count=60, subjects=6, levels=4):
    rng = np.random.default_rng(seed)
    subject = np.array([f"s{i}" for i in rng.integers(0, subjects, count)], dtype=object)
    return subject, rng.integers(0, levels, count), rng.integers(0, levels, count)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_metrics_of_a_confusion_matrix_are_scikit_learns(pairs):
    label, predicted = np.array(pairs).T
    confusion = subject_confusions(np.full(len(label), "s", dtype=object), label, predicted, 4)[0]
    expected = measure(label, predicted, ORDINAL)
    found = from_confusion(confusion, ORDINAL)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_a_stack_is_scored_matrix_by_matrix():
    subject, label, predicted = clips(0, levels=3)
    stack = subject_confusions(subject, label, predicted, 3)
    together = from_confusion(stack, NOMINAL)
    for place, confusion in enumerate(stack):
        for name, value in from_confusion(confusion, NOMINAL).items():
            np.testing.assert_array_equal(together[name][place], value)


def test_a_resample_is_the_metric_of_the_resampled_clips():
    subject, label, predicted = clips(1)
    names = np.unique(subject.astype(str))
    draws = resample(subject_confusions(subject, label, predicted, 4), 20, seed=5)
    even = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(5).multinomial(len(names), even, size=20)
    for draw, counts in zip(draws, times, strict=True):
        drawn = np.repeat(names, counts)
        rows = np.concatenate([np.flatnonzero(subject == name) for name in drawn])
        expected = measure(label[rows], predicted[rows], ORDINAL)
        for name, value in from_confusion(draw, ORDINAL).items():
            assert float(value) == pytest.approx(expected[name], abs=1e-9, nan_ok=True), name


def test_subjects_are_resampled_not_clips():
    # Two subjects of 500 clips, one always right and one always wrong. Resampled subjects give
    # accuracy 0, 1/2 or 1; resampled clips would stay within a few per cent of 1/2.
    subject = np.repeat(np.array(["right", "wrong"], dtype=object), 500)
    label = np.zeros(1000, dtype=np.int64)
    predicted = np.repeat([0, 1], 500)
    draws = resample(subject_confusions(subject, label, predicted, 4), 1000, seed=1)
    assert set(from_confusion(draws, ORDINAL)["accuracy"]) == {0.0, 0.5, 1.0}
    found = intervals(from_confusion(draws, ORDINAL))["accuracy"]
    assert (found.low, found.high, found.defined) == (0.0, 1.0, 1000)


def test_each_draw_has_as_many_subjects_as_there_are():
    confusions = np.stack([np.eye(2, dtype=np.int64)] * 7)
    assert (resample(confusions, 50, seed=0).sum(axis=(1, 2)) == 14).all()


def test_a_level_of_one_subject_is_undefined_in_resamples_without_it():
    subject = np.array(["a", "a", "b", "b", "c"], dtype=object)
    label, predicted = np.array([0, 0, 0, 0, 3]), np.array([0, 1, 0, 0, 3])
    draws = resample(subject_confusions(subject, label, predicted, 4), 1000, seed=1)
    found = intervals(from_confusion(draws, ORDINAL))
    # Subject c is in a draw with probability 1 - (2/3)^3 = 19/27 = 0.704.
    assert 640 < found["recall_level_3"].defined < 770
    assert found["accuracy"].defined == 1000
    assert "recall_level_2" not in found


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # 30 subjects whose own accuracies spread around 0.7: the interval must cover 0.7.
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        rates = rng.beta(7, 3, 30)
        hits = rng.binomial(20, rates)
        confusions = np.zeros((30, 2, 2), dtype=np.int64)
        confusions[:, 0, 0], confusions[:, 0, 1] = hits, 20 - hits
        task = Task("t", "nominal", ("no", "yes"))
        draws = resample(confusions, 300, trial)
        found = intervals(from_confusion(draws, task))["accuracy"]
        covered += found.low <= 0.7 <= found.high
    assert 85 <= covered <= 99
