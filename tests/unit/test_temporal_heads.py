"""Every sequence head: what all of them promise, and each against its equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from training_sequences import TASKS, sequences

from affectflow import registry
from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.devices import reproducible
from affectflow.temporal.decide import Decision
from affectflow.temporal.frames import valid_first
from affectflow.temporal.heads.transformer import places
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.temporal.settings import HEADS, LOSSES, head_settings, loss_settings
from affectflow.training import experiment as experiments
from affectflow.training.experiment import read_experiment
from affectflow.training.feed import Feed
from affectflow.training.fit import Fitted, fit
from affectflow.training.model_files import load_model, save_model
from affectflow.training.predict import forward
from affectflow.training.validation import validate

CPU = torch.device("cpu")
DIM = 4
TINY = {
    "lstm": {"lstm_units": [5, 4], "dropout": 0.3, "fc_units": [6, 3]},
    "gru": {"gru_units": [5, 4], "dropout": 0.3, "fc_units": [3]},
    "bilstm": {"lstm_units": [3, 4], "dropout": 0.3, "fc_units": [5]},
    "tcn": {"channels": 5, "layers": 3, "kernel_size": 2, "dropout": 0.3, "fc_units": [3]},
    "attention": {"attention_units": 5, "dropout": 0.3, "fc_units": [6, 3]},
    "transformer": {
        "layers": 2,
        "attention_heads": 2,
        "head_units": 3,
        "feedforward_units": 5,
        "dropout": 0.3,
        "fc_units": [],
    },
}
# Small enough to be quick, large enough to learn what `training_sequences` makes.
LEARN = {
    "lstm": {"lstm_units": [12, 8], "fc_units": [8, 8]},
    "gru": {"gru_units": [12, 8], "fc_units": [8]},
    "bilstm": {"lstm_units": [8, 6], "fc_units": [8]},
    "tcn": {"channels": 12, "layers": 2, "kernel_size": 3},
    "attention": {"attention_units": 8, "fc_units": [8]},
    "transformer": {"layers": 1, "attention_heads": 2, "head_units": 8, "feedforward_units": 16},
}
ORDERED = sorted(TINY.keys() - {"attention"})
NORMALISE = st.sampled_from(["dataset", "clip", "none"])
SEEDS = st.integers(0, 2**31)
EVERY = pytest.mark.parametrize("name", sorted(TINY))

masks = st.integers(1, 9).flatmap(
    lambda s: st.lists(st.lists(st.booleans(), min_size=s, max_size=s), min_size=1, max_size=4)
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with reproducible(threads=1):
        yield


def defaults(name: str) -> dict:
    return {key: spec["default"] for key, spec in head_settings(name).items()}


def build(name: str, dim: int = DIM, **own: object) -> nn.Module:
    return biased(registry.load(HEADS, name).build(dim, {**TINY[name], **own})).eval()


def model_of(name: str, normalise: str = "none") -> nn.Module:
    return biased(SequenceModel(name, TINY[name], DIM, DAISEE_TASKS, normalise)).eval()


def biased(module: nn.Module) -> nn.Module:
    """Draw positive biases: zeros hide a wrong use of them, and few units often are all silent."""
    for key, parameter in module.named_parameters():
        if "bias" in key and parameter.requires_grad:
            nn.init.uniform_(parameter, 0.2, 1)
    return module


def whole(clip: Tensor) -> tuple[Tensor, Tensor]:
    """A clip (S, D) as a batch of one without a masked frame."""
    return clip[None], torch.ones(1, len(clip), dtype=torch.bool)


# what a config says


def test_every_head_is_tested_here():
    assert sorted(TINY) == registry.names(HEADS)


@EVERY
def test_settings_have_valid_defaults_and_names_of_their_own(name):
    experiment = read_experiment({"head": name})
    assert experiment.settings == defaults(name)
    assert read_experiment({"head": name, **TINY[name]}).settings == TINY[name]
    others = set(experiments.SETTINGS).union(*map(loss_settings, registry.names(LOSSES)))
    assert not others & set(head_settings(name))


DENSE_128_64 = 512 * 128 + 128 + 128 * 64 + 64
PARAMETERS = {
    # Per gate: input weights, recurrent weights, a bias; a GRU has two biases.
    "lstm": 4 * (512 * 256 + 256 * 256 + 256)
    + 4 * (256 * 256 + 256 * 256 + 256)
    + (256 * 128 + 128 + 128 * 64 + 64),
    "gru": 3 * (512 * 128 + 128 * 128 + 2 * 128)
    + 3 * (128 * 128 + 128 * 128 + 2 * 128)
    + (128 * 64 + 64),
    "bilstm": 2 * 4 * (512 * 64 + 64 * 64 + 64)
    + 2 * 4 * (128 * 64 + 64 * 64 + 64)
    + (128 * 64 + 64),
    # Per convolution: directions, a length per channel, a bias per channel; and the 1x1 one.
    "tcn": (512 * 64 * 3 + 64 + 64) + 13 * (64 * 64 * 3 + 64 + 64) + (512 * 64 + 64),
    "attention": 2 * 512 * 128 + 128 + DENSE_128_64,
    # Per layer: queries, keys, values, joining; two dense layers; two norms. A norm at the end.
    "transformer": (512 * 128 + 128)
    + 2 * (4 * 128 * 128 + (128 * 256 + 256) + (256 * 128 + 128) + 2 * 2 * 128)
    + 2 * 128,
}


@EVERY
def test_trainable_parameters_of_the_defaults(name):
    head = registry.load(HEADS, name).build(512, defaults(name))
    assert sum(p.numel() for p in head.parameters() if p.requires_grad) == PARAMETERS[name]
    with torch.no_grad():
        assert head(*whole(torch.randn(3, 512))).shape == (1, head.width)


@pytest.mark.parametrize(
    ("name", "width"), [("gru", 4), ("bilstm", 8), ("tcn", 5), ("attention", DIM)]
)
def test_no_dense_layer_is_needed(name, width):
    head = build(name, fc_units=[])
    assert head(*whole(torch.randn(3, DIM))).shape == (1, width) == (1, head.width)


# masks


@EVERY
@settings(max_examples=20)
@given(masks, SEEDS, NORMALISE)
def test_content_of_masked_frames_changes_no_bit(name, rows, seed, normalise):
    torch.manual_seed(seed)
    mask = torch.tensor(rows)
    model = model_of(name, normalise)
    clips = torch.randn(*mask.shape, DIM)
    other = clips.clone()
    other[~mask] = torch.tensor([math.nan, math.inf, -1e30, 7.0])
    with torch.no_grad():
        for one, two in zip(model(clips, mask), model(other, mask), strict=True):
            assert torch.equal(one, two)


@EVERY
@settings(max_examples=20)
@given(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=8), SEEDS, NORMALISE)
def test_padding_anywhere_changes_nothing(name, frames, insertions, seed, normalise):
    torch.manual_seed(seed)
    model = model_of(name, normalise)
    clip = torch.randn(frames + 1, DIM)
    padded, mask = list(clip), [True] * len(clip)
    for place in insertions:
        padded.insert(place, torch.full((DIM,), 9.0))
        mask.insert(place, False)
    with torch.no_grad():
        short = model(*whole(clip))
        long = model(torch.stack(padded)[None], torch.tensor([mask]))
    for one, two in zip(short, long, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


@EVERY
@settings(max_examples=20)
@given(masks, SEEDS)
def test_clip_alone_is_the_clip_in_a_batch(name, rows, seed):
    torch.manual_seed(seed)
    head, mask = build(name), torch.tensor(rows)
    clips = torch.randn(*mask.shape, DIM)
    with torch.no_grad():
        together = head(clips, mask)
        alone = [head(clips[i : i + 1], mask[i : i + 1]) for i in range(len(mask))]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@EVERY
def test_clip_without_a_frame_gives_numbers_and_takes_none(name):
    torch.manual_seed(0)
    head, nothing = build(name), torch.zeros(2, 5, dtype=torch.bool)
    clips = torch.full((2, 5, DIM), math.nan)
    clips[1] = torch.randn(5, DIM) * 1e30
    with torch.no_grad():
        features, empty = head(clips, nothing), head(torch.zeros_like(clips), nothing)
        longer = head(torch.randn(1, 9, DIM), torch.zeros(1, 9, dtype=torch.bool))
    assert torch.isfinite(features).all()
    assert torch.equal(features, empty)
    # A processor may round the clips of a batch by different paths.
    torch.testing.assert_close(features[0], features[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(features[:1], longer, atol=1e-6, rtol=0)


# order


@pytest.mark.parametrize("name", ORDERED)
def test_order_of_frames_matters(name):
    torch.manual_seed(1)
    head, clips = build(name), torch.randn(8, 6, DIM)
    mask = torch.ones(8, 6, dtype=torch.bool)
    with torch.no_grad():
        change = head(clips, mask) - head(clips.flip(1), mask)
    assert (change.abs().amax(1) > 1e-3).all()


@settings(max_examples=20)
@given(st.permutations(range(7)), SEEDS)
def test_order_of_frames_is_nothing_to_attention(order, seed):
    torch.manual_seed(seed)
    head, clip = build("attention"), torch.randn(7, DIM)
    with torch.no_grad():
        one, two = head(*whole(clip)), head(*whole(clip[list(order)]))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


# training


@EVERY
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_gradients_are_finite_and_reach_every_trainable_parameter(name, mode):
    torch.manual_seed(0)
    model = SequenceModel(name, TINY[name], DIM, DAISEE_TASKS, "dataset").train(mode == "train")
    mask = torch.rand(32, 9) > 0.2
    mask[0] = False
    clips = torch.randn(32, 9, DIM).masked_fill(~mask[:, :, None], math.nan)
    levels = torch.randint(0, 4, (32, len(DAISEE_TASKS)))
    model.objective(model(clips, mask), levels).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.any(), key


@EVERY
def test_dropout_is_for_training_alone(name):
    torch.manual_seed(0)
    head, clip = build(name, dropout=0.5), torch.randn(9, DIM)
    with torch.no_grad():
        assert torch.equal(head(*whole(clip)), head(*whole(clip)))
        head.train()
        assert len({tuple(head(*whole(clip))[0].tolist()) for _ in range(8)}) > 1


@pytest.mark.parametrize(("name", "units"), [("gru", "gru_units"), ("bilstm", "lstm_units")])
def test_recurrent_dropout_is_between_layers(name, units):
    torch.manual_seed(0)
    head, clip = build(name, dropout=0.5, **{units: [4]}), torch.randn(9, DIM)
    with torch.no_grad():
        assert torch.equal(head(*whole(clip)), head.train()(*whole(clip)))


def fitted(name: str, folder: Path, **keys: object) -> Fitted:
    own = {"batch_size": 16, "learning_rate": 0.01, "dropout": 0.1, **LEARN[name], **keys}
    experiment = read_experiment({"head": name, **own})
    folder.mkdir(exist_ok=True)
    return fit(sequences(), TASKS, experiment, folder / "checkpoint.pt", device=CPU, seed=3)


@EVERY
def test_learns_when_something_happened(name, tmp_path):
    model = fitted(name, tmp_path, epochs=25, select_by="kappa").model
    data = sequences()
    test = np.flatnonzero(data.split == "test")
    scores = forward(model, Feed(data, CPU), test, 64)
    got = validate(scores, torch.from_numpy(data.levels[test]), model.objective)
    assert got["validation_kappa_camera"] > 0.9
    if name == "attention":
        # `engagement` is when something happened, and frames without an order don't tell.
        assert abs(got["validation_kappa_engagement"]) < 0.4
    else:
        assert got["validation_kappa_engagement"] > 0.8


@EVERY
def test_two_fits_give_the_same_bits(name, tmp_path):
    one = fitted(name, tmp_path / "one", epochs=2, time_mask=0.3)
    two = fitted(name, tmp_path / "two", epochs=2, time_mask=0.3)
    assert one.history.equals(two.history)
    states = one.model.state_dict(), two.model.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@EVERY
def test_saved_model_comes_back(name, tmp_path):
    torch.manual_seed(0)
    model = model_of(name)
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_model(model, *files, [Decision("mode")] * len(DAISEE_TASKS), {})
    clips, mask = torch.randn(3, 6, DIM), torch.rand(3, 6) > 0.3
    with torch.no_grad():
        before, after = model(clips, mask), load_model(*files, CPU)(clips, mask)
    for one, two in zip(before, after, strict=True):
        assert torch.equal(one, two)


# equations, slowly and in float64

Clip = NDArray[np.float64]


def numbers(parameter: Tensor) -> Clip:
    return parameter.detach().double().numpy()


def sigmoid(x: Clip) -> Clip:
    return 1 / (1 + np.exp(-x))


def relu(x: Clip) -> Clip:
    return np.maximum(x, 0)


def dense(layers: nn.Module, x: Clip) -> Clip:
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            x = relu(numbers(layer.weight) @ x + numbers(layer.bias))
    return x


def gru_reference(head: nn.Module, clip: Clip) -> Clip:
    """Cho et al. 2014, eqs. 5 to 8; the reset gate acts after the recurrent weights."""
    for layer in head.layers:
        kernel, recurrent, bias, recurrent_bias = map(numbers, layer.all_weights[0])
        hidden, states = np.zeros(layer.hidden_size), []
        for x in clip:
            r_x, z_x, n_x = np.split(kernel @ x + bias, 3)
            r_h, z_h, n_h = np.split(recurrent @ hidden + recurrent_bias, 3)
            reset, update = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
            hidden = update * hidden + (1 - update) * np.tanh(n_x + reset * n_h)
            states.append(hidden)
        clip = np.array(states).reshape(-1, layer.hidden_size)
    return dense(head.fc, hidden)


@torch.no_grad()
def bilstm_reference(head: nn.Module, clip: Clip) -> Clip:
    """Each layer by torch's own bidirectional one."""
    states, ends = torch.from_numpy(clip), [torch.zeros(2 * head.ahead[-1].hidden_size)]
    for ahead, back in zip(head.ahead, head.back, strict=True):
        if not len(clip):
            break
        layer = nn.LSTM(ahead.input_size, ahead.hidden_size, bidirectional=True).double()
        for suffix, own in (("", ahead), ("_reverse", back)):
            for key, value in own.named_parameters():
                getattr(layer, key + suffix).copy_(value)
        states, (ends, _) = layer(states)
    return dense(head.fc, torch.cat(list(ends)).numpy())


