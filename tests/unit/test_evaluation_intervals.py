import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.intervals import (
    from_confusion,
    intervals,
    lost,
    occurring,
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
    found = from_confusion(confusion, ORDINAL, occurring(confusion))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_a_stack_is_scored_matrix_by_matrix():
    subject, label, predicted = clips(0, levels=3)
    stack = subject_confusions(subject, label, predicted, 3)
    together = from_confusion(stack, NOMINAL, occurring(stack))
    for place, confusion in enumerate(stack):
        for name, value in from_confusion(confusion, NOMINAL, occurring(stack)).items():
            np.testing.assert_array_equal(together[name][place], value)


def of_the_levels(values, lacking):
    """Return scikit-learn's metrics of a resample, without what lacks a level of the sample.

    scikit-learn is not told that the sample has more levels than the resample, and averages over
    those that are left: a resample without a level that is never found would score better.
    """
    lost = {f"{name}_level_{level}" for name in ("precision", "recall", "f1") for level in lacking}
    lost |= {"macro_f1", "balanced_accuracy"} if lacking else set()
    return values | dict.fromkeys(lost, np.nan)


def test_a_resample_is_the_metric_of_the_resampled_clips():
    subject, label, predicted = clips(1)
    # Level 3 is of one subject alone, and given to others too.
    label[label == 3] = 2
    label[np.flatnonzero(subject == "s2")[:3]] = 3
    names = np.unique(subject.astype(str))
    confusions = subject_confusions(subject, label, predicted, 4)
    draws = from_confusion(resample(confusions, 20, seed=5), ORDINAL, occurring(confusions))
    even = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(5).multinomial(len(names), even, size=20)
    lacking = 0
    for draw, counts in enumerate(times):
        drawn = np.repeat(names, counts)
        rows = np.concatenate([np.flatnonzero(subject == name) for name in drawn])
        absent = set(label) - set(label[rows])
        lacking += bool(absent)
        expected = of_the_levels(measure(label[rows], predicted[rows], ORDINAL), absent)
        for name, values in draws.items():
            assert float(values[draw]) == pytest.approx(expected[name], abs=1e-9, nan_ok=True), name
    assert 0 < lacking < 20


def test_the_sample_s_levels_are_those_of_every_resample():
    """DAiSEE's engagement: 4 clips of level 0, 21 subjects, 1,784 clips; all four of one subject.

    The model misses the level: a mean over the levels that a draw happens to have would rise by a
    third in each draw without that subject, which are more than a third of all.
    """
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2, 3], [4, 84, 882, 814])
    who = np.concatenate([np.zeros(4, dtype=int), rng.permutation(1780) % 21])
    right = rng.random(1784) < np.array([0, 0.6, 0.68, 0.68])[label]
    predicted = np.where(right, label, np.array([1, 2, 3, 2])[label])
    confusions = subject_confusions(who.astype(str).astype(object), label, predicted, 4)
    levels = occurring(confusions)
    value = float(from_confusion(confusions.sum(axis=0), ORDINAL, levels)["macro_f1"])
    assert value == pytest.approx(measure(label, predicted, ORDINAL)["macro_f1"], abs=1e-12)
    assert 0.5 < value < 0.56
    draws = resample(confusions, 1000, seed=1)
    found = intervals(from_confusion(draws, ORDINAL, levels))
    for name in ("macro_f1", "balanced_accuracy"):
        assert found[name].high - found[name].low < 0.06
        # Drawn with probability 1 - (20/21)^21 = 0.641.
        assert 600 < found[name].defined < 680
        assert "of 1,000 resamples" in lost(found[name].defined, 1000)
    assert found["macro_f1"].low < value < found["macro_f1"].high
    own = [from_confusion(draw, ORDINAL, occurring(draw))["macro_f1"] for draw in draws]
    assert np.percentile(own, 97.5) > value + 0.15, "what was wrong"


@given(st.integers(0, 999))
def test_no_resample_scores_on_fewer_levels(seed):
    subject, label, predicted = clips(seed, count=20)
    confusions = subject_confusions(subject, label, predicted, 4)
    draws = resample(confusions, 50, seed)
    values = from_confusion(draws, ORDINAL, occurring(confusions))
    every = (draws.sum(axis=2)[:, occurring(confusions)] > 0).all(axis=1)
    assert (~np.isnan(values["macro_f1"]) == every).all()
    assert (~np.isnan(values["balanced_accuracy"]) == every).all()
    parts = [values[f"f1_level_{level}"] for level in np.flatnonzero(occurring(confusions))]
    np.testing.assert_allclose(values["macro_f1"], np.mean(parts, axis=0), atol=1e-12)


@pytest.mark.parametrize(
    ("defined", "resamples", "said"),
    [
        (1000, 1000, ""),
        (950, 1000, ""),
        (949, 1000, "interval from 949 of 1,000 resamples: others do not define this metric"),
        (0, 50, "no interval: none of 50 resamples defines this metric"),
        (0, 0, ""),
    ],
)
def test_a_warning_stands_where_over_five_per_cent_are_lost(defined, resamples, said):
    assert lost(defined, resamples) == said


def test_subjects_are_resampled_not_clips():
    # Two subjects of 500 clips, one always right and one always wrong. Resampled subjects give
    # accuracy 0, 1/2 or 1; resampled clips would stay within a few per cent of 1/2.
    subject = np.repeat(np.array(["right", "wrong"], dtype=object), 500)
    label = np.zeros(1000, dtype=np.int64)
    predicted = np.repeat([0, 1], 500)
    draws = resample(subject_confusions(subject, label, predicted, 4), 1000, seed=1)
    values = from_confusion(draws, ORDINAL, occurring(draws))
    assert set(values["accuracy"]) == {0.0, 0.5, 1.0}
    found = intervals(values)["accuracy"]
    assert (found.low, found.high, found.defined) == (0.0, 1.0, 1000)


def test_each_draw_has_as_many_subjects_as_there_are():
    confusions = np.stack([np.eye(2, dtype=np.int64)] * 7)
    assert (resample(confusions, 50, seed=0).sum(axis=(1, 2)) == 14).all()


def test_a_level_of_one_subject_is_undefined_in_resamples_without_it():
    subject = np.array(["a", "a", "b", "b", "c"], dtype=object)
    label, predicted = np.array([0, 0, 0, 0, 3]), np.array([0, 1, 0, 0, 3])
    draws = resample(subject_confusions(subject, label, predicted, 4), 1000, seed=1)
    found = intervals(from_confusion(draws, ORDINAL, occurring(draws)))
    # Subject c is in a draw with probability 1 - (2/3)^3 = 19/27 = 0.704.
    assert 640 < found["recall_level_3"].defined < 770
    assert found["macro_f1"].defined <= found["recall_level_3"].defined
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
        found = intervals(from_confusion(draws, task, occurring(draws)))["accuracy"]
        covered += found.low <= 0.7 <= found.high
    assert 85 <= covered <= 99
