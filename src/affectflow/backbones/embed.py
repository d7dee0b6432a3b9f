"""From the face crops of shards to their embeddings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.precision import cosines
from affectflow.errors import UserError
from affectflow.joblog import frames_line
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.embeddings import embedding_rows
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import create, open_complete, sealed_sha256, texts

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
    with ExitStack() as stack:
        sources = [stack.enter_context(open_complete(path, FACES)) for path in faces]
        made_by: dict[str, Any] = {
            **embedder.said,
            "faces": [sealed_sha256(path) for path in faces],
            "code": code,
        }
        if embedder.exact:
            made_by["cosine_to_fp32"] = _compare(embedder, embedder.exact, [*_sample(sources)])
        out = stack.enter_context(create(target, EMBEDDINGS, made_by))
        width = max(source["mask"].shape[1] for source in sources)
        rows = embedding_rows(out, width, dim)
        embedded = embedder.embed_files(chain.from_iterable(map(_files, sources)))
        for source in sources:
            clips = texts(source["clip_id"]), source["frame_index"][:], source["mask"][:]
            for clip_id, frame_index, padded in zip(*clips, strict=True):
                mask = padded[: np.count_nonzero(frame_index >= 0)]
                embedding = np.zeros((len(mask), dim), np.float32)
                for place in np.flatnonzero(mask):
                    embedding[place] = next(embedded)
                if not np.abs(embedding).max(initial=0) <= HALF:
                    raise UserError(
                        f"{name}: an embedding of clip {clip_id} is beyond float16's {HALF:.0f}",
                        f"Check backbones.{name}.weights: trained weights give small numbers.",
                    )
                rows.append({"clip_id": clip_id}, {"embedding": embedding, "mask": mask})
                frames += int(mask.sum())
    seconds, device = time.monotonic() - began, str(embedder.device)
    log.info(frames_line(frames, seconds, device, busy=embedder.busy.seconds))


def _files(source: h5py.File) -> Iterator[np.ndarray]:
    """Yield the crops of a shard, as JPEG files."""
    for row in range(len(source["mask"])):
        mask = source["mask"][row]
        for start in range(0, len(mask), READ):
            part = slice(start, start + READ)
            if mask[part].any():
                yield from source["crop"][row, part][mask[part]]


def _sample(sources: Sequence[h5py.File]) -> Iterator[np.ndarray]:
    """Yield crops from all over the shards, as JPEG files."""
    places = [
        (source, row, frame)
        for source in sources
        for row, frame in np.argwhere(source["mask"][:]).tolist()
    ]
    chosen = np.linspace(0, len(places) - 1, min(SAMPLE, len(places))).astype(int)
    for source, row, frame in (places[i] for i in chosen):
        yield source["crop"][row, frame]


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
