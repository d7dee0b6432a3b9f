import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.floors import RANDOM, p_floor, random_floor, shares
from affectflow.evaluation.intervals import subject_confusions
from affectflow.evaluation.report import evaluate
from affectflow.evaluation.tables import estimates, results_table
from affectflow.figures.table import results_html

ORDINAL = Task("engagement", "ordinal", LEVELS)
NOMINAL = Task("emotion", "nominal", LEVELS)


def test_shares_of_every_level():
    assert shares(np.array([0, 2, 2, 2]), 4).tolist() == [0.25, 0, 0.75, 0]


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=200),
    training=st.lists(st.integers(0, 3), min_size=1, max_size=50),
)
@settings(max_examples=30)
def test_random_floor_is_what_chance_gives(labels, training):
    label, share = np.array(labels), shares(np.array(training), 4)
    found = random_floor(label, share, ORDINAL, seed=1)
    assert list(found) == list(RANDOM)
    # A clip of level k is hit with the share of level k, and missed by the expected distance.
    distance = np.abs(np.subtract.outer(label, range(4)))
    assert found["accuracy"] == pytest.approx(share[label].mean(), abs=0.02)
    assert found["mae"] == pytest.approx((distance @ share).mean(), abs=0.04)
    # Whatever the shares: the mean of the shares of the levels that occur; no agreement.
    assert found["balanced_accuracy"] == pytest.approx(share[np.unique(label)].mean(), abs=0.02)
    if not math.isnan(found["kappa"]):
        assert found["kappa"] == pytest.approx(0, abs=0.05)


def test_random_floor_is_the_mean_of_literal_draws():
    rng = np.random.default_rng(0)
    label, share = rng.integers(0, 4, 60), np.array([0.1, 0.2, 0.3, 0.4])
    found = random_floor(label, share, ORDINAL, seed=1)
    f1 = []
    for _ in range(2000):
        drawn = rng.choice(4, size=60, p=share)
        hit = np.array([np.sum((label == k) & (drawn == k)) for k in range(4)])
        f1.append(np.mean(2 * hit / (np.bincount(label) + np.bincount(drawn, minlength=4))))
    assert found["macro_f1"] == pytest.approx(np.mean(f1), abs=0.005)


def test_random_floor_hangs_on_the_seed_alone():
    label, share = np.repeat([0, 1, 2, 3], 30), np.full(4, 0.25)
    first = random_floor(label, share, ORDINAL, seed=1)
    assert random_floor(label[::-1], share, ORDINAL, seed=1) == first
    other = random_floor(label, share, ORDINAL, seed=2)
    assert other != first
    for name, value in first.items():
        assert other[name] == pytest.approx(value, abs=0.005)


def test_random_floor_of_nominal_levels_has_no_distances():
    found = random_floor(np.array([0, 1]), np.full(4, 0.25), NOMINAL, seed=1)
    assert list(found) == ["accuracy", "macro_f1", "balanced_accuracy"]


def test_one_level_everywhere_has_no_random_kappa():
    found = random_floor(np.array([2, 2]), np.eye(4)[2], ORDINAL, seed=1)
    assert math.isnan(found["kappa"])
    assert found["accuracy"] == found["macro_f1"] == 1


def study(predict, levels=(0.6, 0.4), count=4000, subjects=40):
    """Return the results of predictions made from the labels by `predict`."""
    rng = np.random.default_rng(0)
    task = Task("engagement", "ordinal", ("low", "high"))
    label = rng.choice(2, size=count, p=levels)
    clips = pd.DataFrame(
        {
            "clip_id": [f"c{i:05d}" for i in range(count)],
            "subject": [f"s{i % subjects}" for i in range(count)],
            "split": "test",
            "engagement": pd.array(label, dtype="Int64"),
        }
    )
    predictions = clips.rename(columns={"engagement": "label"}).assign(task="engagement")
    predictions["predicted"] = predict(label, rng)
    return results_table({"x": evaluate(predictions, clips, [task], resamples=300)})


def guess(label, rng):
    return rng.permutation(label)


def skill(label, rng):
    return np.where(rng.random(len(label)) < 0.5, label, guess(label, rng))


def cells(results):
    """Return the cells macro-F1, kappa, accuracy and balanced accuracy of the only row."""
    return results_html(results).split("<td class=number>")[1:5]


