import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    mean_absolute_error,
    precision_score,
    recall_score,
)

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.metrics import measure, metric_names, why_undefined
from affectflow.evaluation.probabilities import score_names

ORDINAL = Task("engagement", "ordinal", LEVELS)
NOMINAL = Task("emotion", "nominal", ("calm", "happy", "sad", "angry"))
clips = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def arrays(pairs):
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


@given(clips)
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label")
def test_agrees_with_scikit_learn(pairs):
    label, predicted = arrays(pairs)
    values = measure(label, predicted, ORDINAL)
    present = np.unique(label)
    assert values["accuracy"] == pytest.approx(accuracy_score(label, predicted), abs=1e-12)
    assert values["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(label, predicted), abs=1e-12
    )
    expected = f1_score(label, predicted, labels=present, average="macro", zero_division=0)
    assert values["macro_f1"] == pytest.approx(expected, abs=1e-12)
    expected = recall_score(label, predicted, average="weighted", zero_division=0)
    assert values["war"] == pytest.approx(expected, abs=1e-12)
    assert values["mae"] == pytest.approx(mean_absolute_error(label, predicted), abs=1e-12)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(label, predicted, labels=range(4), average=None, zero_division=np.nan)
        found = [values[f"{name}_level_{level}"] for level in range(4)]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    if np.unique([label, predicted]).size > 1:
        expected = cohen_kappa_score(label, predicted, labels=range(4), weights="quadratic")
        assert values["kappa"] == pytest.approx(expected, abs=1e-12)
    of_probabilities = score_names(ORDINAL)
    assert list(values) == [name for name in metric_names(ORDINAL) if name not in of_probabilities]


@given(clips)
def test_weighted_average_recall_is_accuracy(pairs):
    label, predicted = arrays(pairs)
    levels, support = np.unique(label, return_counts=True)
    recall = [np.mean(predicted[label == level] == level) for level in levels]
    values = measure(label, predicted, ORDINAL)
    assert values["war"] == pytest.approx(np.average(recall, weights=support), abs=1e-12)
    assert values["war"] == pytest.approx(values["accuracy"], abs=1e-12)


def test_quadratic_kappa_worked_by_hand():
    # Labels 0 0 1 2, predictions 0 1 1 3: weighted disagreement 1 + 1 = 2. By chance: labels occur
    # (2, 1, 1, 0) times, predictions (1, 2, 0, 1), so (2 (2 + 9) + (1 + 4) + (4 + 2 + 1)) / 4.
    values = measure(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 3]), ORDINAL)
    assert values["kappa"] == pytest.approx(1 - 2 / (34 / 4))
    assert values["mae"] == 0.5
    # Levels 0, 1, 2 occur: F1 2/3, 2/3, 0; recall 1/2, 1, 0. Level 3 is predicted only.
    assert values["macro_f1"] == pytest.approx(4 / 9)
    assert values["balanced_accuracy"] == 0.5
    assert values["f1_level_3"] == 0
    assert values["precision_level_3"] == 0
    assert math.isnan(values["recall_level_3"])
    assert math.isnan(values["precision_level_2"])


@given(hits=st.integers(1, 60), others=st.integers(1, 60))
def test_a_constant_has_f1_of_2p_over_1_plus_p(hits, others):
    label = np.repeat([2, 1], [hits, others])
    values = measure(label, np.full_like(label, 2), ORDINAL)
    rate = hits / (hits + others)
    assert values["f1_level_2"] == pytest.approx(2 * rate / (1 + rate), abs=1e-12)
    assert values["macro_f1"] == pytest.approx(rate / (1 + rate), abs=1e-12)
    assert values["accuracy"] == pytest.approx(rate, abs=1e-12)
    assert values["kappa"] == pytest.approx(0, abs=1e-12)
    assert values["balanced_accuracy"] == 0.5


def test_one_level_everywhere_has_no_kappa():
    values = measure(np.array([1, 1]), np.array([1, 1]), ORDINAL)
    assert math.isnan(values["kappa"])
    assert values["accuracy"] == values["macro_f1"] == values["f1_level_1"] == 1
    assert math.isnan(values["f1_level_0"])
    assert "one and the same level" in why_undefined("kappa")
    assert "has this level" in why_undefined("recall_level_0")


def test_one_level_in_the_labels_has_kappa_zero():
    assert measure(np.array([1, 1, 1]), np.array([1, 2, 1]), ORDINAL)["kappa"] == 0


def test_nominal_tasks_have_no_distances():
    values = measure(np.array([0, 1, 3]), np.array([0, 3, 3]), NOMINAL)
    assert "kappa" not in values
    assert "mae" not in values
    assert values["accuracy"] == pytest.approx(2 / 3)
