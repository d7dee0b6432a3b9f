"""How alike the frames of a clip are: the dissertation's Figure 4.2 and equation 4.1."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from affectflow.figures.style import BLUE, ORANGE, VERMILLION, panels, plain, say, styled
from affectflow.published import similarity as published
from affectflow.shards.several import JoinedRows

BLOCK = 64  # clips in memory at a time
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Similarity:
    """Cosine similarities within each clip.

    Attributes
    ----------
    frames : int
        How many there are of a clip, at most.
    position : int array of shape (samples,)
        Which frames of a clip of so many were sampled; of a shorter one, those at the same parts.
    to_first : float array of shape (clips, samples)
        Similarity of each sample to the clip's first frame with a face; NaN without a face.
    pairwise : float array of shape (clips,)
        Mean over all pairs of the clip's frames with a face; NaN with fewer than two.
    at_stated : float array of shape (clips,)
        Similarity to the clip's first frame with a face at the time of the frame whose similarity
        the dissertation states (`published.similarity.same_time`); NaN where that has no face, or
        none is before it.
    """

    frames: int
    position: NDArray[np.int64]
    to_first: NDArray[np.float64]
    pairwise: NDArray[np.float64]
    at_stated: NDArray[np.float64]


def frame_similarity(
    embedding: NDArray[np.floating] | h5py.Dataset | JoinedRows,
    mask: NDArray[np.bool_] | h5py.Dataset,
    samples: int = 10,
    counts: NDArray[np.int64] | None = None,
) -> Similarity:
    """Compare the frames of each clip in the embedding.

    Equation 4.1, ``-(cosine_distance(frame 1, frame N) - 1)``, is the cosine similarity; it is
    taken for `samples` evenly spaced frames, the first and the last among them. Clips are read in
    blocks, so `embedding` may be a dataset larger than memory.

    Parameters
    ----------
    embedding : float array or dataset of shape (clips, frames, D)
    mask : bool array or dataset of shape (clips, frames)
        Where there is a face.
    samples : int
    counts : int array of shape (clips,)
        How many frames each clip has, first in its row; None: all.

    Returns
    -------
    Similarity
    """
    clips, frames, _ = embedding.shape
    counts = np.full(clips, frames) if counts is None else counts
    whole = np.linspace(0, frames - 1, samples).round().astype(np.int64)
    position, kept = np.unique(whole, return_index=True)
    last = np.maximum(counts - 1, 0)
    places = np.linspace(0, last, samples, axis=1).round().astype(np.int64)[:, kept]
    to_first = np.full((clips, position.size), np.nan)
    pairwise = np.full(clips, np.nan)
    at_stated = np.full(clips, np.nan)
    stated = published.same_time(counts)
    for start in range(0, clips, BLOCK):
        block = slice(start, start + BLOCK)
        unit, face = _unit(embedding[block], mask[block])
        first, clip = face.argmax(axis=1), np.arange(len(unit))
        reference, sampled = unit[clip, first], (clip[:, None], places[block])
        cosine = np.einsum("cfd,cd->cf", unit[sampled], reference)
        to_first[block] = np.where(face[sampled], cosine, np.nan)
        same_time = clip, stated[block]
        cosine = np.einsum("cd,cd->c", unit[same_time], reference)
        at_stated[block] = np.where(face[same_time] & (first < stated[block]), cosine, np.nan)
        count = face.sum(axis=1)
        # The squared length of the sum of unit vectors holds every pair twice and each frame once.
        pairs = (unit.sum(axis=1) ** 2).sum(axis=1) - count
        enough = count > 1
        pairwise[block][enough] = pairs[enough] / (count * (count - 1))[enough]
    return Similarity(frames, position, to_first, pairwise, at_stated)


def summary(similarity: Similarity) -> pandas.DataFrame:
    """Return how similar frames are to the first one, over clips.

    Parameters
    ----------
    similarity : Similarity

    Returns
    -------
    pandas.DataFrame
        A row per sampled frame, and one for the time of the stated one: `frame` (from 1), `frames`
        of a clip, `clips` with a face there, and the 5th percentile, median and 95th of their
        similarity; NaN without a clip.
    """
    found = dict(zip(similarity.position.tolist(), similarity.to_first.T, strict=True))
    found[published.same_time(similarity.frames)] = similarity.at_stated
    rows = []
    for place in sorted(found):
        values = found[place][~np.isnan(found[place])]
        spread = np.percentile(values, published.PERCENTILES) if values.size else [np.nan] * 3
        rows.append((place + 1, similarity.frames, values.size, *spread))
    return pandas.DataFrame(rows, columns=published.COLUMNS)


def _unit(
    embedding: NDArray[np.floating], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return rows of length 1, zeros where there is no face, and where there is one."""
    rows = np.asarray(embedding, dtype=np.float64)
    length = np.linalg.norm(rows, axis=-1)
    face = np.asarray(mask, dtype=bool) & (length > 0)
    return np.where(face[..., None], rows / np.where(face, length, 1)[..., None], 0), face