def convolution(layer: nn.Module, clip: Clip) -> Clip:
    """Bai et al. 2018, section 3.2: ``F(s) = sum_i f(i) x_(s - d i)``; zeros before the clip."""
    length = numbers(layer.parametrizations.weight.original0)
    direction = numbers(layer.parametrizations.weight.original1)
    norm = np.sqrt(np.square(direction).sum(axis=(1, 2), keepdims=True))
    weight = length * direction / norm
    (dilation,), (taps,) = layer.dilation, layer.kernel_size
    out = np.tile(numbers(layer.bias), (len(clip), 1))
    for s in range(len(clip)):
        for i in range(taps):
            if s - dilation * i >= 0:
                out[s] += weight[:, :, taps - 1 - i] @ clip[s - dilation * i]
    return out


def tcn_reference(head: nn.Module, clip: Clip) -> Clip:
    for i, block in enumerate(head.blocks):
        assert block.conv1.convolution.dilation == block.conv2.convolution.dilation == (2**i,)
        y = relu(convolution(block.conv1.convolution, clip))
        y = relu(convolution(block.conv2.convolution, y))
        if isinstance(block.around, nn.Conv1d):
            clip = clip @ numbers(block.around.weight)[:, :, 0].T + numbers(block.around.bias)
        clip = relu(y + clip)
    return dense(head.fc, clip[-1] if len(clip) else np.zeros(clip.shape[1]))


