"""The embeddings of clips, in shards and joined.

Datasets: `embedding` (clips, frames, D) float16, `mask` (clips, frames) bool (False where no face
was found, or the clip has no such frame), `frames` (clips,) int64, how many the clip has, `clip_id`
(clips,) text.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from affectflow.errors import UserError
from affectflow.shards.files import TEXT, create, made_by, open_complete, sealed_sha256, texts
from affectflow.shards.origin import agreed, differences
from affectflow.shards.rows import PACKED, ClipRows
from affectflow.shards.several import JoinedRows, Shards

log = logging.getLogger(__name__)

CONTENT = "embeddings"


class EmbeddingRows(ClipRows):
    """A writer of clips, each with the embeddings and the mask of the frames that it has."""

    def __init__(self, file: h5py.File, frames: int, dim: int) -> None:
        columns = {"embedding": ((dim,), np.float16, 0), "mask": ((), np.bool_, False)}
        super().__init__(file, frames, columns, packed=("embedding",))
        self.frames = file.create_dataset("frames", shape=(0,), maxshape=(None,), dtype=np.int64)

    def append(self, texts: dict[str, str], values: dict[str, Any]) -> None:
        """Add a clip."""
        super().append(texts, values)
        self.frames.resize(len(self.frames) + 1, axis=0)
        self.frames[-1] = len(values["mask"])


def embedding_rows(file: h5py.File, frames: int, dim: int) -> EmbeddingRows:
    """Return a writer of clips of `frames` embeddings of `dim` numbers."""
    return EmbeddingRows(file, frames, dim)


def frame_counts(embedding: h5py.Dataset | JoinedRows) -> np.ndarray:
    """Return how many frames each clip has, (clips,) int64, of a file's ``embedding``.

    Raises
    ------
    UserError
        If the file is of a version that did not say.
    """
    if "frames" not in embedding.file:
        path = embedding.file.filename
        raise UserError(
            f"{path}: does not say how many frames each clip has",
            f"Remove {path} and run snakemake again.",
        )
    counts: np.ndarray = embedding.file["frames"][:]
    return counts


def join(shards: Sequence[Path], target: Path) -> None:
    """Write a file that shows the shards as one: no embedding is copied.

    Clips keep the order shard, then place in the shard. Shards with fewer frames per clip are
    filled up with masked frames. The shards' digests are kept, so that a changed shard changes
    this file, and `open_joined` refuses shards that were swapped under it.

    For readers other than `open_joined`, ``embedding`` is a virtual dataset, which HDF5 fills
    without a word where a shard can't be opened: with NaN, and ``mask`` is a copy, so that
    ``embedding[mask]`` can't pass for numbers.

    Raises
    ------
    UserError
        If a shard is not whole, the shards differ in dimension, in their weights or in the
        settings with which faces were found, or no clip has a decodable frame.
    """
    clips, shapes, counts, masks, seals, origins = [], [], [], [], [], []
    for shard in shards:
        with open_complete(shard, CONTENT) as file:
            clips += texts(file["clip_id"])
            shapes.append(file["embedding"].shape)
            counts.append(frame_counts(file["embedding"]))
            masks.append(file["mask"][:])
            seals.append(sealed_sha256(shard))
            origins.append(made_by(file))
    faces = [int(mask.sum()) for mask in masks]
    if not sum(faces):
        raise UserError(
            f"no clip of the study has a face in any decodable frame ({len(clips)} clips)",
            "results/dataset/audit.csv says why for each clip (snakemake audit).",
        )
    if len({shape[2] for shape in shapes}) > 1:
        raise UserError(
            f"{target}: shards differ in dimension: {sorted({shape[2] for shape in shapes})}",
            f"Remove {shards[0].parent} and run snakemake again.",
        )
    twice = [name for name, times in Counter(clips).items() if times > 1]
    if twice:
        raise UserError(
            f"{target}: clip {twice[0]} is in more than one shard ({len(twice)} such clips)",
            f"Remove {shards[0].parent} and run snakemake again.",
        )
    # A shard without a face has no number that its origin could have decided.
    origin = agreed(
        {shard: own for shard, own, any_ in zip(shards, origins, faces, strict=True) if any_}
    )
    for difference in differences(origin):
        log.warning("%s: %s", target.stem, difference)
    frames = max(shape[1] for shape in shapes)
    embedding = h5py.VirtualLayout((len(clips), frames, shapes[0][2]), np.float16)
    row = 0
    for shard, (n, width, _) in zip(shards, shapes, strict=True):
        if n and width:
            name = os.path.relpath(shard, target.parent)
            source = h5py.VirtualSource(name, "embedding", shape=(n, width, shapes[0][2]))
            embedding[row : row + n, :width] = source
        row += n
    names = [os.path.relpath(shard, target.parent) for shard in shards]
    digests = dict(zip(names, seals, strict=True))
    with create(target, CONTENT, {"shards": digests, **origin}) as file:
        file.create_virtual_dataset("embedding", embedding, fillvalue=np.nan)
        padded = [np.pad(mask, ((0, 0), (0, frames - mask.shape[1]))) for mask in masks]
        file.create_dataset("mask", data=np.concatenate(padded), **PACKED)
        file.create_dataset("frames", data=np.concatenate(counts))
        file.create_dataset("clip_id", data=clips, dtype=TEXT)


def differences_in(path: Path) -> list[str]:
    """Return a sentence for each thing in which the shards of joined embeddings differ.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    with open_complete(path, CONTENT) as file:
        return differences(made_by(file))


@contextmanager
def open_joined(path: Path) -> Iterator[tuple[JoinedRows | h5py.Dataset, np.ndarray, list[str]]]:
    """Open joined embeddings, after checking that each shard is the one that was joined.

    Embeddings are read from the shards themselves: what HDF5 shows of a shard that it can't open
    is fill values.

    Yields
    ------
    embedding : JoinedRows or h5py.Dataset
        (clips, frames, D) float16, to be indexed by rows, and read as far as memory goes.
    mask : numpy.ndarray
        (clips, frames) bool.
    clip_id : list of str

    Raises
    ------
    UserError
        If the file or one of its shards is missing, damaged, not the one that was joined, or can't
        be read, now or later.
    """
    with open_complete(path, CONTENT) as file:
        again = f"Remove {path} and run snakemake again."
        if file["mask"].is_virtual or "shards" not in made_by(file):
            raise UserError(f"{path}: was not joined by this version", again)
        mask, clips = file["mask"][:], texts(file["clip_id"])
        if not file["embedding"].is_virtual:  # it holds all that it shows
            yield file["embedding"], mask, clips
            return
        digests = made_by(file)["shards"]
        paths, shapes = [path.parent / name for name in digests], []
        for shard, digest in zip(paths, digests.values(), strict=True):
            with open_complete(shard, CONTENT) as source:
                if sealed_sha256(shard) != digest:
                    raise UserError(f"{shard}: is not the shard that was joined into {path}", again)
                shapes.append(source["embedding"].shape)
        if sum(shape[0] for shape in shapes) != len(clips):
            raise UserError(f"{path}: has {len(clips)} clips, not those of its shards", again)
        with Shards(paths, list(digests.values())) as shards:
            yield JoinedRows(shards, "embedding", shapes, np.dtype(np.float16), file), mask, clips
