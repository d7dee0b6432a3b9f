"""Looking at some frames of a clip only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.faces.between import NEAR, look_between, looks
from affectflow.faces.detection import Detections

FACE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def face(x: float, y: float, size: float = 100.0, score: float = 0.99) -> Detections:
    box = np.array([[x, y, x + size, y + size]], np.float32)
    landmarks = (FACE * size + (x, y))[None].astype(np.float32)
    return Detections(box, landmarks, np.array([score], np.float32))


def together(*faces: Detections) -> Detections:
    names = ("boxes", "landmarks", "scores")
    return Detections(*(np.concatenate([getattr(one, name) for one in faces]) for name in names))


class Clip:
    """Known faces, and which frames were looked at: the whole of them, or near a box."""

    def __init__(self, faces: Sequence[Detections]) -> None:
        self.faces = faces
        self.whole, self.near = list[int](), dict[int, np.ndarray]()

    def look(self, places: Sequence[int], near: Sequence[np.ndarray] | None) -> list[Detections]:
        if near is None:
            self.whole += places
            return [self.faces[place] for place in places]
        self.near |= zip(places, near, strict=True)
        return [self.beside(place) for place in places]

    def beside(self, place: int) -> Detections:
        """Return the faces whose centres are where the boxes are that were asked for."""
        found, boxes = self.faces[place], self.near[place]
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        there = (boxes[:, :2].min(0) <= centres) & (centres <= boxes[:, 2:].max(0))
        there = there.all(1)
        return Detections(found.boxes[there], found.landmarks[there], found.scores[there])

    def between(self, every: int) -> list[Detections]:
        """Return the one face of each frame."""
        return look_between(len(self.faces), every, self.look)[0]

    def counts(self, every: int) -> list[int]:
        return look_between(len(self.faces), every, self.look)[1].tolist()

    @property
    def looked(self) -> list[int]:
        return sorted({*self.whole, *self.near})


def same(one: Detections, other: Detections) -> bool:
    return len(one) == len(other) and bool((one.boxes == other.boxes).all())


def test_every_one_looks_at_each() -> None:
    clip = Clip([face(3 * i, 0) for i in range(7)])
    assert all(map(same, clip.between(1), clip.faces))
    assert clip.whole == list(range(7)) and not clip.near


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_short_clips(frames: int) -> None:
    clip = Clip([face(0, 0)] * frames)
    assert len(clip.between(5)) == frames
    assert clip.looked == sorted({0, frames - 1} if frames else ())


def test_an_even_motion_is_drawn_exactly() -> None:
    clip = Clip([face(0.5 * i, -0.25 * i, 100 + 0.1 * i) for i in range(41)])
    found = clip.between(8)
    assert sorted(clip.whole) == [0, 16, 32, 40] and sorted(clip.near) == [8, 24]
    for one, other in zip(found, clip.faces, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)


def test_where_a_head_moves_looks_are_near_it() -> None:
    clip = Clip([face(0, 0)] * 13 + [face(60, 10)] * 12)
    found = clip.between(8)
    assert {12, 13} <= set(clip.looked), "until neighbours disagree"
    assert [each.boxes[0, 0] for each in found] == [0] * 13 + [60] * 12
    assert sorted(clip.whole) == [0, 16, 24]
    assert clip.near[8].tolist() == [[0, 0, 100, 100], [60, 10, 160, 110]]
    assert len(clip.looked) < 10


def test_where_the_person_is_another_frames_are_looked_at_whole() -> None:
    clip = Clip([face(0, 0)] * 13 + [face(400, 0)] * 12)
    assert [each.boxes[0, 0] for each in clip.between(8)] == [0] * 13 + [400] * 12
    assert {12, 13} <= set(clip.whole) and not clip.near


def test_a_face_that_is_not_where_it_was_is_searched_in_the_whole_frame() -> None:
    """It is away for a moment; what stands there meanwhile is nobody, or far too small."""
    for between in (Detections.none(), face(40, 40, 20)):
        clip = Clip([face(0, 0)] * 4 + [face(300, 0)] + [face(10, 0)] * 4)
        clip.faces[4] = together(face(300, 0), between)
        found = clip.between(8)
        assert 4 in clip.near and 4 in clip.whole
        assert found[4].boxes[0, 0] == 300 and found[3].boxes[0, 0] == 0


def test_the_one_beside_the_face_is_not_taken_for_it() -> None:
    """Two heads, both near the box that is looked at."""
    clip = Clip([together(face(i * 8, 0), face(i * 8 + 60, 0, 70, 0.95)) for i in range(9)])
    assert [each.boxes[0, 0] for each in clip.between(8)] == [8 * i for i in range(9)]


def test_where_nobody_is_looks_are_a_quarter_apart() -> None:
    none = Detections.none()
    clip = Clip([face(0, 0)] * 9 + [none] * 16 + [face(0, 0)] * 8)
    found = clip.between(8)
    assert [len(each) for each in found] == [1] * 9 + [0] * 16 + [1] * 8
    absent = [place for place in clip.looked if 8 <= place <= 25]
    assert absent[:2] == [8, 9] and absent[-2:] == [24, 25], "when somebody goes and comes"
    assert max(np.diff(absent)) == 2
    assert len(clip.looked) < 18


def test_a_doubted_face_is_not_lost() -> None:
    """One that is found in every other frame: two looks at nobody agree no more than two apart."""
    clip = Clip([face(0, 0) if i % 2 else Detections.none() for i in range(41)])
    found = clip.between(8)
    assert sum(map(len, found)) == 0, "all looks fell between"
    assert set(clip.looked) == set(range(0, 41, 2))
    clip = Clip([face(0, 0) if i % 4 > 1 else Detections.none() for i in range(41)])
    assert [len(each) for each in clip.between(8)] == [len(each) for each in clip.faces]


def test_counts_of_frames_between_are_the_next_look_s() -> None:
    pair, none = together(face(0, 0), face(300, 0)), Detections.none()
    clip = Clip([pair] * 5 + [face(0, 0)] * 4 + [none] * 4)
    assert clip.counts(2) == [2] * 7 + [1] * 2 + [0] * 4
    assert Clip([pair] + [face(0, 0)] * 8).counts(4) == [2] * 5 + [1] * 4
    assert clip.counts(1) == [len(faces) for faces in clip.faces]


@pytest.mark.parametrize(
    ("rate", "frames"), [(30, 6), (25, 5), (15, 3), (10, 2), (5, 1), (2.4, 1), (1, 1)]
)
def test_auto_is_a_time(rate: float, frames: int) -> None:
    assert looks("auto", np.arange(20) / rate) == frames
    assert looks(3, np.arange(20) / rate) == 3


def test_auto_of_clips_without_times() -> None:
    assert (
        looks("auto", np.zeros(0)) == looks("auto", np.zeros(9)) == looks("auto", np.ones(1)) == 1
    )


def test_others_come_and_go_without_a_look_and_the_doubtful_score_stays() -> None:
    left, right = face(0, 0), face(300, 0, 80)
    surer = face(0, 0, score=0.999)
    clip = Clip([together(right, left), *[left] * 3, surer])
    found = clip.between(4)
    assert sorted(clip.whole) == [0, 4] and not clip.near
    assert found[2].boxes.tolist() == [[0, 0, 100, 100]]
    np.testing.assert_allclose(found[2].scores, [0.99])


def test_a_turned_head_in_the_same_box_is_looked_at() -> None:
    calm = face(0, 0)
    turned = Detections(calm.boxes, calm.landmarks + np.float32([12, 0]), calm.scores)
    clip = Clip([calm] * 4 + [turned])
    clip.between(4)
    assert clip.near


@pytest.mark.parametrize("away", [30, 80, 120])
@pytest.mark.parametrize("every", [1, 6, 12])
def test_a_picture_on_the_wall_is_not_followed_while_the_student_is_away(
    away: int, every: int
) -> None:
    """Where nobody is followed looks are closer; they stand for fewer frames."""
    student, picture = face(150, 100, 200), face(600, 50, 60, 0.95)
    there = [not 110 <= place < 110 + away for place in range(300)]
    clip = Clip([together(picture, student) if here else picture for here in there])
    found = clip.between(every)
    assert [len(own) for own in found] == [int(here) for here in there]
    assert all(own.boxes[0, 0] == pytest.approx(150) for own in found if len(own))


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 400), st.floats(20, 300)), max_size=40),
    st.integers(1, 12),
)
def test_what_is_drawn_lies_between_two_looks_that_agree(
    tracks: list[tuple[float, float, float]], every: int
) -> None:
    clip = Clip([face(*track) for track in tracks])
    found = clip.between(every)
    assert len(set(clip.whole)) == len(clip.whole), "none twice"
    seen = np.array([i for i, own in enumerate(found) if same(own, clip.faces[i])])
    for place, own in enumerate(found):
        if place in seen or not len(own):
            continue
        before, after = (
            clip.faces[at] for at in (seen[seen < place].max(), seen[seen > place].min())
        )
        low = np.minimum(before.boxes, after.boxes) - 1e-3
        high = np.maximum(before.boxes, after.boxes) + 1e-3
        assert ((low <= own.boxes) & (own.boxes <= high)).all()
        assert seen[seen > place].min() - seen[seen < place].max() <= every
        size = np.sqrt(np.prod(before.boxes[0, 2:] - before.boxes[0, :2]))
        assert np.abs(after.boxes - before.boxes).max() <= 1.1 * NEAR * size


@given(st.lists(st.floats(-0.02, 0.02), min_size=2, max_size=60), st.integers(2, 12), st.booleans())
def test_the_stated_bound(steps: list[float], every: int, back: bool) -> None:
    """A head that moves on, whatever its pace, is drawn within NEAR of where it is."""
    paces = np.abs(steps) if not back else -np.abs(steps)
    clip = Clip([face(200 + 100 * x, 0) for x in np.cumsum(paces)])
    for own, true in zip(clip.between(every), clip.faces, strict=True):
        assert np.abs(own.boxes - true.boxes).max() <= NEAR * 100 + 1e-3