def attention_reference(head: nn.Module, clip: Clip) -> Clip:
    """Ilse et al. 2018, eqs. 7 and 9."""
    v, u, w = (numbers(layer.weight) for layer in (head.v, head.u, head.w))
    weights = [np.exp(w @ (np.tanh(v @ h) * sigmoid(u @ h))) for h in clip]
    mean = sum((a * h for a, h in zip(weights, clip, strict=True)), np.zeros(DIM))
    return dense(head.fc, mean / sum(weights) if len(clip) else mean)


@torch.no_grad()
def transformer_reference(head: nn.Module, clip: Clip) -> Clip:
    """Each layer by torch's own."""
    clip = clip if len(clip) else np.zeros((1, DIM))
    width = head.enter.out_features
    x = clip @ numbers(head.enter.weight).T + numbers(head.enter.bias)
    for place in range(len(x)):
        for i in range(width):
            angle = place / 10_000 ** (2 * (i // 2) / width)
            x[place, i] += math.cos(angle) if i % 2 else math.sin(angle)
    states = torch.from_numpy(x)
    for own in head.layers:
        layer = nn.TransformerEncoderLayer(
            width, own.attention_heads, own.fc1.out_features, 0, norm_first=True
        )
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": own.project.weight,
                "self_attn.in_proj_bias": torch.zeros(3 * width),
                "self_attn.out_proj.weight": own.join.weight,
                "self_attn.out_proj.bias": torch.zeros(width),
            }
            | {f"linear{i}.{k}": v for i in (1, 2) for k, v in part(own, f"fc{i}")}
            | {f"norm{i}.{k}": v for i in (1, 2) for k, v in part(own, f"norm{i}")}
        )
        states = layer.double()(states[:, None])[:, 0]
    return dense(head.fc, head.norm.double()(states).mean(0).numpy())


