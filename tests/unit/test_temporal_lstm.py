"""The dissertation's sequence model against its table, its equations and Keras' documentation."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.devices import reproducible
from affectflow.temporal.heads.lstm import LSTMHead, build
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.temporal.settings import head_settings

# Abraham 2022, Table 3.1 (D=128, LSTM 256-256, fully connected 128-64, four levels).
TABLE_3_1 = {
    "lstm": 394_240,
    "dropout": 0,
    "lstm_1": 525_312,
    "fc1": 32_896,
    "fc2": 8_256,
    "y1": 260,
    "y2": 260,
    "y3": 260,
    "y4": 260,
}
TABLE = {"lstm_units": [256, 256], "dropout": 0.3, "fc_units": [128, 64]}
TINY = {"lstm_units": [5, 4], "dropout": 0.3, "fc_units": [6, 3]}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with reproducible(threads=1):
        yield


def trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def layers(model: SequenceModel) -> dict[str, nn.Module]:
    fixed = dict(model.head.named_children())
    return fixed | {f"y{i}": layer for i, layer in enumerate(model.y, start=1)}


def test_trainable_parameters_are_table_3_1_layer_by_layer():
    model = SequenceModel("lstm", TABLE, 128, DAISEE_TASKS)
    assert {name: trainable(layer) for name, layer in layers(model).items()} == TABLE_3_1
    assert trainable(model) == sum(TABLE_3_1.values())


def test_pinned_table_3_1_is_the_shared_one(shared):
    with (shared / "reference" / "table_3_1_layers.csv").open(newline="") as file:
        rows = {row["layer"]: int(row["parameters"]) for row in csv.DictReader(file)}
    assert rows.pop("lstm_input") == 0
    assert rows == TABLE_3_1


def test_default_settings_are_experiment_1s():
    assert {key: spec["default"] for key, spec in head_settings("lstm").items()} == TABLE


@pytest.mark.parametrize(("inputs", "units"), [(128, 256), (256, 256)])
def test_lstm_starts_as_keras_does(inputs, units):
    torch.manual_seed(0)
    head = build(128, TABLE)
    layer = head.lstm if inputs == 128 else head.lstm_1
    weight, recurrent, bias, second = (p.detach() for p in layer.all_weights[0])
    # keras.initializers.GlorotUniform: limit = sqrt(6 / (fan_in + fan_out)), over (inputs, 4 units)
    limit = math.sqrt(6 / (inputs + 4 * units))
    assert weight.abs().max() <= limit
    assert weight.std() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    # keras.initializers.Orthogonal of shape (units, 4 units): orthonormal rows
    kernel = recurrent.T.double()
    torch.testing.assert_close(
        kernel @ kernel.T, torch.eye(units, dtype=torch.float64), atol=1e-5, rtol=0
    )
    # unit_forget_bias; gates in the order input, forget, cell, output
    assert torch.equal(bias.view(4, units)[1], torch.ones(units))
    assert not bias.view(4, units)[[0, 2, 3]].any()
    assert not second.any()


def test_dense_layers_start_as_keras_does():
    torch.manual_seed(0)
    layer = build(128, TABLE).fc1
    limit = math.sqrt(6 / (256 + 128))
    assert layer.weight.abs().max() <= limit
    assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


def test_second_bias_stays_zero_through_training():
    head = build(4, TINY)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(3):
        features = head(torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool))
        optimiser.zero_grad()
        features.square().sum().backward()
        optimiser.step()
    assert not head.lstm.bias_hh_l0.any()
    assert not head.lstm_1.bias_hh_l0.any()
    assert head.lstm.bias_ih_l0[:5].any()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def keras_lstm(layer: nn.LSTM, steps: np.ndarray) -> np.ndarray:
    """Eqs. 3.1-3.6 step by step in float64; (S, D) -> (S, H)."""
    kernel, recurrent, bias, _ = (p.detach().double().numpy().T for p in layer.all_weights[0])
    hidden = cell = np.zeros(layer.hidden_size)
    out = []
    for x in steps:
        i, f, c, o = np.split(x @ kernel + hidden @ recurrent + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        out.append(hidden)
    return np.array(out).reshape(-1, layer.hidden_size)


def reference(head: LSTMHead, clip: np.ndarray, mask: np.ndarray) -> np.ndarray:
    states = keras_lstm(head.lstm_1, keras_lstm(head.lstm, clip[mask]))
    x = states[-1] if len(states) else np.zeros(head.lstm_1.hidden_size)
    for layer in (head.fc1, head.fc2):
        x = np.maximum(layer.weight.detach().double().numpy() @ x + layer.bias.detach().numpy(), 0)
    return x


masks = st.integers(1, 9).flatmap(
    lambda s: st.lists(st.lists(st.booleans(), min_size=s, max_size=s), min_size=1, max_size=4)
)


@settings(max_examples=40)
@given(masks, st.integers(0, 2**31))
def test_head_is_the_equations_with_masked_frames_skipped(rows, seed):
    torch.manual_seed(seed)
    mask = torch.tensor(rows)
    head = build(4, TINY).eval()
    nn.init.normal_(head.fc1.bias)
    clips = torch.randn(*mask.shape, 4)
    with torch.no_grad():
        features = head(clips, mask)
    for i, clip in enumerate(clips.double().numpy()):
        np.testing.assert_allclose(features[i], reference(head, clip, mask[i].numpy()), atol=2e-6)


@settings(max_examples=40)
@given(masks, st.integers(0, 2**31), st.sampled_from(["dataset", "clip", "none"]))
def test_content_of_masked_frames_changes_no_bit(rows, seed, normalise):
    torch.manual_seed(seed)
    mask = torch.tensor(rows)
    model = SequenceModel("lstm", TINY, 4, DAISEE_TASKS, normalise).eval()
    clips = torch.randn(*mask.shape, 4)
    other = clips.clone()
    other[~mask] = torch.tensor([math.nan, math.inf, -1e30, 7.0])
    with torch.no_grad():
        for one, two in zip(model(clips, mask), model(other, mask), strict=True):
            assert torch.equal(one, two)


@settings(max_examples=40)
@given(
    st.integers(0, 6),
    st.lists(st.integers(0, 6), max_size=8),
    st.integers(0, 2**31),
    st.sampled_from(["dataset", "clip", "none"]),
)
def test_padding_anywhere_changes_nothing(frames, insertions, seed, normalise):
    torch.manual_seed(seed)
    model = SequenceModel("lstm", TINY, 4, DAISEE_TASKS, normalise).eval()
    clip = torch.randn(frames + 1, 4)
    padded, mask = list(clip), [True] * len(clip)
    for place in insertions:
        padded.insert(place, torch.full((4,), 9.0))
        mask.insert(place, False)
    with torch.no_grad():
        short = model(clip[None], torch.ones(1, len(clip), dtype=torch.bool))
        long = model(torch.stack(padded)[None], torch.tensor([mask]))
    for one, two in zip(short, long, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_order_of_frames_matters():
    torch.manual_seed(0)
    head = build(4, TINY).eval()
    clip, mask = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    with torch.no_grad():
        assert not torch.allclose(head(clip, mask), head(clip.flip(1), mask), atol=1e-4)
