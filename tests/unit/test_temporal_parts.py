"""Standardiser, loss, choice of frames, and settings of heads."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.frames import evenly_spaced, places
from affectflow.temporal.objective import Objective
from affectflow.temporal.settings import head_settings
from affectflow.temporal.standardise import Standardise, moments

TASKS = [Task("a", "ordinal", ("0", "1")), Task("b", "ordinal", ("0", "1", "2"))]


def test_loss_is_the_hand_computed_one():
    # Probabilities 1/2, 1/2 and 3/4, 1/4 for task 1; 1/3 each for task 2.
    logits = [torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.zeros(2, 3)]
    loss = Objective("cross_entropy", TASKS)
    both = loss(logits, torch.tensor([[0, 1], [1, 2]]))
    assert both.item() == pytest.approx((math.log(2) + math.log(4)) / 2 + math.log(3), rel=1e-6)
    # Clip 1 has no label for task 1, no clip has one for task 2.
    partly = loss(logits, torch.tensor([[-1, -1], [0, -1]]))
    assert partly.item() == pytest.approx(math.log(4 / 3), rel=1e-6)


def test_missing_labels_give_no_gradient():
    logits = [torch.zeros(2, 2, requires_grad=True), torch.zeros(2, 3, requires_grad=True)]
    Objective("cross_entropy", TASKS)(logits, torch.tensor([[0, -1], [-1, -1]])).backward()
    assert torch.equal(logits[0].grad, torch.tensor([[-0.5, 0.5], [0.0, 0.0]]))
    assert not logits[1].grad.any()


def test_probabilities_are_the_softmax():
    (p,) = Objective("cross_entropy", TASKS[:1]).probabilities([torch.tensor([[math.log(3), 0.0]])])
    torch.testing.assert_close(p, torch.tensor([[0.75, 0.25]]))


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 7), min_size=1, max_size=5), st.booleans())
def test_moments_in_blocks_are_numpys(seed, sizes, per_clip):
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    x = (rng.normal(5, 3, (n, 4, 3))).astype(np.float16)
    mask = rng.random((n, 4)) > 0.4
    mask[0] = [True, True, False, False]
    x[~mask] = np.nan
    cuts = np.cumsum(sizes)[:-1]
    mean, std = moments(zip(np.split(x, cuts), np.split(mask, cuts), strict=True), per_clip)
    wide = x.astype(np.float64)
    if per_clip:
        wide = np.stack(
            [c - c[m].mean(0) if m.any() else c for c, m in zip(wide, mask, strict=True)]
        )
    np.testing.assert_allclose(mean, wide[mask].mean(0), atol=1e-12)
    expected = wide[mask].std(0)
    np.testing.assert_allclose(std, np.where(expected > 0, expected, 1), rtol=1e-9)


def test_constant_feature_is_not_blown_up():
    x = np.ones((300, 2, 1), np.float16) * np.float16(0.1)
    mean, std = moments([(x, np.ones((300, 2), bool))])
    assert std == 1
    assert mean == pytest.approx(float(np.float16(0.1)))


@pytest.mark.parametrize("normalise", ["dataset", "clip"])
def test_standardised_training_frames_have_mean_0_and_deviation_1(normalise):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (20, 8, 5)).astype(np.float32) + rng.normal(0, 9, (20, 1, 5))
    x, mask = x.astype(np.float32), rng.random((20, 8)) > 0.3
    layer = Standardise(5, normalise)
    layer.measure([(x, mask)])
    scaled = layer(torch.from_numpy(x), torch.from_numpy(mask))
    assert not scaled[torch.from_numpy(~mask)].any()
    kept = scaled[torch.from_numpy(mask)]
    np.testing.assert_allclose(kept.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(kept.std(0, correction=0), 1, rtol=1e-5)
    assert sorted(layer.state_dict()) == ["keep", "mean", "std"]
    assert not list(layer.parameters())


def test_clip_normalisation_forgets_what_a_clip_always_shows():
    torch.manual_seed(0)
    x, mask = torch.randn(3, 6, 4), torch.ones(3, 6, dtype=torch.bool)
    layer = Standardise(4, "clip")
    torch.testing.assert_close(layer(x, mask), layer(x + 5 * torch.randn(3, 1, 4), mask))


def test_none_leaves_embeddings_as_they_are():
    x, mask = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    layer = Standardise(4, "none")
    layer.measure([(x.numpy(), mask.numpy())])
    assert torch.equal(layer(x, mask), x)


def test_100_frames_of_300_are_the_middles_of_threes():
    assert evenly_spaced(300, 100).tolist() == list(range(1, 300, 3))


@given(st.integers(1, 500), st.data())
def test_evenly_spaced_frames_are_distinct_and_even(available, data):
    wanted = data.draw(st.integers(1, available))
    places = evenly_spaced(available, wanted)
    assert len(places) == wanted
    assert places[0] >= 0
    assert places[-1] < available
    gaps = np.diff(places)
    assert (gaps >= 1).all()
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
    st.integers(1, 40) | st.none(),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
def test_each_clip_gives_its_own_frames_whatever_its_length(counts, wanted, faces, seed):
    counts = np.array(counts)
    mask = np.random.default_rng(seed).random((len(counts), 40)) < faces
    mask &= np.arange(40) < counts[:, None]
    frames, used = places(counts, mask, wanted)
    width = 40 if wanted is None else wanted
    assert frames.shape == used.shape == (len(counts), width)
    for count, face, row, seen in zip(counts, mask, frames, used, strict=True):
        chosen = row[: min(count, width)]
        assert seen.any() == face.any(), "no clip with a face is dropped"
        assert not seen[len(chosen) :].any()
        assert np.array_equal(row[seen], np.unique(row[seen])) and face[row[seen]].all()
        even = evenly_spaced(count, len(chosen))
        if face[even].any():
            assert chosen.tolist() == even.tolist()
            assert np.array_equal(seen[: len(chosen)], face[even])
        else:
            assert seen.sum() == min(face.sum(), width)


def test_clips_of_one_length_are_sampled_as_they_were():
    mask = np.random.default_rng(0).random((5, 300)) < 0.7
    frames, used = places(np.full(5, 300), mask, 100)
    assert (frames == np.arange(1, 300, 3)).all()
    assert np.array_equal(used, mask[:, 1::3])


def test_a_short_clip_gives_its_frames_not_its_share_of_the_longest():
    mask = np.arange(300) < np.array([[150], [300]])
    assert places(np.array([150, 300]), mask, 100)[1].sum(axis=1).tolist() == [100, 100]
    late = np.zeros((1, 300), bool)
    late[0, [3, 17]] = True  # and 5 of its 20 frames are 2, 6, 10, 14, 18
    frames, used = places(np.array([20]), late, 5)
    assert frames[used].tolist() == [3, 17]


def test_more_frames_than_embedded_is_the_users_error():
    with pytest.raises(UserError, match="30 per clip are asked for, and 10 are embedded"):
        evenly_spaced(10, 30)


def test_settings_are_read_without_torch():
    code = (
        "import sys\n"
        "from affectflow.training.experiment import read_experiment, schema\n"
        "schema('lstm', 'coral'); read_experiment({'lstm_units': [8, 8]})\n"
        "assert not {'torch', 'cv2', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_unknown_head_is_the_users_error():
    with pytest.raises(UserError, match="unknown head 'lstn'") as error:
        head_settings("lstn")
    assert "'lstm'" in error.value.remedy
