"""One face per frame, by continuity through the clip.

Choosing each frame's face by itself flips between people, and equal probabilities even gave the
dissertation several faces for one frame (Abraham 2022, section 5.1.3). Here a whole clip is decided
at once: among all ways to choose at most one face per frame, the one with the greatest

    sum over chosen faces of (weight * value + COVER if credible)
    - sum over consecutive chosen faces of CHANGE * jump

- weight: how many frames a frame stands for, if not all were looked at; else 1.
- value, in 0..1: score * size / largest size in the clip. Webcam subjects are near.
- credible: score >= SURE, and at least half as large as a frame's largest face usually is (weighted
  median).
- jump, in 0..1: 0 between boxes that overlap as one person's do (centres within NEAR face sizes);
  else their distance in face sizes, and in octaves of size, of FAR; 1 from FAR on, or where more
  than MEMORY frames with faces, the later one's included, have come since (of those looked at).

With n the sum of the weights of frames that have faces, CHANGE = 4 n and COVER = 3 CHANGE. So a
frame with a credible face gets a face; of such choices, the one with hardly more than the least
jumping; of those, the nearest and surest. A doubtful face is taken where it continues a track, and
is no reason to leave one. The size of a face is sqrt(width * height).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affectflow.faces.detection import Detections

SURE = 0.9
NEAR = 0.75
FAR = 4.0
MEMORY = 16


def follow(faces: Sequence[Detections], weights: np.ndarray | None = None) -> np.ndarray:
    """Choose one face per frame.

    An exact dynamic programme over the objective above (Viterbi's, over faces rather than frames),
    in time linear in the frames. The answer does not hang on the order of a frame's faces.

    Parameters
    ----------
    faces : sequence of Detections
        A clip's frames in order.
    weights : numpy.ndarray, optional
        (frames,) how many frames each stands for; 1 where none are given.

    Returns
    -------
    numpy.ndarray
        (frames,) int64: which of the frame's faces; -1: none.
    """
    chosen = np.full(len(faces), -1, np.int64)
    seen = [frame for frame, found in enumerate(faces) if len(found)]
    if not seen:
        return chosen
    order = [_order(faces[frame]) for frame in seen]
    boxes = [faces[frame].boxes[o].astype(float) for frame, o in zip(seen, order, strict=True)]
    scores = [faces[frame].scores[o].astype(float) for frame, o in zip(seen, order, strict=True)]

    centres, sizes = zip(*map(_centre_size, boxes), strict=True)
    weight = np.ones(len(seen)) if weights is None else weights[seen]
    change = 4.0 * float(weight.sum())
    worth = _worth(scores, sizes, weight, cover=3 * change)

    best: list[np.ndarray] = []  # per face: the best sum of a choice that ends with it
    before: list[list[tuple[int, int]]] = []
    older, older_at = 0.0, (-1, -1)  # the best choice that ended more than MEMORY frames ago
    for t, own in enumerate(worth):
        if t > MEMORY and best[t - MEMORY - 1].max() - change > older:
            gone = t - MEMORY - 1
            older, older_at = float(best[gone].max()) - change, (gone, int(best[gone].argmax()))
        # The latest frame first, so that of equal choices the one without a gap is kept.
        window = range(t - 1, max(t - MEMORY, 0) - 1, -1)
        links = [(s, i) for s in window for i in range(len(best[s]))] + [older_at]
        sums = np.full((len(links), len(own)), older)
        if window:
            so_far, there, as_large = (
                np.concatenate([of[s] for s in window]) for of in (best, centres, sizes)
            )
            jump = _jump(there, as_large, centres[t], sizes[t])
            sums[:-1] = so_far[:, None] - change * jump
        best.append(own + sums.max(0))
        before.append([links[i] for i in sums.argmax(0)])

    ends = [float(sums.max()) for sums in best]
    last = int(np.argmax(ends))
    link = last, int(np.argmax(best[last]))
    while link[0] >= 0:
        frame, face = link
        chosen[seen[frame]] = order[frame][face]
        link = before[frame][face]
    return chosen


def same_person(before: Detections, after: Detections) -> np.ndarray:
    """Return whether faces of one frame overlap as one person's do with those of another.

    Returns
    -------
    numpy.ndarray
        (n, m) bool.
    """
    (centres, sizes), (others, their_sizes) = (
        _centre_size(faces.boxes.astype(float)) for faces in (before, after)
    )
    return _jump(centres, sizes, others, their_sizes) == 0


def _order(found: Detections) -> np.ndarray:
    """Return the places of faces in an order that hangs on the faces alone."""
    return np.lexsort((*found.boxes.T, found.scores))


def _centre_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.sqrt(sides.prod(1))


def _worth(
    scores: Sequence[np.ndarray], sizes: Sequence[np.ndarray], weights: np.ndarray, cover: float
) -> list[np.ndarray]:
    largest = np.array([size.max() for size in sizes])
    usual, most = _weighted_median(largest, weights), largest.max()
    return [
        weight * score * size / most + cover * ((score >= SURE) & (size >= usual / 2))
        for score, size, weight in zip(scores, sizes, weights, strict=True)
    ]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return what half of the weight is below, and half above; between two values, their mean."""
    order = np.argsort(values)
    below, half = np.cumsum(weights[order]), weights.sum() / 2
    places = np.searchsorted(below, half, "left"), np.searchsorted(below, half, "right")
    return float(values[order][list(places)].mean())


def _jump(
    centres: np.ndarray, sizes: np.ndarray, next_centres: np.ndarray, next_sizes: np.ndarray
) -> np.ndarray:
    """Return the jump from each face of a frame to each of a later one, (n, m) in 0..1."""
    apart = np.linalg.norm(centres[:, None] - next_centres, axis=2)
    apart /= np.sqrt(sizes[:, None] * next_sizes)
    octaves = np.abs(np.log2(next_sizes / sizes[:, None]))
    same = (apart <= NEAR) & (octaves <= 1)
    return np.where(same, 0.0, np.minimum(np.maximum(apart, octaves) / FAR, 1.0))
