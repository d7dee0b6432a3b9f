import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, mean_squared_error

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.intervals import resample
from affectflow.evaluation.probabilities import BINS, from_sums, score_names, subject_sums

ORDINAL = Task("engagement", "ordinal", LEVELS)
NOMINAL = Task("emotion", "nominal", ("calm", "happy", "sad"))


def scores(label, predicted, probability, task=ORDINAL):
    """Return the scores of some clips of one subject."""
    one = np.full(len(label), "s", dtype=object)
    sums = subject_sums(one, np.array(label), np.array(predicted), np.array(probability))
    return {name: float(value) for name, value in from_sums(sums[0], task).items()}


def literal_ece(label, predicted, probability):
    """Return the ECE as Guo et al. 2017, section 2, define it, bin by bin."""
    confidence = np.array([p[level] for p, level in zip(probability, predicted, strict=True)])
    total = 0.0
    for m in range(1, BINS + 1):
        inside = (confidence > (m - 1) / BINS) & (confidence <= m / BINS)
        inside |= (m == 1) & (confidence == 0)
        if inside.any():
            hit_rate = np.mean(predicted[inside] == label[inside])
            total += inside.sum() * abs(hit_rate - confidence[inside].mean())
    return total / len(label)


def rescored(label, predicted, probability):
    """Return the scores from scikit-learn and the definition."""
    levels = probability.shape[1]
    return {
        "mse": mean_squared_error(label, probability @ np.arange(levels)),
        "ece": literal_ece(label, predicted, probability),
        "brier": brier_score_loss(label, probability, labels=range(levels), scale_by_half=False),
    }


def clips(seed, count, levels=4, by_rule=False):
    """Return labels, predictions and probabilities; `by_rule`: not the likeliest level."""
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(levels, 0.4), count)
    label = rng.integers(0, levels, count)
    predicted = rng.integers(0, levels, count) if by_rule else probability.argmax(axis=1)
    return label, predicted, probability


@given(st.integers(0, 10_000), st.integers(1, 60), st.booleans())
def test_agrees_with_scikit_learn_and_the_definition(seed, count, by_rule):
    label, predicted, probability = clips(seed, count, by_rule=by_rule)
    found = scores(label, predicted, probability)
    assert list(found) == score_names(ORDINAL)
    for name, expected in rescored(label, predicted, probability).items():
        assert found[name] == pytest.approx(expected, abs=1e-9), name


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_nominal_levels_have_no_squared_error(seed, count):
    label, predicted, probability = clips(seed, count, levels=3)
    found = scores(label, predicted, probability, NOMINAL)
    assert list(found) == ["ece", "brier"]
    expected = rescored(label, predicted, probability)
    assert found["brier"] == pytest.approx(expected["brier"], abs=1e-9)
    assert found["ece"] == pytest.approx(expected["ece"], abs=1e-9)


def test_brier_score_of_scikit_learns_example():
    # The three forecasts in the documentation of brier_score_loss: 0.146, for
    # (0.2^2 + 2 * 0.1^2 + 0.2^2 + 0.3^2 + 0.1^2 + 2 * 0.2^2 + 0.4^2) / 3.
    probability = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.2, 0.2, 0.6]]
    found = scores([0, 1, 2], [0, 1, 2], probability, NOMINAL)
    assert found["brier"] == pytest.approx(0.44 / 3, abs=1e-12)


