"""Whether a validation or test clip was seen in training: the same subject, or the same video.

Each clip becomes one vector, the mean of its frames' embeddings, of length 1. For each clip of a
split the nearest clip of the splits before it (``train``, then ``validation``) is looked up by
cosine distance. It is flagged as a near-duplicate if it is nearer than two yardsticks, both taken
between different clips within one split, so that neither can hold a leak between splits:

- the median distance from a clip to the nearest other clip of the *same subject*: what is usual
  between two recordings of one person. A copy (scaled or compressed again) is nearer than this, and
  so is about every other clip of a person who has two names. It is left out where no subject has
  two clips in a split.
- a tenth of the median distance from a clip to the nearest clip of *another subject*. This keeps
  the first honest. A backbone that does not tell people apart (random weights, say) puts strangers
  as near as one person's clips, and the more clips there are to choose from, the nearer the nearest
  is: the first alone would then flag every other clip.

Copies within a split, which are no leak, say nothing of how near different clips are: both
yardsticks pass over pairs that are nearer than 1/200 of the mean distance between two clips of the
split, and the first also over those nearer than a tenth of the mean distance between two clips of
the subject. That is next to no pair where there are no copies.

The tenth is a margin: where chance
alone decides who is near, in d directions, it flags a share of about 0.7 / 10^(d / 2), which is 7
clips in 100,000 for d = 8. Without two subjects in a split there is no telling what is near, and
only exact duplicates are flagged: clips whose frames have the same embeddings to the byte.

This finds what the backbone sees. It can't find a copy that looks different to it, nor prove that
there is none; it warns, and stops nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.dataset.records import SPLITS
from affectflow.shards.several import JoinedRows

log = logging.getLogger(__name__)

COLUMNS = [
    *("clip_id", "split", "subject", "nearest_clip_id", "nearest_split", "nearest_subject"),
    *("distance", "threshold", "verdict"),
]
SHARED_SUBJECT = "shared_subject"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
NOT_FLAGGED = "not_flagged"
VERDICTS = (SHARED_SUBJECT, EXACT_DUPLICATE, NEAR_DUPLICATE, NOT_FLAGGED)

MARGIN = 0.1
COPY_OF_SUBJECT, COPY_OF_SPLIT = 0.1, 0.005  # of the mean distance between two of its clips
ROUNDING = 1e-6  # of a cosine distance in float32
SHOWN = 10  # of those that are not flagged
READ_BYTES = 64 * 2**20
BLOCK = 1024  # clips on each side of a block of distances

Allowed = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Leaks:
    """What was found for one backbone.

    Attributes
    ----------
    rows : pandas.DataFrame
        `COLUMNS`: flagged clips first, by verdict and distance, then the `SHOWN` nearest that are
        not flagged. A ``shared_subject`` has one row per later split, with a clip of each side and
        no distance.
    same_subject, other_subject : float
        Median distance, within splits, to the nearest other clip of the same subject, and to the
        nearest of another; NaN without one.
    threshold : float
        Nearer than this is a near-duplicate; NaN where only exact duplicates can be told.
    compared, expected : int
        Validation and test clips that were compared, and that the clip table has.
    """

    rows: pandas.DataFrame
    same_subject: float
    other_subject: float
    threshold: float
    compared: int
    expected: int


@dataclass(frozen=True)
class ClipVectors:
    """A vector per clip.

    Attributes
    ----------
    vector : numpy.ndarray
        (clips, D) float32 of length 1; zeros where there is none.
    there : numpy.ndarray
        (clips,) bool: False without a frame with a face, or where their mean has no direction.
    sha256 : list of bytes
        Of the embeddings of each clip's frames with a face; empty without one.
    """

    vector: NDArray[np.float32]
    there: NDArray[np.bool_]
    sha256: list[bytes]


def find_leaks(
    embedding: NDArray[np.float16] | h5py.Dataset | JoinedRows,
    mask: NDArray[np.bool_] | h5py.Dataset,
    clip_id: Sequence[str],
    clips: pandas.DataFrame,
    block: int = BLOCK,
    folds: bool = False,
) -> Leaks:
    """Look for subjects and clips that are in two splits, or can be in two folds.

    Clips whose embeddings have no direction (no frame with a face; all zero, or not finite) are not
    compared, but counted. Memory holds a vector per clip, and blocks of embeddings and distances of
    a fixed size.

    Parameters
    ----------
    embedding : array-like
        (rows, frames, D) float16, a dataset or an array.
    mask : array-like
        (rows, frames) bool: where there is a face.
    clip_id : sequence of str
        (rows,).
    clips : pandas.DataFrame
        The clip table: `clip_id, subject, split`.
    block : int
        Clips on each side of a block of distances.
    folds : bool
        Compare every clip with those of other subjects, whatever their splits: with
        cross-validation any two subjects can be on two sides.

    Returns
    -------
    Leaks
    """
    clips = clips[clips["split"].isin(SPLITS)].reset_index(drop=True)
    vectors = clip_vectors(embedding, mask)
    rows_of = {name: i for i, name in enumerate(clip_id) if vectors.there[i]}
    known = clips[clips["clip_id"].isin(rows_of)].reset_index(drop=True)
    rows = [rows_of[name] for name in known["clip_id"]]
    vector, sha256 = vectors.vector[rows], [vectors.sha256[row] for row in rows]

    same, other = _usual_distances(vector, known, block)
    yardsticks = [same, MARGIN * other]
    threshold = np.nan if np.isnan(other) else float(np.nanmin(yardsticks))
    pairs = (_nearest_other if folds else _nearest_before)(vector, sha256, known, block)
    verdict = np.where(pairs["distance"] < threshold, NEAR_DUPLICATE, NOT_FLAGGED)
    pairs["verdict"] = np.where(pairs.pop("exact"), EXACT_DUPLICATE, verdict)
    pairs = pairs.sort_values(["distance", "clip_id"], kind="stable")
    found = [
        _shared_subjects(clips),
        *(pairs[pairs["verdict"] == name] for name in (EXACT_DUPLICATE, NEAR_DUPLICATE)),
        pairs[pairs["verdict"] == NOT_FLAGGED].head(SHOWN),
    ]
    table = pandas.concat([part for part in found if len(part)] or [pairs], ignore_index=True)
    table = table.assign(threshold=threshold)[COLUMNS]
    for name, count in table["verdict"].value_counts(sort=False).items():
        if name != NOT_FLAGGED:
            log.warning("%s: %d clips or subjects of a later split", name, count)
    expected = len(clips) if folds else int((clips["split"] != SPLITS[0]).sum())
    return Leaks(table, same, other, threshold, len(pairs), expected)


def clip_vectors(
    embedding: NDArray[np.float16] | h5py.Dataset | JoinedRows,
    mask: NDArray[np.bool_] | h5py.Dataset,
) -> ClipVectors:
    """Reduce each clip to one vector, reading a bounded number of bytes at a time.

    Parameters
    ----------
    embedding : array-like
        (clips, frames, D) float16.
    mask : array-like
        (clips, frames) bool.

    Returns
    -------
    ClipVectors
    """
    clips, frames, dim = embedding.shape
    vector = np.zeros((clips, dim), dtype=np.float32)
    there = np.zeros(clips, dtype=bool)
    sha256 = [b""] * clips
    step = max(1, READ_BYTES // (max(frames, 1) * dim * embedding.dtype.itemsize))
    for start in range(0, clips, step):
        read = zip(embedding[start : start + step], mask[start : start + step], strict=True)
        for row, (values, face) in enumerate(read, start=start):
            faces = np.ascontiguousarray(values[face])
            if not len(faces):
                continue
            sha256[row] = hashlib.sha256(faces.tobytes()).digest()
            mean = faces.mean(axis=0, dtype=np.float32)
            length = np.linalg.norm(mean)
            if np.isfinite(length) and length > 0:
                vector[row], there[row] = mean / length, True
    return ClipVectors(vector, there, sha256)


def nearest(
    vector: NDArray[np.float32],
    queries: NDArray[np.int64],
    pool: NDArray[np.int64],
    allowed: Allowed | None = None,
    block: int = BLOCK,
    least: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find each query's nearest clip of a pool by cosine distance, block by block.

    Parameters
    ----------
    vector : numpy.ndarray
        (clips, D) float32 of length 1.
    queries, pool : numpy.ndarray
        (q,) and (p,) int64: places in `vector`.
    allowed : callable, optional
        Of a column of queries (b, 1) and a row of the pool (c,): which pairs count, (b, c) bool.
    block : int
        Clips on each side of a block.
    least : numpy.ndarray, optional
        (q,) float64: for each query, pairs that are nearer than this do not count.

    Returns
    -------
    place : numpy.ndarray
        (q,) int64, the first of equals; -1 where no pair is allowed.
    distance : numpy.ndarray
        (q,) float64, 1 - cosine; NaN where no pair is allowed.
    """
    place = np.full(len(queries), -1)
    most = np.full(len(queries), np.inf) if least is None else 1 - least
    most[most > 1 - ROUNDING] = np.inf
    closest = np.full(len(queries), -np.inf, dtype=np.float32)
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        for first in range(0, len(pool), block):
            columns = pool[first : first + block]
            cosine = vector[queries[rows]] @ vector[columns].T
            if allowed is not None:
                cosine[~allowed(queries[rows, None], columns)] = -np.inf
            cosine[cosine > most[rows, None]] = -np.inf
            best = cosine.argmax(axis=1)
            value = cosine[np.arange(len(best)), best]
            better = value > closest[rows]
            closest[rows] = np.where(better, value, closest[rows])
            place[rows] = np.where(better, columns[best], place[rows])
    # Of unit vectors, half the squared difference; 1 - cosine would lose the digits of a copy.
    apart = vector[queries].astype(np.float64) - vector[place]
    distance = (apart**2).sum(axis=1) / 2
    return place, np.where(place < 0, np.nan, distance)


