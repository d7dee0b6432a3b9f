from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.faces import follow as module
from affectflow.faces.detection import Detections
from affectflow.faces.follow import follow

Face = tuple[float, float, float, float]  # x and y of the centre, size, score


def frame(*faces: Face) -> Detections:
    x, y, size, score = np.array(faces, np.float32).reshape(-1, 4).T
    boxes = np.stack([x - size / 2, y - size / 2, x + size / 2, y + size / 2], 1)
    return Detections(boxes, np.zeros((len(faces), 5, 2), np.float32), score)


face = st.tuples(
    st.sampled_from([100.0, 130.0, 160.0, 400.0]),
    st.sampled_from([100.0, 120.0, 300.0]),
    st.sampled_from([40.0, 80.0, 100.0]),
    st.sampled_from([0.7, 0.95, 1.0]),
)
clips = st.lists(st.lists(face, max_size=3, unique=True), max_size=6)


def objective(frames: list[Detections], chosen: tuple[int, ...], weights: np.ndarray) -> float:
    """The module's objective, written out for one choice; weights are whole numbers."""
    seen = [(f, i) for f, i in zip(frames, chosen, strict=True) if len(f)]
    weights = weights[[len(f) > 0 for f in frames]]
    sides = [np.sqrt(np.prod(f.boxes[:, 2:] - f.boxes[:, :2], axis=1)) for f, _ in seen]
    if not seen:
        return 0.0
    usual = np.median(np.repeat([s.max() for s in sides], weights))
    most = max(s.max() for s in sides)
    change = 4 * weights.sum()
    total, last = 0.0, None
    for t, ((f, i), side) in enumerate(zip(seen, sides, strict=True)):
        if i < 0:
            continue
        size, centre = side[i], (f.boxes[i, :2] + f.boxes[i, 2:]) / 2
        total += weights[t] * f.scores[i] * size / most
        if f.scores[i] >= module.SURE and size >= usual / 2:
            total += 3 * change
        if last is not None:
            then, there, before = last
            apart = np.linalg.norm(centre - there) / np.sqrt(size * before)
            octaves = abs(np.log2(size / before))
            jump = min(max(apart, octaves) / module.FAR, 1)
            if apart <= module.NEAR and octaves <= 1:
                jump = 0
            if t - then > module.MEMORY:
                jump = 1
            total -= change * jump
        last = t, centre, size
    return total


@pytest.mark.parametrize("memory", [1, 16])
@settings(max_examples=80)
@given(clip=clips, weights=st.lists(st.integers(1, 5), min_size=6, max_size=6))
def test_nothing_beats_its_choice(memory: int, clip: list[list[Face]], weights: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MEMORY", memory)
        frames = [frame(*faces) for faces in clip]
        own = np.array(weights[: len(clip)], int)
        chosen = follow(frames, own.astype(float))
        choices = product(*(range(-1, len(f)) for f in frames))
        best = max(objective(frames, choice, own) for choice in choices)
        assert objective(frames, tuple(chosen), own) == pytest.approx(best, rel=1e-6)
        assert np.array_equal(follow(frames), follow(frames, np.ones(len(clip))))


@given(clip=clips, random=st.randoms(use_true_random=False))
def test_the_order_of_faces_does_not_matter(clip: list[list[Face]], random: object) -> None:
    shuffled = [random.sample(faces, len(faces)) for faces in clip]  # type: ignore[attr-defined]

    def answer(clip: list[list[Face]]) -> list[Face | None]:
        chosen = follow([frame(*faces) for faces in clip])
        return [faces[i] if i >= 0 else None for faces, i in zip(clip, chosen, strict=True)]

    assert answer(shuffled) == answer(clip)


def test_one_person_is_kept_among_several() -> None:
    """Scores say the other one every second frame, and towards the end always."""
    random = np.random.default_rng(0)
    frames = []
    for t in range(60):
        shake = random.normal(0, 4, 4)
        ours = (300 + shake[0], 200 + shake[1], 100.0, 0.93 if t % 2 else 0.99)
        other = (430 + shake[2], 200 + shake[3], 99.0 if t < 40 else 115.0, 0.97)
        frames.append(frame(ours, other) if t % 3 else frame(other, ours))
    chosen = follow(frames)
    x = [f.boxes[i, 0] for f, i in zip(frames, chosen, strict=True)]
    assert np.ptp(x) < 60


def test_who_is_there_all_along_beats_who_is_larger_at_times() -> None:
    ours, visitor = (300.0, 200.0, 80.0, 0.99), (500.0, 200.0, 120.0, 1.0)
    frames = [frame(ours, visitor) if 20 <= t < 50 else frame(ours) for t in range(60)]
    assert (follow(frames) == 0).all()


def test_equal_probabilities_give_one_face() -> None:
    """Abraham 2022, section 5.1.3: ties gave several faces for one frame."""
    frames = [frame((100, 100, 50, 1.0), (300, 100, 50, 1.0))] * 5
    chosen = follow(frames)
    assert len(set(chosen.tolist())) == 1
    assert chosen[0] >= 0


def test_gaps() -> None:
    ours, doubtful, far = (300, 200, 80, 0.99), (305, 205, 80, 0.7), (90, 90, 30, 0.75)
    frames = [frame(ours), frame(), frame(far), frame(doubtful, far), frame(ours)]
    assert follow(frames).tolist() == [0, -1, -1, 0, 0]
    passer_by = (90, 90, 70, 0.99)
    assert follow([frame(ours), frame(passer_by), frame(ours)]).tolist() == [0, 0, 0]
    assert follow([]).tolist() == []
    assert follow([frame(), frame()]).tolist() == [-1, -1]
    assert follow([frame(), frame(far)]).tolist() == [-1, 0]
