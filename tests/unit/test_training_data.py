"""Joining embeddings with the clip table; the permuted control; what must not leak."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pandas
import pytest
import torch
from training_sequences import TASKS, arrays, sequences

from affectflow.errors import UserError
from affectflow.training.data import assemble, permuted
from affectflow.training.feed import Feed


def test_clips_are_ordered_by_split_and_id_whatever_the_file_order():
    embedding, mask, ids, table = arrays()
    turn = np.random.default_rng(1).permutation(len(ids))
    data = assemble(embedding, mask, ids, table, TASKS)
    turned = assemble(embedding[turn], mask[turn], [ids[i] for i in turn], table[::-1], TASKS)
    assert data.digest() == turned.digest()
    order = [("train", "validation", "test").index(s) for s in data.split]
    assert list(zip(order, data.clip_id, strict=True)) == sorted(
        zip(order, data.clip_id, strict=True)
    )
    wanted = table.set_index("clip_id").loc[data.clip_id]
    assert (data.levels[:, 0] == wanted["engagement"].fillna(-1)).all()
    places = {name: i for i, name in enumerate(ids)}
    whole = data.read(np.arange(len(data)))
    np.testing.assert_array_equal(whole, embedding[[places[c] for c in data.clip_id]])


def test_clip_without_face_is_left_out_and_logged(caplog):
    with caplog.at_level(logging.WARNING):
        data = sequences()
    assert "000000" not in data.clip_id
    assert len(data) == 15 * 12 - 1
    assert "train: 1 clips have no frame with a face" in caplog.text
    assert "000000" in caplog.text


def test_unlabelled_clips_stay_to_be_predicted():
    data = sequences()
    assert (data.levels[:, 0] == -1).sum() == 3
    assert len(data.labelled("test")) == (data.split == "test").sum()


def test_subject_in_two_splits_raises():
    embedding, mask, ids, table = arrays()
    table.loc[table.index[-1], "split"] = "train"
    with pytest.raises(UserError, match="subject 14 is in more than one split: test, train"):
        assemble(embedding, mask, ids, table, TASKS)


def test_level_beyond_its_task_names_the_clip():
    embedding, mask, ids, table = arrays()
    table.loc[7, "engagement"] = 3
    with pytest.raises(UserError, match=rf"clip {ids[7]}: engagement 3 is not one of 3 levels"):
        assemble(embedding, mask, ids, table, TASKS)


def test_no_clip_left_is_the_users_error():
    embedding, mask, ids, table = arrays()
    with pytest.raises(UserError, match="no clip has both"):
        assemble(embedding, np.zeros_like(mask), ids, table, TASKS)


def test_frames_are_chosen_evenly():
    embedding, mask, ids, table = arrays()
    data = assemble(embedding, mask, ids, table, TASKS, frames=3)
    assert (data.frames == [1, 4, 7]).all()
    row = ids.index(data.clip_id[5])
    np.testing.assert_array_equal(data.read(np.array([5]))[0], embedding[row, [1, 4, 7]])
    np.testing.assert_array_equal(data.mask[5], mask[row, [1, 4, 7]])


@pytest.mark.parametrize("memory", [0, 2**30])
def test_a_shorter_clip_gives_as_many_frames_if_it_has_them(tmp_path, memory):
    embedding, mask, ids, table = arrays()
    counts = np.random.default_rng(0).integers(0, 10, len(ids))
    counts[:4] = 5, 4, 2, 0
    mask = np.arange(9) < counts[:, None]
    mask[0, [0, 2, 4]] = False  # the middles of thirds of five
    with h5py.File(tmp_path / "embeddings.h5", "w") as file:
        file["embedding"], file["mask"] = embedding, mask
        data = assemble(
            file["embedding"], file["mask"], ids, table, TASKS, 3, memory=memory, counts=counts
        )
        assert set(data.clip_id) == {ids[i] for i in np.flatnonzero(counts)}
        places = [list(data.clip_id).index(ids[i]) for i in range(3)]
        assert data.mask[places].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 0]]
        read = data.read(np.array(places))
        assert np.array_equal(read[0, :2], embedding[0, [1, 3]])
        assert np.array_equal(read[1], embedding[1, [0, 2, 3]])
        assert np.array_equal(read[2, :2], embedding[2, :2])
        fed = Feed(data, torch.device("cpu"))(torch.tensor(places))
        assert np.array_equal(fed[0].numpy(), read.astype(np.float32))


@pytest.mark.parametrize("memory", [0, 2**30])
def test_hdf5_and_arrays_feed_the_same_batches(tmp_path, memory):
    embedding, mask, ids, table = arrays()
    plain = assemble(embedding, mask, ids, table, TASKS, frames=4)
    clips = torch.tensor([9, 2, 70, 3])
    with h5py.File(tmp_path / "embeddings.h5", "w") as file:
        file["embedding"], file["mask"] = embedding, mask
        data = assemble(file["embedding"], file["mask"], ids, table, TASKS, 4, memory=memory)
        assert isinstance(data.embedding, np.ndarray) == (memory > 0)
        assert data.digest() == plain.digest()
        cpu = torch.device("cpu")
        for one, two in zip(Feed(data, cpu)(clips), Feed(plain, cpu)(clips), strict=True):
            assert torch.equal(one, two)
            assert one.dtype == two.dtype


def test_digest_sees_labels_and_unmasked_frames_only():
    embedding, mask, ids, table = arrays()
    digest = assemble(embedding, mask, ids, table, TASKS).digest()
    behind = np.where(mask[:, :, None], embedding, 1).astype(np.float16)
    assert assemble(behind, mask, ids, table, TASKS).digest() == digest
    row, frame = np.argwhere(mask)[0]
    changed = embedding.copy()
    changed[row, frame, 0] += 1
    assert assemble(changed, mask, ids, table, TASKS).digest() != digest
    relabelled = table.assign(camera=1 - table["camera"])
    assert assemble(embedding, mask, ids, relabelled, TASKS).digest() != digest


def test_permuted_control_moves_labels_within_splits_and_leaves_test_alone():
    data = sequences()
    control = permuted(data, seed=5)
    for split in ("train", "validation"):
        clips = data.labelled(split)
        before, after = data.levels[clips], control.levels[clips]
        assert (before != after).any()
        assert sorted(map(tuple, before)) == sorted(map(tuple, after))
    test = data.split == "test"
    np.testing.assert_array_equal(data.levels[test], control.levels[test])
    np.testing.assert_array_equal(control.levels, permuted(data, seed=5).levels)
    assert (control.levels != permuted(data, seed=6).levels).any()
    assert (data.levels == sequences().levels).all()


def test_permuted_control_gives_no_label_to_an_unlabelled_clip():
    embedding, mask, ids, table = arrays()
    table.loc[20:24, ["engagement", "camera"]] = pandas.NA
    data = assemble(embedding, mask, ids, table, TASKS)
    none = (data.levels == -1).all(1)
    assert none.sum() == 5
    assert (permuted(data, 1).levels[none] == -1).all()