def _usual_distances(
    vector: NDArray[np.float32], clips: pandas.DataFrame, block: int
) -> tuple[float, float]:
    """Return the median distance to the nearest clip of the same subject, and of another.

    Both are taken within splits, and between clips that are no copies of each other.
    """
    subject = pandas.factorize(clips["subject"])[0]

    def same(query: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (subject[query] == subject[pool]) & (query != pool)

    def other(query: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
        return subject[query] != subject[pool]

    distances: dict[Allowed, list[NDArray[np.float64]]] = {same: [], other: []}
    for split in SPLITS:
        places = np.flatnonzero(clips["split"] == split)
        of_split = COPY_OF_SPLIT * _mean_distance(vector[places], np.zeros(len(places), np.int64))
        of_subject = COPY_OF_SUBJECT * _mean_distance(vector[places], subject[places])
        least: dict[Allowed, NDArray[np.float64]] = {
            same: np.maximum(of_subject, of_split),
            other: of_split,
        }
        for rule, found in distances.items():
            found.append(nearest(vector, places, places, rule, block, least[rule])[1])
    return _median(distances[same]), _median(distances[other])


def _mean_distance(vector: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each vector (n, D) the mean cosine distance between two of its group, (n,)."""
    _, group, count = np.unique(group, return_inverse=True, return_counts=True)
    mean = np.zeros((len(count), vector.shape[1]))
    np.add.at(mean, group, vector)
    distance: NDArray[np.float64] = 1 - ((mean / count[:, None]) ** 2).sum(axis=1)
    return distance[group]


def _median(distances: list[NDArray[np.float64]]) -> float:
    known = np.concatenate(distances)
    known = known[~np.isnan(known)]
    return float(np.median(known)) if known.size else np.nan


def _nearest_before(
    vector: NDArray[np.float32], sha256: list[bytes], clips: pandas.DataFrame, block: int
) -> pandas.DataFrame:
    """Return every validation and test clip with its nearest of the splits before it.

    An exact duplicate, wherever there is one, is the nearest.
    """
    parts = []
    for number, split in enumerate(SPLITS[1:], start=1):
        own = np.flatnonzero(clips["split"] == split)
        before = np.flatnonzero(clips["split"].isin(SPLITS[:number]))
        if not len(before):
            continue
        place, distance = nearest(vector, own, before, block=block)
        first = {sha256[i]: i for i in reversed(before)}
        copy = np.array([first.get(sha256[i], -1) for i in own], dtype=np.int64)
        exact = copy >= 0
        place, distance = np.where(exact, copy, place), np.where(exact, 0.0, distance)
        parts.append(_pairs(clips, own, place).assign(distance=distance, exact=exact))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        parts = [_pairs(clips, nothing, nothing).assign(distance=0.0, exact=False)]
    return pandas.concat(parts, ignore_index=True)


def _nearest_other(
    vector: NDArray[np.float32], sha256: list[bytes], clips: pandas.DataFrame, block: int
) -> pandas.DataFrame:
    """Return every clip with its nearest, of another subject, of those before it.

    An exact duplicate, wherever there is one, is the nearest.
    """
    every = np.arange(len(clips))
    subject = pandas.factorize(clips["subject"])[0]

    def earlier(query: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (pool < query) & (subject[query] != subject[pool])

    place, distance = nearest(vector, every, every, earlier, block)
    # Of each content the first clip of each subject: a copy of another subject's is among them.
    first: dict[bytes, dict[int, int]] = {}
    copy = np.full(len(every), -1)
    for i in every:
        others = first.setdefault(sha256[i], {})
        copy[i] = next((other for who, other in others.items() if who != subject[i]), -1)
        others.setdefault(int(subject[i]), int(i))
    exact = copy >= 0
    place, distance = np.where(exact, copy, place), np.where(exact, 0.0, distance)
    paired = place >= 0
    pairs = _pairs(clips, every[paired], place[paired])
    return pairs.assign(distance=distance[paired], exact=exact[paired])


def _shared_subjects(clips: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per subject and later split: the first clips of the two sides."""
    order = clips["split"].map({split: i for i, split in enumerate(SPLITS)})
    ordered = clips.assign(order=order).sort_values(["order", "clip_id"])
    later: list[int] = []
    earliest: list[int] = []
    for _, sides in ordered.drop_duplicates(["subject", "split"]).groupby("subject"):
        first, *rest = sides.index
        later += rest
        earliest += [first] * len(rest)
    pairs = _pairs(clips, np.array(later, dtype=np.int64), np.array(earliest, dtype=np.int64))
    return pairs.assign(distance=np.nan, verdict=SHARED_SUBJECT)


def _pairs(
    clips: pandas.DataFrame, place: NDArray[np.int64], other: NDArray[np.int64]
) -> pandas.DataFrame:
    """Return the names of clips beside those of others."""
    names = ["clip_id", "split", "subject"]
    columns: dict[str, Any] = {name: clips[name].to_numpy(object)[place] for name in names}
    columns |= {f"nearest_{name}": clips[name].to_numpy(object)[other] for name in names}
    return pandas.DataFrame(columns)