def part(module: nn.Module, name: str) -> list[tuple[str, nn.Parameter]]:
    return list(module.get_submodule(name).named_parameters())


REFERENCES: dict[str, Callable[[nn.Module, Clip], Clip]] = {
    "gru": gru_reference,
    "bilstm": bilstm_reference,
    "tcn": tcn_reference,
    "attention": attention_reference,
    "transformer": transformer_reference,
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
@settings(max_examples=20)
@given(masks, SEEDS)
def test_head_is_its_equations_with_masked_frames_skipped(name, rows, seed):
    torch.manual_seed(seed)
    head, mask = build(name), torch.tensor(rows)
    clips = torch.randn(*mask.shape, DIM)
    with torch.no_grad():
        features = head(clips, mask).numpy()
    for i, clip in enumerate(clips.double().numpy()):
        expected = REFERENCES[name](head, clip[mask[i].numpy()])
        np.testing.assert_allclose(features[i], expected, atol=1e-5)


@pytest.mark.parametrize("width", [1, 6, 7])
def test_places_are_sines_and_cosines(width):
    expected = [
        [
            (math.cos if i % 2 else math.sin)(place / 10_000 ** ((i - i % 2) / width))
            for i in range(width)
        ]
        for place in range(300)
    ]
    np.testing.assert_allclose(places(300, width), expected, atol=1e-4)


# what a temporal convolution sees


def reach(head: nn.Module, frames: int, dim: int) -> Tensor:
    """How much each frame, the last one first, moves the head's output."""
    clip = torch.rand(frames, dim, requires_grad=True)
    head(*whole(clip)).sum().backward()
    return clip.grad.abs().sum(1).flip(0)


def test_tcn_sees_as_far_back_as_it_says():
    torch.manual_seed(0)
    head = build("tcn", channels=16, layers=3, kernel_size=3)
    assert head.receptive_field == 29
    with torch.no_grad():
        # No ReLU is silent then, so that what can be seen is.
        for parameter in head.parameters():
            parameter.abs_()
    moved = reach(head, 40, DIM)
    assert moved[28] > 0
    assert not moved[29:].any()


@pytest.mark.parametrize("frames", [100, 300])
def test_tcn_of_the_defaults_sees_the_first_frame_of_a_clip(frames):
    torch.manual_seed(0)
    head = registry.load(HEADS, "tcn").build(512, defaults("tcn")).eval()
    assert head.receptive_field == 509
    assert reach(head, frames, 512)[frames - 1] > 0


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=2, max_size=12), st.data())
def test_tcn_is_causal_among_unmasked_frames(row, data):
    mask = torch.tensor([row])
    if not mask.any():
        return
    torch.manual_seed(data.draw(SEEDS))
    changed = data.draw(st.integers(0, int(mask.sum()) - 1))
    head = build("tcn", channels=16)
    frames, length = valid_first(torch.randn(1, len(row), DIM), mask)
    other = frames.clone()
    other[0, changed] += 3
    with torch.no_grad():
        one, two = (head.blocks(x.transpose(1, 2))[0].T for x in (frames, other))
    assert torch.equal(one[:changed], two[:changed])
    assert not torch.equal(one[changed], two[changed])
    assert changed < length
