"""The face of each frame of a clip from a look at some: what lies between two that agree is drawn.

A head hardly moves from one frame to the next, and a detector costs most of the pipeline. So whole
frames are looked at now and then, and one face is followed through what is seen in them. Where two
neighbours show the same person, the frame in the middle is looked at near there; where they don't,
or nobody is there, the whole of it is; and so on, until two looks are at most `every` frames apart
and show the face at nearly the same place, or are of neighbouring frames. The frames between get
the face of both, moved evenly from one to the other.

The error is bounded by what "nearly" means: no corner of the face's box and no landmark is farther
from its place in either neighbour than `NEAR` of the face's size, if it moves on between them and
does not go there and back. Who is there for fewer than `WHOLE` times `every` frames, all of them
between two looks at whole frames in which another is followed, is missed. Looks at nobody agree
where they are a quarter of `every` apart: a face that a detector doubts comes and goes more often
than people do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from affectflow.faces.detection import Detections
from affectflow.faces.follow import follow, same_person

NEAR = 0.07
"""How far anything of a face may move between two looks that agree, in face sizes."""

WHOLE = 2
"""Looks at whole frames are so many times `every` apart, if not each frame is looked at."""

SECONDS = 0.21
"""From one look to the next at most, if the config leaves it to us: 6 frames of 30 per second."""

Look = Callable[[Sequence[int], Sequence[np.ndarray] | None], list[Detections]]
"""From places of frames to the faces there; with boxes (k, 4) px for each, to those near them."""


def looks(every: int | str, times: np.ndarray) -> int:
    """Return how many frames it is from one look to the next.

    Parameters
    ----------
    every : int or "auto"
        The config's.
    times : numpy.ndarray
        (n,) seconds of the frames. Where they are far apart, each is looked at.
    """
    if every != "auto":
        return int(every)
    step = float(np.median(np.diff(times))) if len(times) > 1 else SECONDS
    return max(1, int(SECONDS / step)) if step > 0 else 1


def whole_looks(frames: int, every: int) -> list[int]:
    """Return the places of the frames that are looked at whole, whatever is seen."""
    apart = WHOLE * every if every > 1 else 1
    return sorted({*range(0, frames, apart), frames - 1}) if frames else []


def look_between(frames: int, every: int, look: Look) -> tuple[list[Detections], np.ndarray]:
    """Return the face that is followed in each frame of a clip.

    Parameters
    ----------
    frames : int
    every : int
        Frames from one look to the next at most, at least 1: then the whole of each is looked at.
    look : callable
        Asked in few calls.

    Returns
    -------
    list of Detections
        One face or none per frame. A drawn one has the lower of two scores.
    numpy.ndarray
        (frames,) int16: faces found in the frame; where it got no such look, in the next one that
        did, but none if one of both neighbours shows nobody.
    """
    whole: dict[int, Detections] = {}
    part: dict[int, Detections] = {}
    wanted = {*whole_looks(frames, every)}
    near: dict[int, np.ndarray] = {}
    followed: dict[int, Detections] = {}
    faces: dict[int, Detections] = {}
    while wanted or near:
        if near:
            part |= zip(near, look([*near], [*near.values()]), strict=True)
        if wanted:
            whole |= zip(sorted(wanted), look(sorted(wanted), None), strict=True)
            whole = dict(sorted(whole.items()))
            stand_for = _spans(np.array([*whole]))
            chosen = zip(whole.items(), follow([*whole.values()], stand_for), strict=True)
            followed = {place: found.only(which) for (place, found), which in chosen}
        faces, wanted, near = followed.copy(), set(), {}
        for first, last in pairwise(followed):
            _fill(faces, first, last, every, part, wanted, near)
    counts = np.zeros(frames, np.int16)
    for first, last in pairwise(whole):
        if len(whole[first]) and len(whole[last]):
            middle = (first + last) // 2
            counts[first : middle + 1] = len(whole[first])
            counts[middle + 1 : last] = len(whole[last])
    for place, found in whole.items():
        counts[place] = len(found)
    return [faces[place] for place in range(frames)], counts


def _spans(places: np.ndarray) -> np.ndarray:
    """Return how many frames each of some places, increasing, is the nearest of, (n,) float64."""
    between = (places[1:] + places[:-1]) / 2
    return np.diff(np.concatenate([places[:1] - 0.5, between, places[-1:] + 0.5]))


def _fill(
    faces: dict[int, Detections],
    first: int,
    last: int,
    every: int,
    part: dict[int, Detections],
    wanted: set[int],
    near: dict[int, np.ndarray],
) -> None:
    """Give the frames between two their faces, or note where a look is needed for that."""
    if last - first < 2:
        return
    before, after, middle = faces[first], faces[last], (first + last) // 2
    if not len(before) and not len(after) and last - first <= -(-every // 4):
        faces |= dict.fromkeys(range(first + 1, last), Detections.none())
    elif not len(before) or not len(after) or not same_person(before, after).all():
        wanted.add(middle)
    elif last - first <= every and _agree(before, after):
        for place in range(first + 1, last):
            faces[place] = _draw(before, after, (place - first) / (last - first))
    elif middle not in part:
        near[middle] = np.concatenate([before.boxes, after.boxes])
    else:
        faces[middle] = _same(part[middle], before, after)
        if not len(faces[middle]):
            wanted.add(middle)
            return
        _fill(faces, first, middle, every, part, wanted, near)
        _fill(faces, middle, last, every, part, wanted, near)


def _agree(before: Detections, after: Detections) -> bool:
    apart = np.abs(_points(before) - _points(after)).max()
    sides = before.boxes[0, 2:] - before.boxes[0, :2]
    return bool(apart <= NEAR * np.sqrt(np.maximum(sides, 1).prod()))


def _points(face: Detections) -> np.ndarray:
    """Return what has a place: two corners of the box, five landmarks, (7, 2)."""
    return np.concatenate([face.boxes.reshape(2, 2), face.landmarks[0]]).astype(float)


def _same(found: Detections, before: Detections, after: Detections) -> Detections:
    """Return the face that is the person of both others, nearest to the middle, or none."""
    same = same_person(found, before)[:, 0] & same_person(found, after)[:, 0]
    middle = (before.boxes + after.boxes) / 2
    apart = np.where(same, np.abs(found.boxes - middle).max(1), np.inf)
    return found.only(int(apart.argmin()) if same.any() else -1)


def _draw(before: Detections, after: Detections, share: float) -> Detections:
    return Detections(
        ((1 - share) * before.boxes + share * after.boxes).astype(np.float32),
        ((1 - share) * before.landmarks + share * after.landmarks).astype(np.float32),
        np.minimum(before.scores, after.scores),
    )
