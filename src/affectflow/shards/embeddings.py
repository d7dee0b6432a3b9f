"""The embeddings of clips, in shards and joined.

Datasets: `embedding` (clips, frames, D) float16, `mask` (clips, frames) bool (False where no face
was found, or the clip has no such frame), `frames` (clips,) int64, how many the clip has, `clip_id`
(clips,) text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from affectflow.errors import UserError
from affectflow.shards.files import TEXT, create, made_by, open_complete, sealed_sha256, texts
from affectflow.shards.rows import ClipRows

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


def frame_counts(embedding: h5py.Dataset) -> np.ndarray:
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
    """Write the shards as one virtual dataset: no number is copied.

    Clips keep the order shard, then place in the shard. Shards with fewer frames per clip are
    filled up with masked frames. The shards' digests are kept, so that a changed shard changes
    this file, and `open_joined` refuses shards that were swapped under it.

    Raises
    ------
    UserError
        If a shard is not whole, the shards differ in dimension, or no clip has a decodable frame.
    """
    clips, shapes, counts = [], [], []
    faces = 0
    for shard in shards:
        with open_complete(shard, CONTENT) as file:
            clips += texts(file["clip_id"])
            shapes.append(file["embedding"].shape)
            counts.append(frame_counts(file["embedding"]))
            faces += int(file["mask"][:].sum())
    if not faces:
        raise UserError(
            f"no clip of the study has a face in any decodable frame ({len(clips)} clips)",
            "results/dataset/audit.csv says why for each clip (snakemake audit).",
        )
    if len({shape[2] for shape in shapes}) > 1:
        raise UserError(
            f"{target}: shards differ in dimension: {sorted({shape[2] for shape in shapes})}",
            f"Remove {shards[0].parent} and run snakemake again.",
        )
    frames = max(shape[1] for shape in shapes)
    embedding = h5py.VirtualLayout((len(clips), frames, shapes[0][2]), np.float16)
    mask = h5py.VirtualLayout((len(clips), frames), np.bool_)
    row = 0
    for shard, (n, width, _) in zip(shards, shapes, strict=True):
        if n == 0 or width == 0:
            row += n
            continue
        name = os.path.relpath(shard, target.parent)
        source = h5py.VirtualSource(name, "embedding", shape=(n, width, shapes[0][2]))
        embedding[row : row + n, :width] = source
        mask[row : row + n, :width] = h5py.VirtualSource(name, "mask", shape=(n, width))
        row += n
    digests = {os.path.relpath(shard, target.parent): sealed_sha256(shard) for shard in shards}
    with create(target, CONTENT, {"shards": digests}) as file:
        file.create_virtual_dataset("embedding", embedding, fillvalue=0)
        file.create_virtual_dataset("mask", mask, fillvalue=False)
        file.create_dataset("frames", data=np.concatenate(counts))
        file.create_dataset("clip_id", data=clips, dtype=TEXT)


@contextmanager
def open_joined(path: Path) -> Iterator[tuple[h5py.Dataset, h5py.Dataset, list[str]]]:
    """Open joined embeddings, after checking that each shard is the one that was joined.

    HDF5 fills a missing source with zeros without a word, so the check is ours.

    Yields
    ------
    embedding : h5py.Dataset
        (clips, frames, D) float16, to be read as far as memory goes.
    mask : h5py.Dataset
        (clips, frames) bool.
    clip_id : list of str

    Raises
    ------
    UserError
        If the file or one of its shards is missing, damaged, or not the one that was joined.
    """
    with open_complete(path, CONTENT) as file:
        for name, digest in made_by(file)["shards"].items():
            shard = path.parent / name
            with open_complete(shard, CONTENT):
                joined = sealed_sha256(shard)
            if joined != digest:
                raise UserError(
                    f"{shard}: is not the shard that was joined into {path}",
                    f"Remove {path} and run snakemake again.",
                )
        yield file["embedding"], file["mask"], texts(file["clip_id"])