def test_above_means_above_both_floors():
    # Guessing beats the majority floor in macro-F1 with certainty, and is marked nowhere.
    results = study(guess)
    found = estimates(results)
    assert found["macro_f1"].low > found["floor_macro_f1"].value + 0.05
    assert found["random_macro_f1"].value == pytest.approx(found["macro_f1"].value, abs=0.02)
    assert not any("▲" in cell for cell in cells(results))
    assert all("▲" in cell for cell in cells(study(skill)))


def test_cells_show_both_floors():
    macro_f1, kappa, accuracy, balanced = cells(study(skill))
    # Always low: F1 of 2 * 0.6 / 1.6 and 0. Drawn: F1 equals the share, 0.6 and 0.4.
    assert "floor 0.37" in macro_f1
    assert "random 0.50" in macro_f1 or "random 0.49" in macro_f1
    assert "floor 0.000, random 0.000" in kappa
    # Accuracy of drawing: 0.6^2 + 0.4^2 = 0.52.
    assert "random 0.52" in accuracy
    assert "floor 0.500, random 0.500" in balanced


def test_accuracy_between_the_floors_is_not_above():
    # Right more often than a guess (0.52), less often than a constant (0.6).
    results = study(lambda label, rng: np.where(rng.random(len(label)) < 0.56, label, 1 - label))
    found = estimates(results)
    assert found["random_accuracy"].value < found["accuracy"].low
    assert found["accuracy"].high < found["floor_accuracy"].value
    assert "▲" not in cells(results)[2]


@pytest.mark.parametrize("subjects", [5, 6, 12])
def test_p_against_the_floors_depends_on_the_subjects_not_on_their_clips(subjects):
    label = np.tile(np.repeat([0, 1, 2, 3], 25), subjects)
    who = np.repeat(np.arange(subjects), 100).astype(str).astype(object)
    confusions = subject_confusions(who, label, label, 4)
    found = p_floor(confusions, np.array([0.4, 0.3, 0.2, 0.1]), ORDINAL, seed=1)
    assert list(found) == list(RANDOM)
    assert set(found.values()) == {2 / 2**subjects}
    rows = pd.DataFrame({"clip_id": [f"c{i:05d}" for i in range(len(label))], "subject": who})
    clips = rows.assign(split="test", engagement=pd.array(label, dtype="Int64"))
    own = clips.rename(columns={"engagement": "label"}).assign(task="engagement", predicted=label)
    html = results_html(results_table({"x": evaluate(own, clips, [ORDINAL], resamples=50)}))
    assert ("1.000 ▲" in html) == (subjects >= 6)


@pytest.mark.parametrize("subjects", [6, 16])
def test_guessers_are_seldom_above_the_floors(subjects):
    """Each subject has labels of its own kind, and is given levels of another kind at random."""
    rng = np.random.default_rng(subjects)
    share = np.array([0.45, 0.3, 0.15, 0.1])
    below = dict.fromkeys(RANDOM, 0)
    for _ in range(100):
        label, guess = (
            np.concatenate([rng.choice(4, 40, p=p) for p in rng.dirichlet(5 * share, subjects)])
            for _ in range(2)
        )
        who = np.repeat(np.arange(subjects), 40).astype(str).astype(object)
        found = p_floor(subject_confusions(who, label, guess, 4), share, ORDINAL, seed=1)
        for name in ("macro_f1", "balanced_accuracy", "kappa"):
            below[name] += found[name] < 0.05
    assert max(below.values()) <= 10, below


def test_only_the_test_split_has_p():
    rows = [(f"{split}{i}", split, i % 2) for split in ("validation", "test") for i in range(40)]
    table = pd.DataFrame(rows, columns=["clip_id", "split", "label"])
    table["subject"] = table["split"] + (table.index % 8).astype(str)
    clips = table.rename(columns={"label": "engagement"}).astype({"engagement": "Int64"})
    own = table.assign(task="engagement", predicted=table["label"])
    results = results_table({"x": evaluate(own, clips, [ORDINAL], resamples=50)})
    tested = results[results["p_floor"].notna()]
    assert set(tested["split"]) == {"test"} and set(tested["metric"]) == {*RANDOM}
