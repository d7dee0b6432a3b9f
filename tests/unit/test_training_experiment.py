"""Experiment keys: defaults, checks, messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.errors import UserError
from affectflow.training.experiment import SETTINGS, TUNING, read_experiment, schema


def test_defaults_are_the_dissertations_training():
    # Section 4.2 (Adam, 0.001) and Table 4.2, experiment 1.
    experiment = read_experiment({})
    assert (experiment.epochs, experiment.batch_size) == (100, 32)
    assert experiment.learning_rate == 1e-3
    assert experiment.settings["lstm_units"] == [256, 256]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 500),
            "batch_size": st.integers(1, 512),
            "learning_rate": st.floats(1e-6, 1),
            "normalise": st.sampled_from(["dataset", "clip", "none"]),
            "labels": st.sampled_from(["given", "permuted"]),
            "select_by": st.sampled_from(["loss", "macro_f1", "balanced_accuracy", "kappa"]),
            "patience": st.none() | st.integers(1, 50),
            "frames": st.none() | st.integers(1, 300),
            "lstm_units": st.lists(st.integers(1, 2048), min_size=2, max_size=2),
            "dropout": st.floats(0, 0.99),
            "fine_tune": st.sampled_from(["last", "all"]),
        },
    )
)
def test_keys_come_back(keys):
    experiment = read_experiment(keys)
    assert keys.items() <= experiment.keys().items()
    told = set(schema("lstm", "cross_entropy")) - set(() if experiment.fine_tune else TUNING)
    assert set(experiment.keys()) == told
    assert read_experiment(experiment.keys()) == experiment


@pytest.mark.parametrize(
    ("keys", "message", "remedy"),
    [
        ({"epoch": 3}, "exp: unknown key 'epoch'", "Did you mean 'epochs'?"),
        ({"lstm_unit": [1, 2]}, "unknown key 'lstm_unit'", "'lstm_units'"),
        ({"epochs": 0}, "exp: epochs: 0 is less than the minimum of 1", "default is 100"),
        ({"batch_size": 2.5}, "batch_size: 2.5 is not of type", "32"),
        ({"learning_rate": 0}, "learning_rate: 0 is less than or equal", "0.001"),
        ({"select_by": "f1"}, "select_by: 'f1' is not one of", "loss"),
        ({"lstm_units": [256]}, "lstm_units", "256, 256"),
        ({"dropout": 1}, "dropout: 1 is greater", "0.3"),
        ({"head": "lstms"}, "unknown head 'lstms'", "'lstm'"),
        ({"fine_tune": "lst"}, "fine_tune: 'lst' is not one of [None, 'last', 'all']", "None"),
        ({"fine_tun": "last"}, "unknown key 'fine_tun'", "'fine_tune'"),
        ({"backbone_learning_rate": 1e-4}, "nothing of the backbone is trained", "fine_tune"),
        ({"fine_tune": "all", "backbone_learning_rate": 0}, "is less than or equal", "1e-05"),
        (
            {"fine_tune": "last", "head": "pooled_ridge"},
            "exp: unknown key 'fine_tune'",
            "take a head that is trained by epochs: pooled_ridge is not",
        ),
    ],
)
def test_wrong_keys_are_named(keys, message, remedy):
    with pytest.raises(UserError) as error:
        read_experiment(keys, "exp")
    assert message in error.value.message
    assert remedy in error.value.remedy


def test_training_and_head_keys_do_not_collide():
    assert not SETTINGS.keys() & (schema("lstm", "cross_entropy").keys() - SETTINGS.keys())
    assert all("default" in spec for spec in schema("lstm", "cross_entropy").values())
