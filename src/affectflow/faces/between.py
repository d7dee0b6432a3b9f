"""Faces of a clip from a look at some of its frames: what lies between two that agree is drawn.

A head hardly moves from one frame to the next, and a detector costs most of the pipeline. So every
so many frames are looked at. Where two neighbours show the same faces at nearly the same places,
the frames between them get those, moved evenly from one to the other. Where they don't, the frame
in the middle is looked at, and so on, down to neighbouring frames.

The error is bounded by what "agree" means: of each face, no corner of its box and no landmark is
farther from its place in either neighbour than `NEAR` of the face's size, if it moves on between
them and does not go there and back. A face that is seen in fewer than `every` frames, all of them
between two looks that agree, is missed. Looks at nobody agree where they are a quarter of `every`
apart: a face that a detector doubts comes and goes more often than people do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from affectflow.faces.detection import Detections

NEAR = 0.07
"""How far anything of a face may move between two looks that agree, in face sizes."""

SECONDS = 0.21
"""From one look to the next at most, if the config leaves it to us: 6 frames of 30 per second."""

Look = Callable[[Sequence[int]], list[Detections]]
"""From places of frames to what a detector finds there."""


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


def look_between(frames: int, every: int, look: Look) -> list[Detections]:
    """Return the faces of each frame of a clip.

    Parameters
    ----------
    frames : int
    every : int
        Frames from one look to the next, at least 1: then each is looked at.
    look : callable
        Given each place once at most, in few calls.

    Returns
    -------
    list of Detections
        In the frames' order. Those between two looks have the lower of the two scores.
    """
    found: dict[int, Detections] = {}
    wanted = sorted({*range(0, frames, every), frames - 1}) if frames else []
    spans = list(pairwise(wanted))
    while wanted:
        found |= zip(wanted, look(wanted), strict=True)
        wanted, undecided = [], spans
        spans = []
        for first, last in undecided:
            if last - first < 2:
                continue
            nobody = not len(found[first]) and not len(found[last])
            near = last - first <= (-(-every // 4) if nobody else every)
            pairs = _pair(found[first], found[last]) if near else None
            if pairs is None:
                middle = (first + last) // 2
                wanted.append(middle)
                spans += [(first, middle), (middle, last)]
            else:
                for place in range(first + 1, last):
                    share = (place - first) / (last - first)
                    found[place] = _draw(found[first], found[last], pairs, share)
    return [found[place] for place in range(frames)]


def _pair(before: Detections, after: Detections) -> np.ndarray | None:
    """Return which face of `after` each face of `before` is, (n,), or None if they disagree."""
    if len(before) != len(after):
        return None
    if not len(before):
        return np.zeros(0, np.int64)
    points, others = _points(before), _points(after)
    apart = np.abs(points[:, None] - others).max((2, 3))
    sides = before.boxes[:, 2:] - before.boxes[:, :2]
    size = np.sqrt(np.maximum(sides, 1).prod(1))
    pairs = apart.argmin(1)
    near = apart[np.arange(len(before)), pairs] <= NEAR * size
    return pairs if near.all() and len(np.unique(pairs)) == len(before) else None


def _points(faces: Detections) -> np.ndarray:
    """Return what has a place: two corners of the box, five landmarks, (n, 7, 2)."""
    return np.concatenate([faces.boxes.reshape(-1, 2, 2), faces.landmarks], 1).astype(float)


def _draw(before: Detections, after: Detections, pairs: np.ndarray, share: float) -> Detections:
    return Detections(
        ((1 - share) * before.boxes + share * after.boxes[pairs]).astype(np.float32),
        ((1 - share) * before.landmarks + share * after.landmarks[pairs]).astype(np.float32),
        np.minimum(before.scores, after.scores[pairs]),
    )
