"""Orders, shares and reading: every triplet once, on however many processes."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
import torch
from teacher_faces import DATA, SIZE, read

from affectflow.errors import UserError
from affectflow.teacher.batches import Feed, plan, steps_of

CPU = torch.device("cpu")
GIVEN = {"batch_size": 8, "seed": 3}


def test_every_triplet_once_an_epoch_and_the_last_batch_short():
    steps = list(plan(21, 5, epoch=1, **GIVEN))
    assert [len(step.triplets) for step in steps] == [8, 8, 5]
    assert len(steps) == steps_of(21, 8)
    assert sorted(np.concatenate([step.triplets for step in steps])) == list(range(21))
    assert [len(step.expressions) for step in steps] == [8, 8, 8]


def test_orders_are_of_seed_and_epoch():
    def order(epoch: int, seed: int) -> list[int]:
        steps = plan(50, 50, epoch=epoch, seed=seed, batch_size=8)
        return np.concatenate([step.triplets for step in steps]).tolist()

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(2, 3)
    assert order(1, 3) != order(1, 4)


def test_images_come_in_rounds_that_go_on_from_epoch_to_epoch():
    steps = [step for epoch in (1, 2, 3) for step in plan(21, 9, epoch=epoch, **GIVEN)]
    stream = np.concatenate([step.expressions for step in steps])
    assert len(stream) == 72
    rounds = stream.reshape(8, 9)
    assert all(sorted(each) == list(range(9)) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_going_on_at_a_step_is_the_rest_of_the_epoch():
    whole = list(plan(21, 9, epoch=2, flip=True, **GIVEN))
    for first in (1, 2, 3):
        rest = list(plan(21, 9, epoch=2, flip=True, first=first, **GIVEN))
        for one, other in zip(rest, whole[first:], strict=True):
            assert one.triplets.tolist() == other.triplets.tolist()
            assert one.expressions.tolist() == other.expressions.tolist()
            assert one.flip.tolist() == other.flip.tolist()


@pytest.mark.parametrize("world", [2, 3, 8])
@pytest.mark.parametrize("triplets", [16, 17, 21])
def test_processes_share_the_steps_of_one(triplets, world):
    whole = list(plan(triplets, 9, epoch=1, flip=True, **GIVEN))
    parts = [
        list(plan(triplets, 9, epoch=1, flip=True, rank=rank, world=world, **GIVEN))
        for rank in range(world)
    ]
    for at, step in enumerate(whole):
        own = [part[at] for part in parts]
        assert np.concatenate([p.triplets for p in own]).tolist() == step.triplets.tolist()
        assert np.concatenate([p.expressions for p in own]).tolist() == step.expressions.tolist()
        faces = [p.flip[: 3 * len(p.triplets)] for p in own]
        images = [p.flip[3 * len(p.triplets) :] for p in own]
        assert np.concatenate(faces + images).tolist() == step.flip.tolist()
        assert {p.all_triplets for p in own} == {len(step.triplets)}
        assert all((p.all_expressions == step.expressions).all() for p in own)
        sizes = [len(p.expressions) for p in own]
        assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_hold_the_faces_and_labels_of_the_step(workers):
    triplets, images = DATA.train_triplets, DATA.train_expressions
    steps = list(plan(21, 30, epoch=1, flip=True, **GIVEN))
    feed = Feed(read, SIZE, CPU, workers)
    batches = list(feed.batches(iter(steps), triplets, images))
    assert len(batches) == 3
    assert any(step.flip.any() for step in steps)
    for step, batch in zip(steps, batches, strict=True):
        places = triplets.index[step.triplets].ravel()
        faces = [triplets.faces[p] for p in places] + [images.faces[p] for p in step.expressions]
        assert batch.images.shape == (len(faces), SIZE, SIZE, 3)
        for own, mirrored, found in zip(faces, step.flip, batch.images.numpy(), strict=True):
            expected = read(own, SIZE)
            assert np.array_equal(found, expected[:, ::-1] if mirrored else expected)
        assert batch.odd.tolist() == triplets.odd[step.triplets].tolist()
        assert batch.expression.tolist() == images.expression[step.expressions].tolist()
        one_class = triplets.kind[step.triplets] == "one_class"
        assert batch.margin.numpy() == pytest.approx(np.where(one_class, 0.1, 0.2))


def test_flips_are_off_by_default_and_half_otherwise():
    assert not any(step.flip.any() for step in plan(50, 50, epoch=1, **GIVEN))
    flips = np.concatenate([s.flip for s in plan(500, 500, epoch=1, flip=True, **GIVEN)])
    assert 0.4 < flips.mean() < 0.6


def test_faces_are_read_by_several_threads_and_stay_in_order():
    seen: Counter[str] = Counter()

    def slow(face, size):
        seen[threading.current_thread().name] += 1
        return read(face, size)

    faces = DATA.train_triplets.faces
    found = torch.cat(list(Feed(slow, SIZE, CPU, 2).images(faces, 4))).numpy()
    assert np.array_equal(found, np.stack([read(face, SIZE) for face in faces]))
    assert threading.main_thread().name not in seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shape", [(SIZE, SIZE), (SIZE, SIZE, 1), (4, 4, 3)])
def test_a_reader_that_gives_another_shape_is_told(workers, shape):
    feed = Feed(lambda face, size: np.zeros(shape, np.uint8), SIZE, CPU, workers)
    with pytest.raises(UserError, match="read as uint8"):
        list(feed.images(DATA.train_triplets.faces, 4))


def test_an_error_of_reading_comes_back_as_it_was():
    def broken(face, size):
        raise UserError(f"{face.path}: is no image", "Fetch it again.")

    with pytest.raises(UserError) as error:
        list(Feed(broken, SIZE, CPU, 2).images(DATA.train_triplets.faces, 4))
    assert error.value.remedy == "Fetch it again."
