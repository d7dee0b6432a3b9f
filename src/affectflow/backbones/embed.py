"""From the face crops of shards to their embeddings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.precision import cosines
from affectflow.errors import UserError
from affectflow.joblog import frames_line
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.embeddings import embedding_rows
from affectflow.shards.faces import FoundFaces, read_faces
from affectflow.shards.files import create
from affectflow.shards.origin import faces_origin
from affectflow.shards.several import Shards

log = logging.getLogger(__name__)

READ = 64
"""Frames whose crops are read at a time."""

SAMPLE = 16
"""Crops on which another precision is compared with fp32."""

LEAST, LEAST_OF_MOST = 0.98, 0.95
"""What their median cosine, and its 5th percentile, have to reach."""

HALF = float(np.finfo(np.float16).max)


def embed_shards(faces: Sequence[Path], embedder: Embedder, target: Path, code: str = "") -> None:
    """Embed the crops of shards of faces, one after the other.

    Other precisions than fp32 are compared with it on some crops of these shards.

    Parameters
    ----------
    faces : sequence of Path
        Shards of faces (`affectflow.shards.faces`), at least one.
    embedder : Embedder
        Of `open_embedder`.
    target : Path
        The shard of embeddings to write (`affectflow.shards.embeddings`).
    code : str
        Digest of the code that does this, kept in the file's attributes.

    Raises
    ------
    UserError
        If a shard of faces is not whole, an embedding does not fit float16, or too many differ
        from fp32's.
    """
    name, dim = embedder.said["backbone"], embedder.backbone.dim
    began, frames = time.monotonic(), 0
    found = [read_faces(path) for path in faces]
    seals = [own.seal for own in found]
    with Shards(faces, seals) as shards:
        made_by: dict[str, Any] = {
            **embedder.said,
            "faces": seals,
            "faces_made_by": faces_origin([own.made_by for own in found]),
            "code": code,
        }
        if embedder.exact:
            sample = [*_sample(found, shards)]
            made_by["cosine_to_fp32"] = _compare(embedder, embedder.exact, sample)
        width = max(own.mask.shape[1] for own in found)
        embedded = embedder.embed_files(_files(found, shards))
        with create(target, EMBEDDINGS, made_by) as out:
            rows = embedding_rows(out, width, dim)
            for own in found:
                for clip_id, count, padded in zip(own.clip_id, own.counts, own.mask, strict=True):
                    embedding = np.zeros((count, dim), np.float32)
                    for place in np.flatnonzero(padded[:count]):
                        embedding[place] = next(embedded)
                    if not np.abs(embedding).max(initial=0) <= HALF:
                        raise UserError(
                            f"{name}: an embedding of clip {clip_id} is beyond float16's "
                            f"{HALF:.0f}",
                            f"Check backbones.{name}.weights: trained weights give small numbers.",
                        )
                    values = {"embedding": embedding, "mask": padded[:count]}
                    rows.append({"clip_id": clip_id}, values)
                    frames += int(padded[:count].sum())
    seconds, device = time.monotonic() - began, str(embedder.device)
    log.info(frames_line(frames, seconds, device, busy=embedder.busy.seconds))


def _files(found: Sequence[FoundFaces], shards: Shards) -> Iterator[np.ndarray]:
    """Yield the crops of shards, as JPEG files."""
    for shard, faces in enumerate(found):
        for row, mask in enumerate(faces.mask):
            for start in range(0, len(mask), READ):
                part = slice(start, start + READ)
                if mask[part].any():
                    yield from shards.read(shard, "crop", (row, part))[mask[part]]


def _sample(found: Sequence[FoundFaces], shards: Shards) -> Iterator[np.ndarray]:
    """Yield crops from all over the shards, as JPEG files."""
    places = [
        (shard, row, frame)
        for shard, faces in enumerate(found)
        for row, frame in np.argwhere(faces.mask).tolist()
    ]
    chosen = np.linspace(0, len(places) - 1, min(SAMPLE, len(places))).astype(int)
    for shard, row, frame in (places[i] for i in chosen):
        yield shards.read(shard, "crop", (row, frame))


def _compare(embedder: Embedder, exact: Embedder, sample: list[np.ndarray]) -> list[float]:
    """Return the 5th percentile and the median of the cosine to fp32, and log them."""
    if not sample:
        return []
    found, wanted = (np.array([*each.embed_files(sample)]) for each in (embedder, exact))
    low, median = np.percentile(cosines(found, wanted), (5, 50)).tolist()
    what = f"{embedder.precision} of {len(sample)} crops"
    log.info("%s: cosine to fp32 %.5f (5th percentile %.5f)", what, median, low)
    if not (low >= LEAST_OF_MOST and median >= LEAST):
        raise UserError(
            f"{embedder.said['backbone']}: {what}: the embeddings are not those of fp32: cosine "
            f"{median:.3f}, 5th percentile {low:.3f}; {LEAST} and {LEAST_OF_MOST} are needed",
            f"Set backbones.{embedder.said['backbone']}.precision: fp32.",
        )
    return [low, median]
