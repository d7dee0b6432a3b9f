"""Two predictors exchanged within subjects: p against literal exchanges of clips."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.evaluation.intervals import occurring, subject_confusions, summary
from affectflow.evaluation.metrics import measure
from affectflow.evaluation.swap import (
    DRAWS,
    EXACT_SUBJECTS,
    every_exchange,
    least_p,
    swap_test,
)

TASK = Task("engagement", "ordinal", LEVELS)
METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "kappa", "mae")


def study(subjects, each, seed, better=0.0):
    """Return whose clip it is, its label, and what two predictors say."""
    rng = np.random.default_rng(seed)
    count = subjects * each
    label = rng.choice(4, count, p=[0.1, 0.2, 0.3, 0.4])
    one = np.where(rng.random(count) < 0.3, label, rng.integers(0, 4, count))
    other = np.where(rng.random(count) < 0.3 + better, label, rng.integers(0, 4, count))
    return np.repeat(np.arange(subjects), each).astype(str).astype(object), label, one, other


def exchange(subject, label, one, other, seed=1):
    first = subject_confusions(subject, label, one, 4)
    second = subject_confusions(subject, label, other, 4)
    return swap_test(first, second, partial(summary, task=TASK, levels=occurring(first)), seed)


@given(st.integers(0, 9999))
@settings(max_examples=6, deadline=None)
def test_p_is_the_share_of_literal_exchanges(seed):
    subject, label, one, other = study(4, 6, seed, better=0.4)
    found = exchange(subject, label, one, other)
    differences = []
    for who in product((False, True), repeat=4):
        swapped = np.array(who)[subject.astype(int)]
        after = [
            measure(label, np.where(swapped, second, first), TASK)
            for first, second in ((one, other), (other, one))
        ]
        differences.append([after[1][name] - after[0][name] for name in METRICS])
    size = np.abs(differences)
    shares = (size >= size[0] - 1e-9).mean(axis=0)
    for name, share in zip(METRICS, shares, strict=True):
        assert found.p[name] == pytest.approx(share), name


def test_drawn_exchanges_agree_with_all_of_them():
    subject, label, one, other = study(EXACT_SUBJECTS + 1, 8, seed=3, better=0.1)
    found = exchange(subject, label, one, other)
    first = subject_confusions(subject, label, one, 4).astype(float)
    second = subject_confusions(subject, label, other, 4).astype(float)
    values = partial(summary, task=TASK, levels=occurring(first))
    moved = np.tensordot(every_exchange(len(first)).T, second - first, axes=1)
    for name in METRICS:
        after = values(second.sum(axis=0) - moved)[name] - values(first.sum(axis=0) + moved)[name]
        share = np.mean(np.abs(after) >= np.abs(after[0]) - 1e-9)
        assert found.p[name] == pytest.approx(share, rel=0.35, abs=0.01), name
    assert found.least == pytest.approx(2 / 2**15)


@pytest.mark.parametrize("subjects", [1, 2, 3, 6, EXACT_SUBJECTS])
def test_the_least_p_is_reached_by_whoever_is_right_everywhere(subjects):
    subject, label, _, _ = study(subjects, 6, seed=0)
    found = exchange(subject, label, (label + 1) % 4, label)
    assert found.subjects == subjects
    assert found.p["accuracy"] == found.least == least_p(subjects) == 2 / 2**subjects


def test_the_least_p_beyond_what_can_be_enumerated():
    subject, label, _, _ = study(40, 6, seed=0)
    found = exchange(subject, label, (label + 1) % 4, label)
    assert found.p["accuracy"] == found.least == 1 / (DRAWS + 1)
    assert least_p(2000) == 1 / (DRAWS + 1)
    assert least_p(0) == 1


def test_predictors_that_do_not_differ():
    subject, label, one, _ = study(8, 5, seed=0)
    found = exchange(subject, label, one, one)
    assert (found.subjects, found.least) == (0, 1)
    assert set(found.p.values()) == {1}


def test_subjects_without_a_difference_count_for_nothing():
    subject, label, one, other = study(30, 6, seed=0, better=0.7)
    other = np.where(subject.astype(int) < 4, other, one)
    found = exchange(subject, label, one, other)
    assert found.subjects == 4
    assert min(found.p.values()) >= found.least == 2 / 2**4


def test_the_order_of_the_two_is_a_matter_of_names():
    subject, label, one, other = study(20, 6, seed=5, better=0.1)
    assert exchange(subject, label, one, other).p == exchange(subject, label, other, one).p


def test_what_is_undefined_has_no_p():
    subject, label, one, _ = study(8, 5, seed=0)
    label = np.ones_like(label)
    found = exchange(subject, label, np.ones_like(one), one)
    assert np.isnan(found.p["kappa"])
    assert found.p["accuracy"] == found.least


@pytest.mark.parametrize(("subjects", "trials"), [(6, 300), (16, 100)])
def test_p_is_below_a_level_no_more_often_than_it_says(subjects, trials):
    """Two guessers, each with a taste of its own for each subject: clips of one hang together."""
    rng = np.random.default_rng(subjects)
    below = dict.fromkeys(METRICS, 0)
    for trial in range(trials):
        subject, label, _, _ = study(subjects, 10, seed=trial)
        one, other = (
            np.concatenate(
                [rng.choice(4, 10, p=rng.dirichlet(np.ones(4))) for _ in range(subjects)]
            )
            for _ in range(2)
        )
        found = exchange(subject, label, one, other)
        for name in METRICS:
            below[name] += found.p[name] < 0.05
    # Three standard errors above a twentieth.
    most = trials * 0.05 + 3 * np.sqrt(trials * 0.05 * 0.95)
    assert all(count <= most for count in below.values()), below
    assert sum(below.values()) > 0