def test_worked_example():
    # The definition of Guo et al. 2017, section 2, on five clips; bins are 1/15 wide.
    # Confidences 0.62 (hit) and 0.66 (miss) share the bin (9/15, 10/15]: hit rate 1/2, confidence
    # 0.64, a gap of 0.14 for two clips. 0.90 (hit) and 0.92 (hit) share (13/15, 14/15]: 1 against
    # 0.91, 0.09 for two. 0.40 (miss) is alone in (5/15, 6/15]: 0.40 for one.
    # ECE = (2 * 0.14 + 2 * 0.09 + 1 * 0.40) / 5 = 0.172.
    probability = [
        [0.62, 0.38, 0.00, 0.00],
        [0.66, 0.34, 0.00, 0.00],
        [0.00, 0.10, 0.90, 0.00],
        [0.00, 0.00, 0.08, 0.92],
        [0.40, 0.30, 0.20, 0.10],
    ]
    found = scores([0, 1, 2, 3, 1], [0, 0, 2, 3, 0], probability)
    assert found["ece"] == pytest.approx(0.172, abs=1e-12)
    # Squared differences, clip by clip: 2 * 0.38^2; 2 * 0.66^2; 2 * 0.1^2; 2 * 0.08^2; and
    # 0.4^2 + 0.7^2 + 0.2^2 + 0.1^2.
    expected = (0.2888 + 0.8712 + 0.02 + 0.0128 + 0.70) / 5
    assert found["brier"] == pytest.approx(expected, abs=1e-12)
    # Expected levels 0.38, 0.34, 1.9, 2.92 and 1.0.
    expected = (0.38**2 + 0.66**2 + 0.1**2 + 0.08**2 + 0) / 5
    assert found["mse"] == pytest.approx(expected, abs=1e-12)


def test_bins_are_open_below_and_closed_above():
    # 0.2 is the upper edge of bin 3, and 0.3 in the middle of bin 5. In one bin, a hit and a miss
    # would leave |1 - 0.5|; in two, the gaps are 0.8 and 0.3.
    probability = np.array([[0.2, 0.8, 0, 0], [0.3, 0.7, 0, 0]])
    assert scores([0, 1], [0, 0], probability)["ece"] == pytest.approx((0.8 + 0.3) / 2, abs=1e-12)
    sums = subject_sums(
        np.array(["s"], dtype=object), np.array([1]), np.array([0]), np.array([[0.2, 0.8, 0, 0]])
    )
    assert np.flatnonzero(sums[0, -BINS:]).tolist() == [2]


@pytest.mark.parametrize(("confidence", "place"), [(0.0, 0), (1e-6, 0), (0.6, 8), (1.0, 14)])
def test_every_confidence_has_a_bin(confidence, place):
    probability = np.array([[confidence, 1 - confidence, 0, 0]])
    one = np.array(["s"], dtype=object)
    # A hit leaves 1 - confidence in its bin, a miss -confidence.
    label = np.array([1 if confidence == 1 else 0])
    gaps = subject_sums(one, label, np.array([0]), probability)[0, -BINS:]
    assert np.flatnonzero(gaps).tolist() == [place]


def test_confidence_is_that_of_the_level_a_rule_chose():
    probability = np.array([[0.7, 0.3, 0.0, 0.0]])
    assert scores([1], [0], probability)["ece"] == pytest.approx(0.7)
    # The same probabilities, and a rule that favours level 1: 0.3 sure, and right.
    assert scores([1], [1], probability)["ece"] == pytest.approx(0.7)
    assert scores([2], [1], probability)["ece"] == pytest.approx(0.3)


def test_perfect_certainty_scores_nothing():
    found = scores([0, 3, 2], [0, 3, 2], np.eye(4)[[0, 3, 2]])
    assert found == {"mse": 0, "ece": 0, "brier": 0}


def test_a_resample_is_the_score_of_the_resampled_clips():
    rng = np.random.default_rng(3)
    label, predicted, probability = clips(3, 80, by_rule=True)
    subject = np.array([f"s{i}" for i in rng.integers(0, 7, 80)], dtype=object)
    names = np.unique(subject.astype(str))
    draws = resample(subject_sums(subject, label, predicted, probability), 20, seed=5)
    even = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(5).multinomial(len(names), even, size=20)
    for draw, counts in zip(draws, times, strict=True):
        drawn = np.repeat(names, counts)
        rows = np.concatenate([np.flatnonzero(subject == name) for name in drawn])
        expected = rescored(label[rows], predicted[rows], probability[rows])
        for name, value in from_sums(draw, ORDINAL).items():
            assert float(value) == pytest.approx(expected[name], abs=1e-9), name
