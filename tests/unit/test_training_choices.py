"""What an experiment may choose besides the head: balance, augmentation, clips, features."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from training_sequences import TASKS, arrays, predictions, sequences, train

from affectflow.dataset.tasks import Task
from affectflow.temporal.frames import key_frames
from affectflow.training.augment import jitter, mixup, time_mask
from affectflow.training.balance import draw_probabilities, level_weights
from affectflow.training.data import assemble
from affectflow.training.select import clip_means, correlated_features, draw_clips

RARE = [Task("engagement", "ordinal", ("low", "middle", "high"))]


def test_balanced_weights_are_scikit_learns() -> None:
    levels = np.array([0, 0, 0, 0, 1, 1, 2, -1])[:, None]
    (found,) = level_weights(levels, RARE, "balanced")
    known = levels[levels >= 0]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=known)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    (root,) = level_weights(levels, RARE, "sqrt")
    assert root[known].mean() == pytest.approx(1)
    np.testing.assert_allclose(root / root[0], np.sqrt(found / found[0]), rtol=1e-6)
    assert level_weights(levels, RARE, "none") is None


def test_a_level_without_clips_counts_nothing() -> None:
    (found,) = level_weights(np.array([[0], [2], [2]]), RARE, "balanced")
    assert found.tolist() == [1.5, 0, 0.75]
    (none,) = level_weights(np.array([[-1], [-1]]), RARE, "balanced")
    assert none.tolist() == [0, 0, 0]


def test_balanced_sampling_draws_each_level_as_often() -> None:
    levels = np.array([0] * 90 + [1] * 9 + [2])[:, None]
    p = draw_probabilities(levels, RARE)
    assert p.sum() == pytest.approx(1)
    for level in range(3):
        assert p[levels[:, 0] == level].sum() == pytest.approx(1 / 3)


@settings(max_examples=50)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**31),
)
def test_drawn_clips_are_the_same_share_of_every_subject(
    counts: list[int], share: float, seed: int
) -> None:
    subject = np.repeat([f"s{i}" for i in range(len(counts))], counts)
    wanted = max(1, int(share * len(subject)))
    found = draw_clips(subject, wanted, seed)
    assert len(found) == len(set(found)) == wanted
    assert np.array_equal(found, np.sort(found))
    for i, count in enumerate(counts):
        given_ = (subject[found] == f"s{i}").sum()
        assert abs(given_ - count * wanted / len(subject)) < 1
    assert np.array_equal(found, draw_clips(subject, wanted, seed))


def test_more_clips_than_there_are_is_all_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert draw_clips(np.array(["a", "b"]), 5343, 1).tolist() == [0, 1]
    assert "5343 are asked for, and there are 2" in caplog.text
    assert draw_clips(np.array(["a", "b"]), None, 1).tolist() == [0, 1]


def test_experiments_differ_in_their_draw_by_the_seed_alone() -> None:
    subject = np.repeat(["a", "b", "c"], 40)
    assert not np.array_equal(draw_clips(subject, 30, 1), draw_clips(subject, 30, 2))


def test_features_that_go_with_a_label_are_found() -> None:
    rng = np.random.default_rng(0)
    embedding, mask, ids, table = arrays(subjects=30)
    level = table["engagement"].fillna(0).to_numpy(int)
    embedding = rng.normal(0, 1, (*embedding.shape[:2], 8)).astype(np.float16)
    embedding[:, :, 5] += level[:, None]
    embedding[:, :, 6] = 1.0  # constant
    embedding[:, :, 7] += 2 * table["camera"].to_numpy(int)[:, None]
    data = assemble(embedding, mask, ids, table, TASKS)
    keep = correlated_features(data, data.labelled("train"), TASKS, 0.001)
    assert np.flatnonzero(keep).tolist() == [5, 7]


def test_no_feature_goes_with_labels_that_mean_nothing(caplog: pytest.LogCaptureFixture) -> None:
    embedding, mask, ids, table = arrays()
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, embedding.shape).astype(np.float16)
    data = assemble(noise, mask, ids, table, TASKS)
    with caplog.at_level(logging.WARNING):
        assert correlated_features(data, data.labelled("train"), TASKS, 1e-6).all()
    assert "all are kept" in caplog.text


def test_clip_means_leave_masked_frames_out() -> None:
    data = sequences()
    clips = data.labelled("test")
    found = clip_means(data, clips)
    for place in (0, len(clips) - 1):
        frames = data.read(clips[place : place + 1])[0][data.mask[clips[place]]]
        np.testing.assert_allclose(found[place], frames.astype(float).mean(0), atol=1e-12)


def test_key_frames_on_a_worked_example() -> None:
    angles = np.deg2rad([0, 5, 40, 42, 90, 0])
    clip = np.stack([np.cos(angles), np.sin(angles)], axis=1)[None].astype(np.float16)
    mask = np.array([[True, True, True, True, False, True]])
    # cos 30 degrees: kept are 0, then 40 (40 away), then the last 0 (40 away).
    kept = key_frames(clip, mask, float(np.cos(np.deg2rad(30))))
    assert kept.tolist() == [[True, False, True, False, False, True]]
    assert key_frames(clip, mask, 1.1).tolist() == mask.tolist()
    assert key_frames(clip, mask, -1.0).tolist() == [[True, False, False, False, False, False]]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), similarity=st.floats(-1, 1))
def test_key_frames_are_some_of_the_frames_and_at_least_one(seed: int, similarity: float) -> None:
    rng = np.random.default_rng(seed)
    clips, mask = rng.normal(size=(5, 9, 4)), rng.random((5, 9)) > 0.5
    clips[~mask] = np.nan
    kept = key_frames(clips, mask, similarity)
    assert not (kept & ~mask).any()
    assert np.array_equal(kept.any(1), mask.any(1))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_time_mask_hides_one_stretch_and_never_all(seed: int, share: float) -> None:
    torch.manual_seed(seed)
    x, mask = torch.randn(8, 20, 3), torch.rand(8, 20) > 0.3
    _, found = time_mask(x, mask, share)
    assert not (found & ~mask).any()
    assert torch.equal(found.any(1), mask.any(1))
    for was, now in zip(mask, found, strict=True):
        hidden = torch.nonzero(was & ~now)[:, 0]
        if len(hidden):
            assert hidden[-1] - hidden[0] < share * 20
            assert not now[hidden[0] : hidden[-1] + 1].any()


def test_jitter_is_noise_of_the_given_scale() -> None:
    torch.manual_seed(0)
    x, mask = torch.zeros(50, 40, 2), torch.ones(50, 40, dtype=torch.bool)
    noisy, same = jitter(x, mask, torch.tensor([0.1, 2.0]))
    np.testing.assert_allclose(noisy.std((0, 1)), [0.1, 2.0], rtol=0.05)
    assert same is mask


def test_mixup_blends_what_both_have() -> None:
    x = torch.tensor([[[1.0], [1.0], [float("nan")]], [[3.0], [float("nan")], [3.0]]])
    mask = torch.tensor([[True, True, False], [True, False, True]])
    blend, both = mixup(x, mask, torch.tensor([1, 0]), torch.tensor(0.75))
    assert both.all()
    assert blend[0, :, 0].tolist() == [1.5, 1.0, 3.0]
    assert blend[1, :, 0].tolist() == [2.5, 1.0, 3.0]


CHOICES = [
    {"loss": "focal"},
    {"loss": "coral"},
    {"loss": "corn"},
    {"loss": "soft_ordinal", "soft_scale": 3.0},
    {"label_smoothing": 0.05},
    {"level_weights": "balanced"},
    {"sampling": "balanced"},
    {"time_mask": 0.15},
    {"jitter": 0.1},
    {"mixup": 0.2},
    {"train_clips": 90},
    {"feature_alpha": 0.5},
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: " ".join(map(str, choice.values())))
def test_every_choice_learns_and_repeats(tmp_path, choice) -> None:
    keys = {"dropout": 0.1, "select_by": "kappa", **choice}
    begun = [train(tmp_path / name, **keys, epochs=2).history for name in ("one", "two")]
    assert begun[0].equals(begun[1])
    table = predictions(train(tmp_path / "whole", **keys, epochs=25).model, sequences())
    test = table[(table["split"] == "test") & (table["task"] == "engagement")].dropna()
    assert (test["label"] == test["predicted"]).mean() > 0.55, "chance is a third"


@pytest.mark.parametrize("choice", [{"sampling": "balanced", "mixup": 0.4, "jitter": 0.1}])
def test_choices_resume_to_the_same_bits(tmp_path, monkeypatch, choice) -> None:
    """What augmentation draws is a part of the state that is resumed."""
    whole = train(tmp_path / "whole", epochs=4, **choice)
    from affectflow.training import fit as module

    save = module.save_checkpoint

    def save_and_die(path, state):
        save(path, state)
        if len(state["history"]) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_checkpoint", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", epochs=4, **choice)
    monkeypatch.undo()
    resumed = train(tmp_path / "cut", epochs=4, **choice)
    assert resumed.history.equals(whole.history)
    for one, two in zip(
        resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)
