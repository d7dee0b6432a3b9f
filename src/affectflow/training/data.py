"""The clips of a study as sequences of embeddings with their levels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import h5py
import numpy as np
import pandas

from affectflow.dataset.records import SPLITS
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.shards.several import JoinedRows, rows_of
from affectflow.temporal.frames import key_frames, places
from affectflow.temporal.objective import MISSING

log = logging.getLogger(__name__)

BLOCK = 128
MEMORY = 4 * 2**30


@runtime_checkable
class Source(Protocol):
    """Embeddings that are computed when they are asked for, rather than read.

    Attributes
    ----------
    shape : tuple of int
        (rows, S_all, D), of the embeddings that could be asked for.
    identity : str
        A digest of all that decides them.
    """

    shape: tuple[int, int, int]
    identity: str

    def embed(self, rows: np.ndarray, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return (n, S, D) float32 of rows' frames (n, S), zeros where mask (n, S) is False."""


@dataclass(frozen=True)
class SequenceData:
    """Clips in the order split, clip id; whatever the order of the embedding file.

    Attributes
    ----------
    embedding : array-like
        (rows, S_all, D) float16: a numpy array, or an HDF5 dataset that is too large for memory; or
        a `Source` of them.
    rows : numpy.ndarray
        (clips,) int64, the clips' rows in `embedding`.
    frames : numpy.ndarray
        (clips, S) int64, the places of each clip's used frames in `embedding`.
    mask : numpy.ndarray
        (clips, S) bool, at least one True per clip; False also where a clip has fewer frames.
    levels : numpy.ndarray
        (clips, tasks) int64 level codes, -1 where there is no label; of a real-valued task 0 where
        there is one.
    clip_id, subject, split : numpy.ndarray
        (clips,) text; `split` is ``train``, ``validation`` or ``test``.
    values : numpy.ndarray or None
        (clips, tasks) float64, the numbers of real-valued tasks, NaN elsewhere; None where no task
        is real-valued.

    Raises
    ------
    UserError
        If a subject is in more than one split.
    """

    embedding: np.ndarray | h5py.Dataset | JoinedRows | Source
    rows: np.ndarray
    frames: np.ndarray
    mask: np.ndarray
    levels: np.ndarray
    clip_id: np.ndarray
    subject: np.ndarray
    split: np.ndarray
    values: np.ndarray | None = None

    def __post_init__(self) -> None:
        _refuse_leaks(self.subject, self.split)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return int(self.embedding.shape[2])

    @property
    def labels(self) -> np.ndarray:
        """All tasks' labels, (clips, tasks): `levels`, or with a real-valued task float64.

        In float64 codes are what they are, and NaN is where there is no label.
        """
        if self.values is None:
            return self.levels
        codes = np.where(self.levels == MISSING, np.nan, self.levels)
        return np.where(np.isnan(self.values), codes, self.values)

    def labelled(self, split: str) -> np.ndarray:
        """Return the places (n,) int64 of a split's clips that have a label for any task."""
        return np.flatnonzero((self.split == split) & (self.levels != MISSING).any(1))

    def read(self, clips: np.ndarray) -> np.ndarray:
        """Return the embeddings (n, S, D) of the clips at some places, in their order.

        They are float16, or of a `Source` float32.
        """
        rows = self.rows[clips]
        if isinstance(self.embedding, Source):
            return self.embedding.embed(rows, self.frames[clips], self.mask[clips])
        if isinstance(self.embedding, np.ndarray):
            return self.embedding[rows[:, None], self.frames[clips]]
        whole = rows_of(self.embedding.__getitem__, rows)
        return whole[np.arange(len(rows))[:, None], self.frames[clips]]

    def blocks(self, clips: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield embeddings and masks of some clips, a bounded number at a time."""
        for start in range(0, len(clips), BLOCK):
            part = clips[start : start + BLOCK]
            yield self.read(part), self.mask[part]

    def digest(self) -> str:
        """Return the SHA-256 of all that training can see: unmasked frames, labels, splits."""
        total = hashlib.sha256(repr((self.mask.shape, self.dim, self.levels.shape)).encode())
        for column in (self.clip_id, self.subject, self.split):
            total.update("\0".join(column).encode())
        total.update(np.ascontiguousarray(self.levels).tobytes())
        if self.values is not None:
            total.update(np.ascontiguousarray(self.values).tobytes())
        total.update(np.ascontiguousarray(self.mask).tobytes())
        if isinstance(self.embedding, Source):
            total.update(self.embedding.identity.encode())
            total.update(np.where(self.mask, self.frames, -1).tobytes())
            return total.hexdigest()
        for embedding, mask in self.blocks(np.arange(len(self))):
            total.update(embedding[mask].tobytes())
        return total.hexdigest()


def assemble(
    embedding: np.ndarray | h5py.Dataset | JoinedRows | Source,
    mask: np.ndarray,
    clip_id: Sequence[str],
    clips: pandas.DataFrame,
    tasks: Sequence[Task],
    frames: int | None = None,
    similarity: float | None = None,
    memory: int = MEMORY,
    counts: np.ndarray | None = None,
) -> SequenceData:
    """Join embeddings with the clip table.

    Clips that are in the table's splits but have no unmasked frame (or no embedding) are left
    out, and the log says how many of each split.

    Parameters
    ----------
    embedding : array-like
        (rows, S_all, D) float16. An HDF5 dataset of up to `memory` bytes is read into memory; a
        `Source` stays what it is.
    mask : array-like
        (rows, S_all) bool.
    clip_id : sequence of str
        (rows,).
    clips : pandas.DataFrame
        What `affectflow.dataset.clips.read_clips` returns.
    tasks : sequence of Task
    frames : int or None
        How many frames to use (`affectflow.temporal.frames.places`); None for all.
    similarity : float or None
        Of these use only key frames (`affectflow.temporal.frames.key_frames`); None for all.
    memory : int
        Bytes.
    counts : numpy.ndarray or None
        (rows,) int64, how many frames each clip has; None: S_all.

    Raises
    ------
    UserError
        If more frames are wanted than embedded, a level is not one of its task's, a subject is in
        two splits, or no clip is left.
    """
    counts = np.full(len(mask), mask.shape[1]) if counts is None else counts
    used, seen = places(counts, np.asarray(mask[:], dtype=bool), frames)
    row = pandas.Series({name: i for i, name in enumerate(clip_id) if seen[i].any()}, dtype="Int64")
    table = clips[clips["split"].isin(SPLITS)]
    order = table["split"].map({split: i for i, split in enumerate(SPLITS)}).to_numpy()
    table = table.iloc[np.lexsort((table["clip_id"].to_numpy(str), order))]
    row = table["clip_id"].map(row)
    unseen = table[row.isna()]
    for split, count in unseen.groupby("split").size().items():
        log.warning(
            "%s: %d clips have no frame with a face: not trained on, not scored; first: %s",
            split,
            count,
            unseen[unseen["split"] == split]["clip_id"].iloc[0],
        )
    table, row = table[row.notna()], row[row.notna()]
    if table.empty:
        raise UserError(
            "no clip has both a row in the clip table and a frame with a face",
            "Look at results/dataset/audit.csv for what became of the clips.",
        )
    levels, values = _labels(table, tasks)
    rows = row.to_numpy(np.int64)
    if not isinstance(embedding, Source) and (
        int(np.prod(embedding.shape)) * embedding.dtype.itemsize <= memory
    ):
        embedding = embedding[:]
    data = SequenceData(
        embedding,
        rows,
        used[rows],
        seen[rows],
        levels,
        table["clip_id"].to_numpy(str),
        table["subject"].to_numpy(str),
        table["split"].to_numpy(str),
        values,
    )
    if similarity is None:
        return data
    kept = [key_frames(*block, similarity) for block in data.blocks(np.arange(len(data)))]
    log.info(
        "%.1f of %.1f frames per clip are key frames",
        *(mask.sum() / len(data) for mask in (np.concatenate(kept), data.mask)),
    )
    return replace(data, mask=np.concatenate(kept))


def refuse_missing(clips: pandas.DataFrame, found: Collection[str], where: str) -> None:
    """Refuse data that lack a clip: one with a video has a row, whatever became of it there.

    Parameters
    ----------
    clips : pandas.DataFrame
        As in `assemble`.
    found : collection of str
        The ids of the clips that have a row.
    where : str
        Which files hold the rows, for people.

    Raises
    ------
    UserError
        If a clip has none.
    """
    wanted = clips[clips["split"].isin(SPLITS) & (clips["path"] != "")]
    missing = wanted[~wanted["clip_id"].isin(set(found))]
    if not missing.empty:
        raise UserError(
            f"clip {missing['clip_id'].iloc[0]} is in none of {where} ({len(missing)} such clips)",
            "Give what was made from the same clips.csv: run snakemake.",
        )


def _labels(table: pandas.DataFrame, tasks: Sequence[Task]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return `levels` and `values` of `SequenceData`; refuse codes that are no level."""
    levels = np.full((len(table), len(tasks)), MISSING, np.int64)
    values = np.full(levels.shape, np.nan)
    for place, task in enumerate(tasks):
        column = table[task.name]
        if task.kind == "real":
            values[:, place] = column.to_numpy(np.float64, na_value=np.nan)
            levels[column.notna().to_numpy(), place] = 0
            continue
        codes = levels[:, place] = column.fillna(MISSING).to_numpy(np.int64)
        if codes.max() >= len(task.levels) or codes.min() < MISSING:
            clip = table["clip_id"].iloc[int(np.argmax(codes))]
            raise UserError(
                f"clip {clip}: {task.name} {codes.max()} is not one of {len(task.levels)} levels",
                "Correct the label, or declare the task's levels in the config.",
            )
    return levels, values if any(task.kind == "real" for task in tasks) else None


def permuted(data: SequenceData, seed: int) -> SequenceData:
    """Return the control: labels exchanged among the labelled clips of a split.

    A clip's labels move together, so the tasks keep their correlation and each split its level
    counts. Training and validation are permuted; test labels stay.
    """
    levels = data.levels.copy()
    values = None if data.values is None else data.values.copy()
    for i, split in enumerate(SPLITS[:2]):
        clips = data.labelled(split)
        other = np.random.default_rng([seed, i]).permutation(clips)
        levels[clips] = data.levels[other]
        if values is not None and data.values is not None:
            values[clips] = data.values[other]
    return replace(data, levels=levels, values=values)


def _refuse_leaks(subject: np.ndarray, split: np.ndarray) -> None:
    pairs = pandas.DataFrame({"subject": subject, "split": split}).drop_duplicates()
    shared = pairs[pairs.duplicated("subject", keep=False)].sort_values(["subject", "split"])
    if not shared.empty:
        first = shared["subject"].iloc[0]
        sides = ", ".join(shared[shared["subject"] == first]["split"])
        raise UserError(
            f"subject {first} is in more than one split: {sides} "
            f"({shared['subject'].nunique()} such subjects)",
            "Give each subject's clips to one split: a model that knows the face proves nothing.",
        )