@styled
def draw(similarity: Similarity, backbone: str, compared: bool = False) -> Figure:
    """Draw similarity to the first frame by position, and the clips' mean over all pairs.

    Parameters
    ----------
    similarity : Similarity
    backbone : str
        Whose embedding it is, for the title.
    compared : bool
        Whether the dissertation's value stands beside ours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = panels(2, 2, 4.6, 3.5)
    figure.suptitle(f"{plain(backbone)}: how alike a clip's frames are", fontsize=10)
    seen = ~np.isnan(similarity.to_first)
    at = seen.any(axis=0)
    if at.any():
        frame = similarity.position[at] + 1
        spread = np.nanpercentile(similarity.to_first[:, at], PERCENTILES, axis=0)
        for low, high, part, alpha in ((0, 4, "90 %", 0.15), (1, 3, "50 %", 0.3)):
            left.fill_between(
                frame,
                spread[low],
                spread[high],
                color=BLUE,
                alpha=alpha,
                lw=0,
                label=f"middle {part} of clips",
            )
        left.plot(frame, spread[2], color=BLUE, marker="o", ms=4, label="median clip")
        lowest = spread[0].min()
        if compared:
            value, place = published.stated(), published.same_time(similarity.frames) + 1
            label = (
                f"published, one clip: {value.similarity} at frame {value.frame} of {value.frames}"
            )
            left.plot(
                place, value.similarity, "D", color=ORANGE, mec="black", zorder=3, label=label
            )
            lowest = min(lowest, value.similarity)
        margin = max(0.06 * (1 - lowest), 0.002)
        left.set_ylim(lowest - margin, 1 + margin)
        left.set_title(f"To the first frame, {seen.any(axis=1).sum():,} clips")
        left.set_xlabel("sampled frame")
        left.set_ylabel("cosine similarity")
        left.set_xticks(frame)
        left.grid(axis="y")
        left.legend(fontsize=8)
    else:
        say(left, "no frame with a face")
    pairwise = similarity.pairwise[~np.isnan(similarity.pairwise)]
    if pairwise.size:
        low, high = pairwise.min(), pairwise.max()
        margin = max((high - low) * 0.05, 0.005)
        right.hist(pairwise, bins=21, range=(low - margin, high + margin), color=BLUE)
        median = float(np.median(pairwise))
        right.axvline(median, color=VERMILLION, label=f"median {median:.3f}")
        right.set_title(f"Mean over all pairs of frames, {pairwise.size:,} clips")
        right.set_xlabel("mean pairwise cosine similarity")
        right.set_ylabel("clips")
        right.yaxis.set_major_locator(MaxNLocator(integer=True))
        right.grid(axis="y")
        right.legend(fontsize=8)
    else:
        say(right, "no clip with two frames with a face")
    return figure
